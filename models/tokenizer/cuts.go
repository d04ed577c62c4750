package tokenizer

import "unicode/utf8"

// cuts finds places in a piece that no merge can cross. Tokens that are merged
// across the characters a and b have a left part that ends in a and a right
// part that begins with b; if no rule has such parts, what is left and right of
// the place is merged on its own. So a text without any pre-tokenizer falls
// apart into words, which are short and come again.
//
// The set of all such a and b is kept as a Bloom filter: what it finds by
// mistake is only not cut.
type cuts struct {
	joined [joinedBits / 64]uint64
	// known is set if unknown characters leave something behind for the next
	// one, or nothing at all: then only between known characters is cut.
	known *runeTable
}

const joinedBits = 1 << 20

// newCuts learns the rules of f; nil if nothing can be cut.
func newCuts(f *bpeFields, s *charSymbols) *cuts {
	c := &cuts{}
	complete := s.fallback
	for _, id := range s.bytes {
		complete = complete && id != none
	}
	for _, m := range f.Merges {
		// The tokens of bytes and the unknown one do not stand for their
		// letters: if rules merge them, the letters say nothing.
		for _, part := range m {
			if _, ok := namedByte(part); ok || f.Unknown != nil && part == *f.Unknown {
				return nil
			}
		}
		a, _ := utf8.DecodeLastRuneInString(m[0])
		b, _ := utf8.DecodeRuneInString(m[1])
		i := joinedBit(a, b)
		c.joined[i/64] |= 1 << (i % 64)
	}
	if !complete {
		c.known = s.known[0][0]
	}
	return c
}

func joinedBit(a, b rune) uint32 {
	return (uint32(a)*0x9E3779B1 ^ uint32(b)*0x85EBCA77) >> 12
}

// next returns the first cut behind start, which is the end if there is none.
func (c *cuts) next(piece string, start int) int {
	a, size := utf8.DecodeRuneInString(piece[start:])
	for i := start + size; i < len(piece); i += size {
		var b rune
		if b, size = rune(piece[i]), 1; b >= utf8.RuneSelf {
			b, size = utf8.DecodeRuneInString(piece[i:])
		}
		bit := joinedBit(a, b)
		if c.joined[bit/64]&(1<<(bit%64)) == 0 && (c.known == nil || c.known.get(a) != none && c.known.get(b) != none) {
			return i
		}
		a = b
	}
	return len(piece)
}
