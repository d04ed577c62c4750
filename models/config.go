package models

import (
	"encoding/json"
	"fmt"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/tokenizer"
)

// config is what a folder says of its model beside the graph.
type config struct {
	context  int
	ends     []eft.Token
	bos, eos string
}

func (f Folder) config(t *tokenizer.Tokenizer) (config, error) {
	var model struct {
		Context int   `json:"max_position_embeddings"`
		EOS     idSet `json:"eos_token_id"`
	}
	var generation struct {
		EOS idSet `json:"eos_token_id"`
	}
	var tokens struct {
		BOS content `json:"bos_token"`
		EOS content `json:"eos_token"`
	}
	for name, v := range map[string]any{"config.json": &model, "generation_config.json": &generation, "tokenizer_config.json": &tokens} {
		if err := f.readJSON(name, v); err != nil {
			return config{}, err
		}
	}
	c := config{context: model.Context, bos: string(tokens.BOS), eos: string(tokens.EOS)}
	if c.context < 1 {
		return c, fmt.Errorf("model folder %s: config.json has no max_position_embeddings, the model's context", f.name)
	}
	// As transformers does it: generation_config.json before config.json.
	c.ends = generation.EOS
	if c.ends == nil {
		c.ends = model.EOS
	}
	if id, ok := t.ID(c.eos); c.ends == nil && ok {
		c.ends = []eft.Token{id}
	}
	for _, id := range c.ends {
		if t.Vocabulary().Piece(id) == nil {
			return c, fmt.Errorf("model folder %s: eos_token_id %d is not in the vocabulary of %d ids", f.name, id, t.Vocabulary().Size())
		}
	}
	return c, nil
}

// idSet is an id or a list of ids.
type idSet []eft.Token

func (s *idSet) UnmarshalJSON(data []byte) error {
	var one eft.Token
	if json.Unmarshal(data, &one) == nil && string(data) != "null" {
		*s = idSet{one}
		return nil
	}
	return json.Unmarshal(data, (*[]eft.Token)(s))
}

// content is a token's text, given as a string or as {"content": …}.
type content string

func (c *content) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*string)(c)) == nil {
		return nil
	}
	var token struct {
		Content string `json:"content"`
	}
	err := json.Unmarshal(data, &token)
	*c = content(token.Content)
	return err
}
