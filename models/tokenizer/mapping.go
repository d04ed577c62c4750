package tokenizer

import (
	"bytes"
	"sort"
	"unicode"
	"unicode/utf8"
)

// mapping rewrites every character on its own.
type mapping struct {
	ascii [utf8.RuneSelf]string
	same  [1 << 10]uint64 // bits of the characters of the first plane that stay
	other func(dst []byte, r rune) []byte
}

func newMapping(f func(dst []byte, r rune) []byte) *mapping {
	m := &mapping{other: f}
	for b := range m.ascii {
		m.ascii[b] = string(f(nil, rune(b)))
	}
	var from, to [utf8.UTFMax]byte
	for r := rune(utf8.RuneSelf); r < 1<<16; r++ {
		if bytes.Equal(f(to[:0], r), utf8.AppendRune(from[:0], r)) {
			m.same[r>>6] |= 1 << (r & 63)
		}
	}
	return m
}

func (m *mapping) normalize(text string) string {
	out := make([]byte, 0, len(text)+8)
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf {
			out = append(out, m.ascii[b]...)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if r < 1<<16 && m.same[r>>6]&(1<<(r&63)) != 0 {
			out = append(out, text[i:i+size]...)
		} else {
			out = m.other(out, r)
		}
		i += size
	}
	return string(out)
}

func (m *mapping) head(text string, n int) int { return len(m.normalize(text[:n])) }

// lowercase follows Unicode 17.
func lowercase(dst []byte, r rune) []byte {
	switch {
	case r == 'İ':
		return append(dst, "i\u0307"...)
	case r == 0x1C89 || r == 0xA7CC || r == 0xA7CE || r == 0xA7D2 || r == 0xA7D4 || r == 0xA7DA:
		r++
	case r == 0xA7CB:
		r = 'ɤ'
	case r == 0xA7DC:
		r = 'ƛ'
	case r >= 0x10D50 && r <= 0x10D65:
		r += 0x20
	case r >= 0x16EA0 && r <= 0x16EB8:
		r += 0x1B
	default:
		r = unicode.ToLower(r)
	}
	return utf8.AppendRune(dst, r)
}

// stripAccents drops combining marks.
func stripAccents(dst []byte, r rune) []byte {
	if r >= accents[0][0] && isWithin(accents, r) {
		return dst
	}
	return utf8.AppendRune(dst, r)
}

// nmt drops control characters and writes other white space, the mark of byte
// order and what could not be decoded as spaces.
func nmt(dst []byte, r rune) []byte {
	switch {
	case r == 0:
	case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200B && r <= 0x200F,
		r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == 0xFFFD:
		r = ' '
	case r < ' ', r == 0x7F, r == 0x8F, r == 0x9F:
		return dst
	}
	return utf8.AppendRune(dst, r)
}

// isWithin finds r in ranges, which are in order and include both ends.
func isWithin(ranges [][2]rune, r rune) bool {
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i][1] >= r })
	return i < len(ranges) && r >= ranges[i][0]
}
