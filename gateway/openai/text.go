package openai

import (
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string value.
func (r *reader) text() (string, error) {
	if err := r.expect(kindString); err != nil {
		return "", err
	}
	return r.quoted()
}

// quoted reads the string that starts at pos with its quotation mark.
func (r *reader) quoted() (string, error) {
	start := r.pos + 1
	escapes := false
	for i := start; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			return r.unquote(start, i, escapes)
		case c == '\\':
			escapes = true
			i++ // whatever is escaped, a quotation mark too, does not end the string
		case c < 0x20:
			return "", r.syntax(i, "control character 0x%02x inside a string; write it as \\u%04x", c, c)
		}
	}
	return "", r.syntax(len(r.data), "it ends inside a string")
}

// unquote takes the string in data[start:end) and moves past its end.
func (r *reader) unquote(start, end int, escapes bool) (string, error) {
	raw := r.data[start:end]
	if !utf8.Valid(raw) {
		for i := 0; i < len(raw); {
			c, n := utf8.DecodeRune(raw[i:])
			if c == utf8.RuneError && n == 1 {
				return "", r.syntax(start+i, "byte 0x%02x is not UTF-8", raw[i])
			}
			i += n
		}
	}
	r.pos = end + 1
	if !escapes {
		return string(raw), nil
	}
	dst := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		c, n := escape(raw[i:])
		switch {
		case n == 0:
			return "", r.syntax(start+i, "%s is no escape sequence", quote(string(raw[i:min(i+6, len(raw))])))
		case c == utf8.RuneError && n < 0:
			return "", r.syntax(start+i, "%s is half of a surrogate pair", raw[i:i+6])
		}
		dst = utf8.AppendRune(dst, c)
		i += n
	}
	return string(dst), nil
}

// escape reads the escape sequence at the start of s and returns its rune and
// length: length 0 if it is none, −1 (and RuneError) if it is a lone surrogate.
func escape(s []byte) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch c := s[1]; c {
	case '"', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unicodeEscape(s)
	}
	return 0, 0
}

// unicodeEscape is escape for \uXXXX, and for \uXXXX\uXXXX where that is a
// surrogate pair.
func unicodeEscape(s []byte) (rune, int) {
	first, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 6
	}
	if second, ok := hex4(s[6:]); ok {
		if c := utf16.DecodeRune(first, second); c != utf8.RuneError {
			return c, 12
		}
	}
	return utf8.RuneError, -1
}

// hex4 reads \uXXXX at the start of s.
func hex4(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var v rune
	for _, c := range s[2:6] {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			v = v<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
