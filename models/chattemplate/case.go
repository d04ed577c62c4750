package chattemplate

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// The full Unicode mappings, where one character can become several (ß → SS)
// and sigma depends on its place: Python's upper and lower use them.

func upperText(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

func lowerText(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

func foldText(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Fold().String(s)
}

// titleRune is the title case of a character at the start of a word: its full
// upper case with all but the first character small, unless it has a title form.
func titleRune(c rune) string {
	if t := unicode.ToTitle(c); t != c {
		return string(t)
	}
	up := []rune(upperText(string(c)))
	return string(up[:1]) + lowerText(string(up[1:]))
}
