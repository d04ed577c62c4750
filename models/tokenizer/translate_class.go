package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// charSet is a character class being written in the syntax of regexp2.
type charSet struct {
	negated bool
	alone   bool // it is a set such as \w outside brackets
	listed  bool // body cannot say what set does: it is written from set at the end
	body    strings.Builder
	set     runeSet // what body says
}

func (c *charSet) write(body string, set runeSet) {
	c.body.WriteString(body)
	c.set = append(c.set, set...)
}

// list makes c what set says, whatever it was: regexp2 has no union with a
// complement and no intersection.
func (c *charSet) list(set runeSet) { c.set, c.listed = set, true }

// node is the class as a part of the pattern.
func (c *charSet) node() node {
	return node{text: c.bracket(), tree: classTree(c.characters())}
}

// characters is what c matches.
func (c *charSet) characters() runeSet {
	if c.negated {
		return c.set.complement()
	}
	return c.set
}

func (c *charSet) bracket() string {
	body := c.body.String()
	if c.listed {
		body = c.set.ranges()
	}
	switch {
	case body == "" && c.negated:
		return `[\s\S]`
	case body == "":
		return `(?!)` // no character
	case c.negated:
		return "[^" + body + "]"
	}
	return "[" + body + "]"
}

// ranges writes s as the members of a class. Surrogates, which no text has,
// cannot be written.
func (s runeSet) ranges() string {
	var b strings.Builder
	for _, r := range s.sorted() {
		if utf16.IsSurrogate(r[0]) {
			r[0] = 0xE000
		}
		if utf16.IsSurrogate(r[1]) {
			r[1] = 0xD7FF
		}
		if r[0] > r[1] {
			continue
		}
		b.WriteString(quote(r[0]))
		if r[1] != r[0] {
			b.WriteString("-" + quote(r[1]))
		}
	}
	return b.String()
}

// add puts the characters first to last into the class, under (?i:…) with all
// that folds to the same. Only ASCII is supported there.
func (c *charSet) add(t *translator, first, last rune) error {
	c.write(quote(first), runeSet{{first, last}})
	if last != first {
		c.body.WriteString("-" + quote(last))
	}
	if !t.fold {
		return nil
	}
	if last > unicode.MaxASCII {
		return fmt.Errorf("%c under (?i:…) is not supported, only ASCII is", last)
	}
	for r := first; r <= last; r++ {
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			c.write(quote(other), runeSet{{other, other}})
		}
	}
	return nil
}

// class parses what follows an opening bracket.
func (t *translator) class() (node, error) {
	c, err := t.bracketed(0)
	if err != nil {
		return node{}, err
	}
	return c.node(), nil
}

// bracketed parses a class behind its opening bracket: members, and further
// ones behind each &&, of which the class is what all have.
func (t *translator) bracketed(depth int) (*charSet, error) {
	if depth > deepestPattern {
		return nil, fmt.Errorf("classes nested deeper than %d", deepestPattern)
	}
	c := &charSet{negated: t.accept("^")}
	if t.fold && c.negated {
		return nil, fmt.Errorf("a negated class under (?i:…) is not supported")
	}
	if err := t.members(c, depth); err != nil {
		return nil, err
	}
	for t.accept("&&") {
		var other charSet
		if err := t.members(&other, depth); err != nil {
			return nil, err
		}
		c.list(c.set.both(other.characters()))
	}
	t.at++ // members stopped before the ]
	return c, nil
}

// members parses into c up to the closing bracket or an &&, which stay.
func (t *translator) members(c *charSet, depth int) error {
	for first := true; ; first = false {
		rest := t.src[t.at:]
		ends := len(rest) > 0 && rest[0] == ']' || len(rest) > 1 && rest[0] == '&' && rest[1] == '&'
		switch {
		case len(rest) == 0:
			return fmt.Errorf("a class without its ]")
		case ends && first:
			return fmt.Errorf("an empty class, or a ] to be written \\]")
		case ends:
			return nil
		case t.accept("[:"):
			return fmt.Errorf("[: within a class is not supported")
		case t.accept("["):
			inner, err := t.bracketed(depth + 1)
			if err != nil {
				return err
			}
			c.join(inner)
			continue
		}
		if err := t.member(c); err != nil {
			return err
		}
	}
}

