package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// charSymbols takes one symbol for each character, or, for a character that
// the vocabulary lacks, one for each of its bytes (byte_fallback) or the
// unknown token.
type charSymbols struct {
	// known has the ids of characters by their place in the piece: [not the
	// first][the last]. All are one table unless the file has affixes.
	known [2][2]*runeTable

	prefix, suffix string // of characters that are not the first, that are the last
	bytes          [256]eft.Token
	fallback       bool
	unknown        eft.Token // none drops unknown characters
	fuseUnknown    bool
}

func (s *charSymbols) append(dst []eft.Token, piece string) []eft.Token {
	// An unknown token is put down only when the next known character or the
	// end comes; bytes are put before it.
	waiting := false
	for i := 0; i < len(piece); {
		r, size := rune(piece[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(piece[i:])
		}
		first, last := i == 0, i+size == len(piece)
		char := piece[i : i+size]
		i += size
		if id := s.known[index(!first)][index(last)].get(r); id != none {
			if waiting {
				dst = append(dst, s.unknown)
				waiting = false
			}
			dst = append(dst, id)
			continue
		}
		var ok bool
		if dst, ok = s.appendBytes(dst, char, first, last); ok || s.unknown == none {
			continue
		}
		if waiting && !s.fuseUnknown {
			dst = append(dst, s.unknown)
		}
		waiting = true
	}
	if waiting {
		dst = append(dst, s.unknown)
	}
	return dst
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// appendBytes appends the tokens of the bytes of char with its affixes, if
// there is one for each.
func (s *charSymbols) appendBytes(dst []eft.Token, char string, first, last bool) ([]eft.Token, bool) {
	if !s.fallback {
		return dst, false
	}
	start := len(dst)
	if !first {
		char = s.prefix + char
	}
	if last {
		char += s.suffix
	}
	for i := range len(char) {
		id := s.bytes[char[i]]
		if id == none {
			return dst[:start], false
		}
		dst = append(dst, id)
	}
	return dst, true
}

// charSymbols finds the tokens of single characters, and the cuts if pieces can
// be cut.
func (c component) charSymbols(f *bpeFields) (*charSymbols, *cuts, error) {
	s := &charSymbols{fallback: isTrue(f.ByteFallback), fuseUnknown: isTrue(f.FuseUnknown)}
	complete := s.fallback
	for b := range s.bytes {
		id, ok := f.Vocab[byteToken(byte(b))]
		if !ok {
			id, complete = none, false
		}
		s.bytes[b] = id
	}
	s.unknown = none
	if !complete {
		var err error
		if s.unknown, err = c.unknownID(f); err != nil {
			return nil, nil, err
		}
	}
	if f.Prefix != nil {
		s.prefix = *f.Prefix
	}
	if f.Suffix != nil {
		s.suffix = *f.Suffix
	}
	s.known[0][0] = newRuneTable()
	s.known[0][1], s.known[1][0], s.known[1][1] = s.known[0][0], s.known[0][0], s.known[0][0]
	if s.prefix != "" || s.suffix != "" {
		s.known[0][1], s.known[1][0], s.known[1][1] = newRuneTable(), newRuneTable(), newRuneTable()
	}
	for token, id := range f.Vocab {
		s.learn(token, id)
	}
	if s.prefix != "" || s.suffix != "" {
		return s, nil, nil // what a character is depends on its place in the piece
	}
	return s, newCuts(f, s), nil
}

// learn puts token into the tables of the places where it is one character.
func (s *charSymbols) learn(token string, id eft.Token) {
	if len(token) > utf8.UTFMax+len(s.prefix)+len(s.suffix) {
		return
	}
	for notFirst := range 2 {
		for last := range 2 {
			char, ok := token, true
			if notFirst == 1 {
				char, ok = strings.CutPrefix(char, s.prefix)
			}
			if ok && last == 1 {
				char, ok = strings.CutSuffix(char, s.suffix)
			}
			if r, size := utf8.DecodeRuneInString(char); ok && size == len(char) && size > 0 {
				s.known[notFirst][last].put(r, id)
			}
		}
	}
}

// byteToken is how files write the token of a byte.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// runeTable has ids by character.
type runeTable struct {
	pages [(utf8.MaxRune >> 8) + 1]*[256]eft.Token // empty until something is put there
	empty *[256]eft.Token
}

func newRuneTable() *runeTable {
	t := &runeTable{empty: new([256]eft.Token)}

	for i := range t.empty {
		t.empty[i] = none
	}
	for i := range t.pages {
		t.pages[i] = t.empty
	}
	return t
}

// get returns the id of r, or none.
func (t *runeTable) get(r rune) eft.Token { return t.pages[r>>8][r&0xFF] }

func (t *runeTable) put(r rune, id eft.Token) {
	page := t.pages[r>>8]
	if page == t.empty {
		copied := *page
		page = &copied
		t.pages[r>>8] = page
	}
	page[r&0xFF] = id
}
