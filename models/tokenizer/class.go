package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// class is what the known patterns tell characters apart by.
type class uint8

const (
	other class = iota
	space
	letter
	number
)

// classAt returns the class and the length of the character at text[i:].
func classAt(text string, i int) (class, int) {
	if b := text[i]; b < utf8.RuneSelf {
		return asciiClass(b), 1
	}
	r, size := utf8.DecodeRuneInString(text[i:])
	switch {
	case isLetter(r):
		return letter, size
	case isSpace(r):
		return space, size
	case isNumber(r):
		return number, size
	}
	return other, size
}

func asciiClass(b byte) class {
	switch {
	case b|0x20 >= 'a' && b|0x20 <= 'z':
		return letter
	case b == ' ' || b >= '\t' && b <= '\r':
		return space
	case b >= '0' && b <= '9':
		return number
	}
	return other
}

func isSpace(r rune) bool { return unicode.IsSpace(r) }

func isLetter(r rune) bool { return unicode.IsLetter(r) || newer("L", r) }

func isNumber(r rune) bool { return unicode.IsNumber(r) || newer("N", r) }

// isDigit is what the component Digits cuts at: the numbers, as Unicode 17
// has them.
func isDigit(r rune) bool {
	return isNumber(r) || r >= 0x11DE0 && r <= 0x11DE9 || r >= 0x16FF4 && r <= 0x16FF6
}

// isWord is \w: letters, marks, decimal digits, letter numbers, what else is
// alphabetic, connectors and the two joiners.
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control) ||
		newer("L", r) || newer("M", r) || newer("N", r)
}
