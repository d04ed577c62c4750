package tokenizer

import (
	"strings"
)

// prependScheme says before which texts Metaspace puts its sign.
type prependScheme int

const (
	prependAlways prependScheme = iota
	prependFirst                // where the whole text begins
	prependNever
)

// metaspace writes a sign for spaces and cuts before each. As a decoder it
// does the opposite.
type metaspace struct {
	sign   string
	scheme prependScheme
	whole  bool // no cutting
}

func (m metaspace) split(dst []piece, p piece) []piece {
	if p.text == "" {
		return dst
	}
	if n := strings.Count(p.text[:p.head], " "); n > 0 {
		p.head += n * (len(m.sign) - 1)
	}
	p.text = strings.ReplaceAll(p.text, " ", m.sign)
	if !strings.HasPrefix(p.text, m.sign) && (m.scheme == prependAlways || m.scheme == prependFirst && p.head > 0) {
		p = p.prepend(m.sign)
	}
	if m.whole {
		return append(dst, p)
	}
	for start := 0; start < len(p.text); {
		end := len(p.text)
		// A sign at the very start begins the piece.
		if i := strings.Index(p.text[start+1:], m.sign); i >= 0 {
			end = start + 1 + i
		}
		dst = append(dst, p.part(start, end))
		start = end
	}
	return dst
}

// metaspace reads the component Metaspace in its new and old spellings.
func (c component) metaspace() (metaspace, error) {
	var f struct {
		Type        string
		Replacement singleRune
		AddPrefix   *bool   `json:"add_prefix_space"`
		Scheme      *string `json:"prepend_scheme"`
		Split       *bool
		Written     *string `json:"str_rep"` // the replacement once more
	}
	if err := c.read(&f); err != nil {
		return metaspace{}, err
	}
	m := metaspace{sign: f.Replacement.string(), whole: f.Split != nil && !*f.Split}
	scheme := "always"
	if f.Scheme != nil {
		scheme = *f.Scheme
	} else if f.AddPrefix != nil && !*f.AddPrefix {
		scheme = "never"
	}
	switch scheme {
	case "always":
		m.scheme = prependAlways
	case "first":
		m.scheme = prependFirst
	case "never":
		m.scheme = prependNever
	default:
		return metaspace{}, c.refuse("unknown prepend_scheme %q", scheme)
	}
	if f.AddPrefix != nil && !*f.AddPrefix && m.scheme != prependNever {
		return metaspace{}, c.refuse("add_prefix_space is false and prepend_scheme is %q: they say different things", scheme)
	}
	return m, f.Replacement.check(c, "replacement")
}

// singleRune is a field of one character.
type singleRune []rune

func (r *singleRune) UnmarshalText(text []byte) error {
	*r = singleRune(string(text))
	return nil
}

func (r singleRune) string() string { return string([]rune(r)) }

// check refuses the field name of c unless it is one character.
func (r singleRune) check(c component, name string) error {
	if len(r) != 1 {
		return c.refuse("%s is %q, want one character", name, r.string())
	}
	return nil
}
