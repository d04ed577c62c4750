package chattemplate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	tokenEOF tokenKind = iota
	tokenData
	tokenBlockBegin
	tokenBlockEnd
	tokenPrintBegin
	tokenPrintEnd
	tokenName
	tokenString
	tokenInteger
	tokenFloat
	tokenOperator
)

// token is a piece of a template. text is a name's or operator's spelling, the
// characters of data, and the value of a string; value is that of a number.
type token struct {
	kind  tokenKind
	text  string
	value value
	line  int
}

// String names the token as messages do.
func (t token) String() string {
	switch t.kind {
	case tokenEOF:
		return "end of template"
	case tokenBlockBegin:
		return "begin of statement block"
	case tokenBlockEnd:
		return "end of statement block"
	case tokenPrintBegin:
		return "begin of print statement"
	case tokenPrintEnd:
		return "end of print statement"
	case tokenData:
		return "template data"
	}
	return t.text
}

func (t token) is(kind tokenKind, text string) bool { return t.kind == kind && t.text == text }

func (t token) op(text string) bool { return t.is(tokenOperator, text) }

func (t token) name(text string) bool { return t.is(tokenName, text) }

// scanToken reads the token at the start of s, which is inside a tag and does
// not begin with blank space. afterDot keeps m.0.1 from being a float.
func scanToken(s string, afterDot bool) (t token, size int, message string) {
	c, _ := utf8.DecodeRuneInString(s)
	switch {
	case c >= '0' && c <= '9':
		return scanNumber(s, afterDot)
	case c == '\'' || c == '"':
		return scanString(s)
	case isWord(c):
		return scanName(s)
	}
	for _, op := range [...]string{"//", "**", "==", "!=", ">=", "<="} {
		if strings.HasPrefix(s, op) {
			return token{kind: tokenOperator, text: op}, 2, ""
		}
	}
	if strings.ContainsRune("+-/*%~[](){}><=.:|,;", c) {
		return token{kind: tokenOperator, text: s[:1]}, 1, ""
	}
	return token{}, 0, "unexpected char " + quoted(string(c))
}

func isWord(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsNumber(c) }

func scanName(s string) (token, int, string) {
	size := len(s)
	for i, c := range s {
		if !isWord(c) && !unicode.IsMark(c) && c != 0xb7 && c != 0x387 {
			size = i
			break
		}
	}
	if !isIdentifier(s[:size]) {
		return token{}, 0, "Invalid character in identifier " + quoted(s[:size])
	}
	return token{kind: tokenName, text: s[:size]}, size, ""
}

// scanNumber reads an integer (decimal, 0x, 0o, 0b) or a float.
func scanNumber(s string, afterDot bool) (token, int, string) {
	if n := floatSize(s); n > 0 && !afterDot {
		f, ok := parseFloat(s[:n])
		if !ok {
			return token{}, 0, "invalid number " + quoted(s[:n])
		}
		return token{kind: tokenFloat, text: s[:n], value: float(f)}, n, ""
	}
	n := integerSize(s)
	v, ok := parseInt(s[:n], 0)
	if !ok {
		return token{}, 0, "invalid number " + quoted(s[:min(n, 20)])
	}
	return token{kind: tokenInteger, text: s[:n], value: v}, n, ""
}

func floatSize(s string) int {
	n := digitsSize(s)
	frac := n
	if strings.HasPrefix(s[n:], ".") {
		if d := digitsSize(s[n+1:]); d > 0 {
			frac = n + 1 + d
		}
	}
	end := frac
	if rest := s[frac:]; len(rest) > 0 && (rest[0] == 'e' || rest[0] == 'E') {
		sign := 1
		if len(rest) > 1 && (rest[1] == '+' || rest[1] == '-') {
			sign = 2
		}
		if d := digitsSize(rest[sign:]); d > 0 {
			end = frac + sign + d
		}
	}
	if end == n {
		return 0
	}
	return end
}

// digitsSize measures digits with single underscores between them.
func digitsSize(s string) int { return runSize(s, isDigit) }

func runSize(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) {
		switch {
		case is(s[n]):
			n++
		case s[n] == '_' && n > 0 && n+1 < len(s) && is(s[n+1]):
			n += 2
		default:
			return n
		}
	}
	return n
}

func integerSize(s string) int {
	if len(s) > 2 && s[0] == '0' {
		var is func(byte) bool
		switch s[1] | 0x20 {
		case 'x':
			is = func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
		case 'o':
			is = func(c byte) bool { return c >= '0' && c <= '7' }
		case 'b':
			is = func(c byte) bool { return c == '0' || c == '1' }
		}
		if is != nil {
			start := 2
			if s[2] == '_' {
				start = 3
			}
			if d := runSize(s[start:], is); d > 0 {
				return start + d
			}
		}
	}
	if s[0] == '0' {
		// 0 only goes on with zeros: 007 is three tokens, an error further on.
		return runSize(s, func(c byte) bool { return c == '0' })
	}
	return digitsSize(s)
}

// scanString reads a quoted string and undoes its escapes.
func scanString(s string) (token, int, string) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			text, message := unescape(s[1:i])
			return token{kind: tokenString, text: text}, i + 1, message
		}
	}
	return token{}, 0, "unexpected char " + quoted(s[:1]) + " (the string does not end)"
}

func quoted(s string) string {
	if strings.Contains(s, "'") {
		return `"` + s + `"`
	}
	return "'" + s + "'"
}
