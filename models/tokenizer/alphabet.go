package tokenizer

import "unicode/utf8"

// alphabet is the table of byte-level tokenizers that writes every byte as a
// printable character: printable Latin-1 bytes as themselves, the others as
// U+0100, U+0101, … in the order of their values.
type alphabet struct {
	runes [256]rune  // by byte
	bytes [512]int16 // by character; −1 outside the alphabet
}

func newAlphabet() *alphabet {
	a := &alphabet{}
	for i := range a.bytes {
		a.bytes[i] = -1
	}
	spare := rune(0x100)
	for b := range 256 {
		r := rune(b)
		printable := b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE
		if !printable {
			r = spare
			spare++
		}
		a.bytes[r] = int16(b)
		a.runes[b] = r
	}
	return a
}

// encode writes the bytes of text.
func (a *alphabet) encode(text string) string {
	out := make([]byte, 0, len(text)+len(text)/4)
	for i := range len(text) {
		out = utf8.AppendRune(out, a.runes[text[i]])
	}
	return string(out)
}

// decode gives the bytes that token stands for, and false if it has a
// character outside the alphabet.
func (a *alphabet) decode(dst []byte, token string) ([]byte, bool) {
	start := len(dst)
	for _, r := range token {
		if int(r) >= len(a.bytes) || a.bytes[r] < 0 {
			return dst[:start], false
		}
		dst = append(dst, byte(a.bytes[r]))
	}
	return dst, true
}
