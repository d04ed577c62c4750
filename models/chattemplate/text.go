package chattemplate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// isSpace is Python's str.isspace for one character: Go's, and the four
// separators of ASCII.
func isSpace(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f }

// inSet says for strip which characters go; nil is blank space.
func inSet(cutset *string) func(rune) bool {
	if cutset == nil {
		return isSpace
	}
	return func(c rune) bool { return strings.ContainsRune(*cutset, c) }
}

func strip(s string, cutset *string) string { return strings.TrimFunc(s, inSet(cutset)) }

// decimalDigit is the value of a decimal digit of any script, or -1. Digits of
// one script follow each other from 0 in blocks of ten.
func decimalDigit(c rune) int {
	if c < utf8.RuneSelf {
		if c >= '0' && c <= '9' {
			return int(c - '0')
		}
		return -1
	}
	if !unicode.Is(unicode.Nd, c) {
		return -1
	}
	for _, r := range unicode.Nd.R16 {
		if c >= rune(r.Lo) && c <= rune(r.Hi) {
			return int(c-rune(r.Lo)) % 10
		}
	}
	for _, r := range unicode.Nd.R32 {
		if c >= rune(r.Lo) && c <= rune(r.Hi) {
			return int(c-rune(r.Lo)) % 10
		}
	}
	return -1
}

// isASCII says whether byte offsets in s are character offsets.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// runeCount is Python's len of a str.
func runeCount(s string) int { return utf8.RuneCountInString(s) }

// splitLines is Python's str.splitlines: more ends of line than most know, and
// no empty line after the last one.
func splitLines(s string, keepEnds bool) []string {
	var lines []string
	start := 0
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		if !isLineEnd(c) {
			i += n
			continue
		}
		end := i + n
		if c == '\r' && strings.HasPrefix(s[end:], "\n") {
			end++
		}
		if keepEnds {
			lines = append(lines, s[start:end])
		} else {
			lines = append(lines, s[start:i])
		}
		start, i = end, end
	}
	if start < len(s) {
		lines = append(lines, s[start:])
	}
	return lines
}

// countLines is how often splitLines cuts, or one more.
func countLines(s string) int {
	n := 0
	for _, c := range s {
		if isLineEnd(c) {
			n++
		}
	}
	return n
}

// countRuns counts the runs of characters that are.
func countRuns(s string, are func(rune) bool) int {
	n, inside := 0, false
	for _, c := range s {
		in := are(c)
		if in && !inside {
			n++
		}
		inside = in
	}
	return n
}

func isLineEnd(c rune) bool {
	return c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029
}

func isLarge(c rune) bool { return unicode.IsUpper(c) || unicode.Is(unicode.Other_Uppercase, c) }

func isSmall(c rune) bool { return unicode.IsLower(c) || unicode.Is(unicode.Other_Lowercase, c) }

// isCased says whether a character takes part in title case.
func isCased(c rune) bool { return isLarge(c) || isSmall(c) || unicode.IsTitle(c) }

// isTitled is Python's str.istitle: large letters only after uncased
// characters, small ones only after cased ones, and at least one of them.
func isTitled(s string) bool {
	after, some := false, false
	for _, c := range s {
		switch {
		case isLarge(c) || unicode.IsTitle(c):
			if after {
				return false
			}
			after, some = true, true
		case isSmall(c):
			if !after {
				return false
			}
		default:
			after = false
		}
	}
	return some
}

// titleText is Python's str.title: a cased character is large after an uncased
// one and small after a cased one.
func titleText(s string) string {
	var sb strings.Builder
	after := false
	for i, c := range s {
		if after {
			sb.WriteString(lowerAt(s, i, c))
		} else {
			sb.WriteString(titleRune(c))
		}
		after = isCased(c)
	}
	return sb.String()
}

// lowerAt is the small form of c at s[i:]: a sigma's depends on its neighbours.
func lowerAt(s string, i int, c rune) string {
	if c != 'Σ' {
		return lowerText(string(c))
	}
	before, _ := utf8.DecodeLastRuneInString(strings.TrimRightFunc(s[:i], ignoresCase))
	after, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(s[i+len("Σ"):], ignoresCase))
	if isCased(before) && !isCased(after) {
		return "ς"
	}
	return "σ"
}

// ignoresCase says that a character is looked through for the neighbours of a
// sigma.
func ignoresCase(c rune) bool {
	return unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:··՟״‘’․‧︓︙﹒﹕＇．：", c)
}

// capitalText is Python's str.capitalize.
func capitalText(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	var sb strings.Builder
	sb.WriteString(titleRune(c))
	for i, c := range s[n:] {
		sb.WriteString(lowerAt(s, n+i, c))
	}
	return sb.String()
}

func swapText(s string) string {
	var sb strings.Builder
	for i, c := range s {
		switch {
		case isLarge(c):
			sb.WriteString(lowerAt(s, i, c))
		case isSmall(c):
			sb.WriteString(upperText(string(c)))
		default:
			sb.WriteRune(c)
		}
	}
	return sb.String()
}

// escaped is escapeHTML within the limits.
func (r *render) escaped(s string) (string, error) {
	if err := r.repeat(5, len(s)); err != nil {
		return "", err
	}
	return escapeHTML(s), nil
}

// escapeHTML is the escaping of the filters e and escape.
func escapeHTML(s string) string {
	return strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", `"`, "&#34;").Replace(s)
}

// caseTest is Python's isupper or islower.
func caseTest(s string, upper bool) bool {
	cased := false
	for _, c := range s {
		switch {
		case unicode.IsTitle(c):
			return false
		case isLarge(c):
			if !upper {
				return false
			}
			cased = true
		case isSmall(c):
			if upper {
				return false
			}
			cased = true
		}
	}
	return cased && utf8.ValidString(s)
}

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
	var sb strings.Builder
	fold := cases.Fold()
	for _, c := range s {
		switch {
		case c >= 0x13a0 && c <= 0x13f5: // Cherokee folds to its large letters
			sb.WriteRune(c)
		case c >= 0xab70 && c <= 0xabbf, c >= 0x13f8 && c <= 0x13fd:
			sb.WriteRune(unicode.ToUpper(c))
		default:
			sb.WriteString(fold.String(string(c)))
		}
	}
	return sb.String()
}

// titleRune is the title case of a character at the start of a word, which can
// be several characters.
func titleRune(c rune) string {
	if c < utf8.RuneSelf {
		return strings.ToUpper(string(c))
	}
	return cases.Title(language.Und, cases.NoLower).String(string(c))
}
