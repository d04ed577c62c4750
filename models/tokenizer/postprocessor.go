package tokenizer

import (
	"encoding/json"
	"fmt"

	"github.com/graft-gateway/graft/eft"
)

// postProcessor puts special tokens round the ids of a text.
type postProcessor interface {
	// process may change and return ids; special says whether special tokens
	// are wanted.
	process(ids []eft.Token, special bool) []eft.Token
}

func newPostProcessor(raw json.RawMessage) (postProcessor, error) {
	if absent(raw) {
		return postSequence(nil), nil
	}
	c, err := newComponent("post_processor", raw, 0)
	if err != nil {
		return nil, err
	}
	return c.postProcessor()
}

func (c component) postProcessor() (postProcessor, error) {
	switch c.kind {
	case "ByteLevel": // moves offsets, which nobody asks for here
		return postSequence(nil), c.read(&byteLevelFields{})
	case "TemplateProcessing":
		return c.template()
	case "BertProcessing", "RobertaProcessing":
		return c.bracket()
	case "Sequence":
		var f struct {
			Type       string
			Processors []json.RawMessage
		}
		if err := c.read(&f); err != nil {
			return nil, err
		}
		children, err := c.children("processors", f.Processors)
		if err != nil {
			return nil, err
		}
		var list postSequence
		adding := 0
		for _, child := range children {
			p, err := child.postProcessor()
			if err != nil {
				return nil, err
			}
			list = append(list, p)
			if child.kind != "ByteLevel" {
				adding++
			}
		}
		if adding > 1 {
			return nil, c.refuse("more than one of its processors adds tokens, which the reference does not support")
		}
		return list, nil
	}
	return nil, c.unsupported()
}

// postSequence applies processors in order.
type postSequence []postProcessor

func (s postSequence) process(ids []eft.Token, special bool) []eft.Token {
	for _, p := range s {
		ids = p.process(ids, special)
	}
	return ids
}

// template is a list of parts; a nil part is the text itself. Special tokens
// are left out when they are not wanted, the text never is.
type template [][]eft.Token

func (t template) process(ids []eft.Token, special bool) []eft.Token {
	if len(t) == 1 && t[0] == nil {
		return ids
	}
	var out []eft.Token
	for _, part := range t {
		switch {
		case part == nil:
			out = append(out, ids...)
		case special:
			out = append(out, part...)
		}
	}
	return out
}

// template reads TemplateProcessing; only single texts are ever encoded, so
// the template for pairs is not interpreted.
func (c component) template() (postProcessor, error) {
	type part struct {
		SpecialToken *struct {
			ID     string
			TypeID int `json:"type_id"`
		}
		Sequence *struct {
			ID     string
			TypeID int `json:"type_id"`
		}
	}
	var f struct {
		Type          string
		Single        []part
		Pair          json.RawMessage
		SpecialTokens map[string]struct {
			ID     string
			IDs    []eft.Token
			Tokens []string
		} `json:"special_tokens"`
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	t := template{}
	for i, p := range f.Single {
		switch {
		case p.SpecialToken != nil && p.Sequence == nil:
			token, ok := f.SpecialTokens[p.SpecialToken.ID]
			if !ok {
				return nil, c.refuse("single[%d] names %q, which special_tokens lacks", i, p.SpecialToken.ID)
			}
			t = append(t, append([]eft.Token{}, token.IDs...))
		case p.Sequence != nil && p.SpecialToken == nil && p.Sequence.ID == "A":
			t = append(t, nil)
		default:
			return nil, c.refuse("single[%d] is neither a SpecialToken nor the Sequence A", i)
		}
	}
	return t, nil
}

// bracket reads the processors that put one token before and one after.
func (c component) bracket() (postProcessor, error) {
	var f struct {
		Type           string
		Sep, Cls       namedToken
		TrimOffsets    bool `json:"trim_offsets"`
		AddPrefixSpace bool `json:"add_prefix_space"`
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	return template{{f.Cls.id}, nil, {f.Sep.id}}, nil
}

// namedToken is written as ["</s>", 2].
type namedToken struct{ id eft.Token }

func (n *namedToken) UnmarshalJSON(raw []byte) error {
	var both []json.RawMessage
	if err := json.Unmarshal(raw, &both); err != nil {
		return err
	}
	var name string
	if len(both) != 2 || json.Unmarshal(both[0], &name) != nil || json.Unmarshal(both[1], &n.id) != nil {
		return fmt.Errorf("want a token and its id, have %s", raw)
	}
	return nil
}
