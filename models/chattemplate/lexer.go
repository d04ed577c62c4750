package chattemplate

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// lexer cuts a template into tokens as trim_blocks and lstrip_blocks say: the
// newline right after a block or comment goes, and so do the blanks before one
// that is the first thing on its line. A minus at a delimiter takes all blank
// space on its side; a plus keeps it.
//
// Invariant: source[:pos] is in tokens, and line is the line of source[pos].
type lexer struct {
	source string
	pos    int
	line   int
	tokens []token
	// lineStart says that what was read last ended with a newline.
	lineStart bool
}

func lex(source string) ([]token, error) {
	if len(source) > maxSource {
		return nil, &SyntaxError{Line: 1, Message: fmt.Sprintf("the template has %d bytes; at most %d are allowed", len(source), maxSource)}
	}
	if !utf8.ValidString(source) {
		return nil, &SyntaxError{Line: 1, Message: "the template is not valid UTF-8"}
	}
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	l := &lexer{source: strings.TrimSuffix(source, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.source) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.emit(token{kind: tokenEOF})
	return l.tokens, nil
}

func (l *lexer) emit(t token) {
	t.line = l.line
	l.tokens = append(l.tokens, t)
}

func (l *lexer) errorf(format string, a ...any) error {
	return &SyntaxError{Line: l.line, Message: fmt.Sprintf(format, a...)}
}

// advance moves n bytes on.
func (l *lexer) advance(n int) {
	passed := l.source[l.pos : l.pos+n]
	l.line += strings.Count(passed, "\n")
	l.pos += n
	if n > 0 {
		l.lineStart = passed[n-1] == '\n'
	}
}

// next reads the text up to a tag, and the tag.
func (l *lexer) next() error {
	rest := l.source[l.pos:]
	begin := nextTag(rest)
	if begin < 0 {
		l.emit(token{kind: tokenData, text: rest})
		l.advance(len(rest))
		return nil
	}
	open := rest[begin+1]
	after := rest[begin+2:]
	sign := byte(0)
	if after != "" && (after[0] == '-' || after[0] == '+') {
		sign = after[0]
		after = after[1:]
	}
	l.emit(token{kind: tokenData, text: l.before(rest[:begin], sign, open != '{')})
	l.advance(len(rest) - len(after))
	switch open {
	case '#':
		return l.comment()
	case '{':
		return l.tag(tokenPrintBegin, tokenPrintEnd)
	}
	// {% raw %} keeps its newline: only a minus strips here.
	if n := wordTag(after, "raw", false); n > 0 {
		l.advance(n)
		return l.raw()
	}
	return l.tag(tokenBlockBegin, tokenBlockEnd)
}

// wordTag measures the rest of a block tag that holds nothing but word; 0 means
// that it is another tag. trim takes the newline after it.
func wordTag(s, word string, trim bool) int {
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(s, isSpace), word)
	if !ok {
		return 0
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	n := closing(rest, "%}", trim, trim)
	if n == 0 {
		return 0
	}
	return len(s) - len(rest) + n
}

func nextTag(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '{' || s[i+1] == '%' || s[i+1] == '#') {
			return i
		}
	}
	return -1
}

// before strips the text in front of a tag. Blanks go if the tag is the first
// thing on its line and prints nothing.
func (l *lexer) before(text string, sign byte, lstrip bool) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	if sign == '+' || !lstrip {
		return text
	}
	start := strings.LastIndexByte(text, '\n') + 1
	if (start > 0 || l.lineStart) && strip(text[start:], nil) == "" {
		return text[:start]
	}
	return text
}

// closing measures a tag's end at the start of s: mark with a sign before it,
// and what is stripped after it. 0 means that s does not begin with it.
func closing(s, mark string, plus, trim bool) int {
	switch {
	case strings.HasPrefix(s, "-"+mark):
		rest := s[1+len(mark):]
		return len(s) - len(strings.TrimLeftFunc(rest, isSpace))
	case plus && strings.HasPrefix(s, "+"+mark):
		return 1 + len(mark)
	case strings.HasPrefix(s, mark):
		if n := len(mark); trim && strings.HasPrefix(s[n:], "\n") {
			return n + 1
		}
		return len(mark)
	}
	return 0
}

func (l *lexer) comment() error {
	rest := l.source[l.pos:]
	if rest == "" {
		return nil // the reference lets a template end here
	}
	for i := range len(rest) {
		if n := closing(rest[i:], "#}", true, true); n > 0 {
			l.advance(i + n)
			return nil
		}
	}
	return l.errorf("Missing end of comment tag")
}

// raw reads text up to {% endraw %} as it stands.
func (l *lexer) raw() error {
	rest := l.source[l.pos:]
	if rest == "" {
		return nil // the reference lets a template end here
	}
	for from := 0; ; {
		i := strings.Index(rest[from:], "{%")
		if i < 0 {
			return l.errorf("Missing end of raw directive")
		}
		begin := from + i
		from = begin + 2
		after, sign := rest[from:], byte(0)
		if after != "" && (after[0] == '-' || after[0] == '+') {
			sign, after = after[0], after[1:]
		}
		if n := wordTag(after, "endraw", true); n > 0 {
			l.emit(token{kind: tokenData, text: l.before(rest[:begin], sign, true)})
			l.advance(len(rest) - len(after) + n)
			return nil
		}
	}
}

// tag reads the tokens of {{ … }} or {% … %}. Its end counts only where every
// bracket is closed.
func (l *lexer) tag(begin, end tokenKind) error {
	mark := "%}"
	if end == tokenPrintEnd {
		mark = "}}"
	}
	l.emit(token{kind: begin})
	most := len(l.tokens) + maxTagTokens
	var open []byte
	afterDot := false
	for {
		space := strings.IndexFunc(l.source[l.pos:], func(c rune) bool { return !isSpace(c) })
		if space < 0 {
			return l.errorf("unexpected end of template, expected %s", quoted(mark))
		}
		if len(open) == 0 {
			if n := closing(l.source[l.pos:], mark, end == tokenBlockEnd, end == tokenBlockEnd); n > 0 {
				l.emit(token{kind: end})
				l.advance(n)
				return nil
			}
		}
		if space > 0 {
			l.advance(space)
			afterDot = false
			continue
		}
		t, size, message := scanToken(l.source[l.pos:], afterDot)
		if message != "" {
			return l.errorf("%s", message)
		}
		var err error
		if open, err = l.balance(open, t); err != nil {
			return err
		}
		if l.emit(t); len(l.tokens) > most {
			return l.errorf("more than %d tokens in one tag", maxTagTokens)
		}
		l.advance(size)
		afterDot = t.op(".")
	}
}

// balance keeps the closing brackets that are awaited.
func (l *lexer) balance(open []byte, t token) ([]byte, error) {
	if t.kind != tokenOperator {
		return open, nil
	}
	switch c := t.text[0]; c {
	case '(':
		return append(open, ')'), nil
	case '[':
		return append(open, ']'), nil
	case '{':
		return append(open, '}'), nil
	case ')', ']', '}':
		if len(open) == 0 {
			return nil, l.errorf("unexpected '%c'", c)
		}
		if want := open[len(open)-1]; want != c {
			return nil, l.errorf("unexpected '%c', expected '%c'", c, want)
		}
		return open[:len(open)-1], nil
	}
	return open, nil
}
