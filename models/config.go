package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/chattemplate"
	"github.com/graft-gateway/graft/models/tokenizer"
)

// config is what a folder says of its model beside the graph.
type config struct {
	context      int               // 0 if the folder does not say
	ends         []eft.Token       // within the vocabulary
	strays       []eft.Token       // end tokens beyond it, which no text can have
	special      map[string]string // named special tokens, such as bos_token
	architecture string            // as LlamaForCausalLM; empty if the folder does not say
	kind         string            // as llama; empty if the folder does not say
	graph        string            // the graph's file, where the folder names one
}

// modelConfig is a config.json. Models of several parts keep the language model's
// numbers in text_config. Each architecture has its own word for the context.
type modelConfig struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	EOS           idSet    `json:"eos_token_id"`

	MaxPositionEmbeddings int `json:"max_position_embeddings"` // Llama and most others
	NPositions            int `json:"n_positions"`             // GPT-2, CodeGen
	MaxSeqLen             int `json:"max_seq_len"`             // MPT
	SeqLength             int `json:"seq_length"`              // ChatGLM, BLOOM
	NCtx                  int `json:"n_ctx"`

	Text *modelConfig `json:"text_config"`
}

// context is the first that is given.
func (c *modelConfig) context() int {
	for _, n := range []int{c.MaxPositionEmbeddings, c.NPositions, c.MaxSeqLen, c.SeqLength, c.NCtx} {
		if n > 0 {
			return n
		}
	}
	if c.Text != nil {
		return c.Text.context()
	}
	return 0
}

// ends are the model's own, before those of the language model in it.
func (c *modelConfig) ends() idSet {
	if c.EOS == nil && c.Text != nil {
		return c.Text.ends()
	}
	return c.EOS
}

// genaiConfig is the genai_config.json that onnxruntime-genai's builder writes,
// often in place of a config.json.
type genaiConfig struct {
	Model struct {
		Type    string `json:"type"`
		Context int    `json:"context_length"`
		EOS     idSet  `json:"eos_token_id"`
		Decoder struct {
			Filename string `json:"filename"`
		} `json:"decoder"`
	} `json:"model"`
}

// config reads what the folder's files say. Where several do, the order is that of
// transformers: generation_config.json before config.json. Without a tokenizer no end
// token is known. With an error comes what the other files say.
func (f Folder) config(t *tokenizer.Tokenizer) (config, error) {
	var model modelConfig
	var genai genaiConfig
	var generation struct {
		EOS idSet `json:"eos_token_id"`
	}
	var tokens, special json.RawMessage
	var wrong error
	for _, file := range []struct {
		name string
		dst  any
	}{
		{"config.json", &model}, {"genai_config.json", &genai}, {"generation_config.json", &generation},
		{"tokenizer_config.json", &tokens}, {"special_tokens_map.json", &special},
	} {
		wrong = errors.Join(wrong, f.readJSON(file.name, file.dst))
	}
	c := config{context: model.context(), kind: model.ModelType, graph: genai.Model.Decoder.Filename}
	if tokens == nil {
		tokens = json.RawMessage("{}")
	}
	var err error
	if c.special, err = chattemplate.SpecialTokens(tokens, special); err != nil {
		wrong = errors.Join(wrong, fmt.Errorf("%s/%w", f.name, err))
	}
	if len(model.Architectures) > 0 {
		c.architecture = model.Architectures[0]
	}
	if c.kind == "" {
		c.kind = genai.Model.Type
	}
	if c.context == 0 {
		c.context = genai.Model.Context
	}
	if t != nil {
		c.setEnds(t, generation.EOS, model.ends(), genai.Model.EOS)
	}
	return c, wrong
}

// setEnds takes the first source that names end tokens, or else the tokenizer's own.
func (c *config) setEnds(t *tokenizer.Tokenizer, sources ...idSet) {
	var ids idSet
	for _, source := range sources {
		if ids == nil {
			ids = source
		}
	}
	if id, ok := t.ID(c.special["eos_token"]); ids == nil && ok {
		ids = idSet{id}
	}
	for _, id := range ids {
		if t.Vocabulary().Piece(id) == nil {
			c.strays = append(c.strays, id)
		} else if !slices.Contains(c.ends, id) {
			c.ends = append(c.ends, id)
		}
	}
}

// notes are what should be known of the model and does not hinder it.
func (c *config) notes() []string {
	var notes []string
	if len(c.strays) > 0 {
		notes = append(notes, fmt.Sprintf("eos_token_id names %v, which are not in the vocabulary and end no text", c.strays))
	}
	if len(c.ends) == 0 {
		notes = append(notes, "it has no end token: texts go on to the most tokens that are asked for; name one as eos_token_id in generation_config.json")
	}
	return notes
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
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
