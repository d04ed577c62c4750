package chattemplate

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// simpleEscape is what the character after a backslash stands for.
func simpleEscape(c byte) (string, bool) {
	switch c {
	case '\n':
		return "", true // a backslash at the end of a line joins it to the next
	case '\\', '\'', '"':
		return string(rune(c)), true
	case 'a':
		return "\a", true
	case 'b':
		return "\b", true
	case 'f':
		return "\f", true
	case 'n':
		return "\n", true
	case 'r':
		return "\r", true
	case 't':
		return "\t", true
	case 'v':
		return "\v", true
	}
	return "", false
}

// unescape undoes the escapes of a Python string literal. A backslash that
// escapes nothing stays.
func unescape(s string) (text, message string) {
	if !strings.Contains(s, `\`) {
		return s, ""
	}
	var sb strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			sb.WriteByte(s[i])
			continue
		}
		i++ // the scanner ends no string after a lone backslash
		c := s[i]
		if plain, ok := simpleEscape(c); ok {
			sb.WriteString(plain)
			continue
		}
		size := 0
		switch {
		case c == 'x':
			size = 2
		case c == 'u':
			size = 4
		case c == 'U':
			size = 8
		case c >= '0' && c <= '7':
			n := octalSize(s[i:])
			code, _ := strconv.ParseUint(s[i:i+n], 8, 32)
			sb.WriteRune(rune(code))
			i += n - 1
			continue
		case c == 'N':
			return "", `the escape \N{…} is not supported; write the character itself`
		case c >= utf8.RuneSelf:
			// The reference escapes such characters before it undoes escapes, so that
			// only the backslash is what was escaped.
			char, n := utf8.DecodeRuneInString(s[i:])
			writeEscape(&sb, char)
			i += n - 1
			continue
		default:
			sb.WriteString(s[i-1 : i+1]) // any other pair stays as it is
			continue
		}
		char, message := codePoint(s[i+1:], size)
		if message != "" {
			return "", message
		}
		sb.WriteRune(char)
		i += size
	}
	return sb.String(), ""
}

func octalSize(s string) int {
	n := 0
	for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
		n++
	}
	return n
}

func codePoint(s string, size int) (rune, string) {
	if len(s) < size {
		return 0, "an escape in a string is cut short"
	}
	code, err := strconv.ParseUint(s[:size], 16, 32)
	if err != nil || strings.ContainsAny(s[:size], "+_") {
		return 0, "an escape in a string needs hexadecimal digits, got " + quoted(s[:size])
	}
	if code > utf8.MaxRune || !utf8.ValidRune(rune(code)) {
		return 0, "an escape in a string is no character: " + quoted(s[:size])
	}
	return rune(code), ""
}
