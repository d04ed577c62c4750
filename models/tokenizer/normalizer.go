package tokenizer

import (
	"encoding/json"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a text before it is cut.
type normalizer interface {
	normalize(text string) string
}

func newNormalizer(raw json.RawMessage) (normalizer, error) {
	if absent(raw) {
		return normalizers(nil), nil
	}
	c, err := newComponent("normalizer", raw, 0)
	if err != nil {
		return nil, err
	}
	return c.normalizer()
}

// normalizer interprets c.
func (c component) normalizer() (normalizer, error) {
	switch c.kind {
	case "NFC":
		return unicodeForm{norm.NFC, norm.NFD}, c.read(&struct{ Type string }{})
	case "NFD":
		return unicodeForm{norm.NFD, norm.NFD}, c.read(&struct{ Type string }{})
	case "NFKC":
		return unicodeForm{norm.NFKC, norm.NFKD}, c.read(&struct{ Type string }{})
	case "NFKD":
		return unicodeForm{norm.NFKD, norm.NFKD}, c.read(&struct{ Type string }{})
	case "Prepend":
		var f struct{ Type, Prepend string }
		return prepend(f.Prepend), c.read(&f)
	case "Replace":
		var f struct {
			Type    string
			Pattern json.RawMessage
			Content string
		}
		if err := c.read(&f); err != nil {
			return nil, err
		}
		m, err := c.pattern(f.Pattern)
		if r, ok := m.(regex); ok && r.empty {
			return nil, c.refuse("a pattern that can match no characters is not supported here")
		}
		return replace{m, f.Content}, err
	case "Sequence":
		var f struct {
			Type        string
			Normalizers []json.RawMessage
		}
		if err := c.read(&f); err != nil {
			return nil, err
		}
		children, err := c.children("normalizers", f.Normalizers)
		if err != nil {
			return nil, err
		}
		var list normalizers
		for _, child := range children {
			n, err := child.normalizer()
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
		return list, nil
	}
	return nil, c.unsupported()
}

// normalizers applies its members in order; none changes nothing.
type normalizers []normalizer

func (s normalizers) normalize(text string) string {
	for _, n := range s {
		text = n.normalize(text)
	}
	return text
}

// prepend puts itself before every text that is not empty.
type prepend string

func (p prepend) normalize(text string) string {
	if text == "" {
		return text
	}
	return string(p) + text
}

// replace puts content in the place of every match.
type replace struct {
	matcher matcher
	content string
}

func (n replace) normalize(text string) string {
	matches := n.matcher.match(nil, text)
	if len(matches) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, m := range matches {
		b.WriteString(text[at:m.start])
		b.WriteString(n.content)
		at = m.end
	}
	b.WriteString(text[at:])
	return b.String()
}
