package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// replacement is what stands for bytes that are not UTF-8.
const replacement = "\uFFFD"

// decodeRune looks at the first character of p: its length and whether it is
// valid. An invalid one has the length of its maximal subpart (the longest
// start of a valid sequence, at least one byte), as the Unicode standard
// recommends to replace it (chapter 3.9). Length 0 means that p ends within a
// sequence that more bytes could complete.
func decodeRune(p []byte) (length int, valid bool) {
	low, high, need := secondByte(p[0])
	if need == 0 {
		return 1, p[0] < utf8.RuneSelf
	}
	for k := 1; k <= need; k++ {
		if k == len(p) {
			return 0, false
		}
		if p[k] < low || p[k] > high {
			return k, false
		}
		low, high = 0x80, 0xBF
	}
	return need + 1, true
}

// secondByte gives the bounds of the byte that may follow a first byte and how
// many bytes follow in all, none for ASCII and for what starts no sequence
// (table 3-7 of the Unicode standard).
func secondByte(first byte) (low, high byte, need int) {
	low, high = 0x80, 0xBF
	switch {
	case first < 0xC2 || first > 0xF4:
		return 0, 0, 0
	case first < 0xE0:
		return low, high, 1
	case first < 0xF0:
		if first == 0xE0 {
			low = 0xA0
		}
		if first == 0xED {
			high = 0x9F
		}
		return low, high, 2
	}
	if first == 0xF0 {
		low = 0x90
	}
	if first == 0xF4 {
		high = 0x8F
	}
	return low, high, 3
}

// appendRepaired appends p to dst with U+FFFD for each maximal invalid subpart,
// and returns what p ends with that more bytes could complete, at most 3 bytes.
func appendRepaired(dst, p []byte) (out, tail []byte) {
	if utf8.Valid(p) {
		return append(dst, p...), nil
	}
	for len(p) > 0 {
		n, valid := decodeRune(p)
		switch {
		case n == 0:
			return dst, p
		case valid:
			dst = append(dst, p[:n]...)
		default:
			dst = append(dst, replacement...)
		}
		p = p[n:]
	}
	return dst, nil
}

// repair returns s as valid UTF-8.
func repair(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	out, tail := appendRepaired(make([]byte, 0, len(s)+8), []byte(s))
	var b strings.Builder
	b.Write(out)
	if len(tail) > 0 {
		b.WriteString(replacement)
	}
	return b.String()
}
