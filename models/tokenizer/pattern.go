package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// pattern reads {"Regex": …} or {"String": …}.
func (c component) pattern(raw json.RawMessage) (matcher, error) {
	var f struct{ Regex, String *string }
	if err := (component{field: c.field + ".pattern", kind: c.kind, raw: raw}).read(&f); err != nil {
		return nil, err
	}
	switch {
	case f.String != nil && f.Regex == nil:
		if *f.String == "" {
			return nil, c.refuse("the pattern is an empty String, which matches everywhere")
		}
		return literal(*f.String), nil
	case f.Regex == nil || f.String != nil:
		return nil, c.refuse("the pattern has neither a Regex nor a String alone")
	}
	switch *f.Regex {
	case gpt2Pattern:
		return gpt2Words{}, nil
	case fmt.Sprintf(llamaPattern, `\p{N}`):
		return llamaWords{digits: 1}, nil
	case fmt.Sprintf(llamaPattern, `\p{N}{1,3}`):
		return llamaWords{digits: 3}, nil
	}
	m, err := newRegex(*f.Regex)
	if err != nil {
		return nil, c.refuse("%v", err)
	}
	return m, nil
}

// literal matches itself.
type literal string

func (l literal) match(dst []span, text string) []span {
	for at := 0; ; {
		i := strings.Index(text[at:], string(l))
		if i < 0 {
			return dst
		}
		dst = append(dst, span{at + i, at + i + len(l)})
		at += i + len(l)
	}
}
