package tokenizer

import (
	"encoding/json"

	"github.com/graft-gateway/graft/eft"
)

// wordLevel knows whole pieces only.
type wordLevel struct {
	ids     vocab
	unknown eft.Token
}

func (m *wordLevel) tokenize(dst []eft.Token, piece string) []eft.Token {
	if id, ok := m.ids[piece]; ok {
		return append(dst, id)
	}
	return append(dst, m.unknown)
}

// wordLevel reads the model WordLevel.
func (c component) wordLevel() (loadedModel, error) {
	var f struct {
		Type    string
		Vocab   vocab   `json:"-"`
		Unknown *string `json:"unk_token"`
	}
	if err := c.readLarge(&f, map[string]json.Unmarshaler{"vocab": &f.Vocab}); err != nil {
		return loadedModel{}, err
	}
	if f.Vocab == nil || f.Unknown == nil {
		return loadedModel{}, c.refuse("vocab or unk_token are missing")
	}
	unknown, ok := f.Vocab[*f.Unknown]
	if !ok {
		return loadedModel{}, c.refuse("unk_token %q is not in the vocabulary", *f.Unknown)
	}
	return loadedModel{model: &wordLevel{f.Vocab, unknown}, ids: f.Vocab}, nil
}