// join adds the members of a class within the class.
func (c *charSet) join(inner *charSet) {
	if inner.negated || inner.listed {
		c.list(append(c.set, inner.characters()...))
		return
	}
	c.write(inner.body.String(), inner.set)
}

// member parses a character, a range or a set such as \s.
func (t *translator) member(c *charSet) error {
	first, isSet, err := t.classChar(c)
	if err != nil || isSet {
		return err
	}
	// A - before the ] is itself; so is one behind a set.
	if t.at+1 >= len(t.src) || t.src[t.at] != '-' || t.src[t.at+1] == ']' {
		return c.add(t, first, first)
	}
	t.at++
	if t.src[t.at] == '[' {
		return fmt.Errorf("a range that ends in a class")
	}
	var ignored charSet
	last, isSet, err := t.classChar(&ignored)
	if err != nil {
		return err
	}
	if isSet || last < first {
		return fmt.Errorf("a range that does not end in a later character")
	}
	return c.add(t, first, last)
}

// classChar parses one character of a class, or adds a set to c.
func (t *translator) classChar(c *charSet) (r rune, isSet bool, err error) {
	r = t.src[t.at]
	t.at++
	if r != '\\' {
		return r, false, nil
	}
	if !t.more() {
		return 0, false, fmt.Errorf("a backslash at the end")
	}
	if t.src[t.at] == 'b' {
		return 0, false, fmt.Errorf(`\b within a class is not supported`)
	}
	return t.classEscape(c)
}

// classEscape parses what follows a backslash: a character, or a set, which it
// adds to c.
func (t *translator) classEscape(c *charSet) (r rune, isSet bool, err error) {
	r = t.src[t.at]
	t.at++
	switch r {
	case 'n':
		return '\n', false, nil
	case 'r':
		return '\r', false, nil
	case 't':
		return '\t', false, nil
	case 'f':
		return '\f', false, nil
	case 'v':
		return '\v', false, nil
	case 'x', 'u':
		r, err = t.hex(r)
		return r, false, err
	case 's', 'S', 'd', 'D', 'w', 'W', 'p', 'P':
		if t.fold {
			return 0, false, fmt.Errorf(`\%c under (?i:…) is not supported`, r)
		}
		return 0, true, t.set(c, r)
	}
	if r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		return 0, false, fmt.Errorf(`\%c is not supported`, r)
	}
	return r, false, nil
}

// hex parses \xHH, \x{H…} and \uHHHH.
func (t *translator) hex(kind rune) (rune, error) {
	digits := 2
	if kind == 'u' {
		digits = 4
	}
	end := t.at + digits
	braces := kind == 'x' && t.accept("{")
	if braces {
		n := slices.Index(t.src[t.at:], '}')
		if n < 0 {
			return 0, fmt.Errorf(`\x{ without its }`)
		}
		end = t.at + n
	}
	if end > len(t.src) {
		return 0, fmt.Errorf(`\%c with too few digits`, kind)
	}
	n, err := strconv.ParseUint(string(t.src[t.at:end]), 16, 32)
	if err != nil || n > unicode.MaxRune || n >= 0xD800 && n < 0xE000 || n >= 0x80 && kind == 'x' && !braces {
		return 0, fmt.Errorf(`\%c%s is no character`, kind, string(t.src[t.at:end]))
	}
	t.at = end
	if braces {
		t.at++
	}
	return rune(n), nil
}

// quote writes r so that it stands for itself in and outside classes. No other
// character is escaped: regexp2 reads \' and \< as references, and
// \- in a class never as the end of a range.
func quote(r rune) string {
	switch {
	case r < ' ' || r == 0x7F || r == '-':
		return fmt.Sprintf(`\x%02X`, r)
	case strings.ContainsRune(`\*+?|{}[]()^$.#&`, r):
		return `\` + string(r)
	}
	return string(r)
}

func isASCIILetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }
