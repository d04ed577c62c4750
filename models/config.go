package models

import (
	"cmp"
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
	twoParts     bool              // an encoder-decoder
	shortened    int               // the context that the folder tells, where context is less; 0 otherwise
}

// modelConfig is a config.json. Models of several parts keep the language model's
// numbers in text_config. Each architecture has its own word for the context.
type modelConfig struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	EOS           idSet    `json:"eos_token_id"`
	TwoParts      bool     `json:"is_encoder_decoder"`

	MaxPositionEmbeddings int `json:"max_position_embeddings"` // Llama and most others
	NPositions            int `json:"n_positions"`             // GPT-2, CodeGen
	MaxSeqLen             int `json:"max_seq_len"`             // MPT
	SeqLength             int `json:"seq_length"`              // ChatGLM, BLOOM
	NCtx                  int `json:"n_ctx"`

	RopeScaling          *ropeScaling `json:"rope_scaling"`
	RopeParameters       *ropeScaling `json:"rope_parameters"` // as transformers 5 writes it
	OriginalMaxPositions int          `json:"original_max_position_embeddings"`

	Text *modelConfig `json:"text_config"`
}

// ropeScaling is how a model stretches its rotary tables over long texts.
type ropeScaling struct {
	RopeType             string `json:"rope_type"`
	Type                 string `json:"type"` // before it was called rope_type
	OriginalMaxPositions int    `json:"original_max_position_embeddings"`
}

// switches is the length at which a model goes over to other rotary tables, 0 if it
// never does. Keys of earlier tokens keep the first tables' angles, so that beyond it
// a row would depend on how its text was cut into runs.
func (c *modelConfig) switches() int {
	for _, r := range []*ropeScaling{c.RopeParameters, c.RopeScaling} {
		if r != nil && slices.Contains([]string{"longrope", "su"}, cmp.Or(r.RopeType, r.Type)) {
			return cmp.Or(r.OriginalMaxPositions, c.OriginalMaxPositions)
		}
	}
	if c.Text != nil {
		return c.Text.switches()
	}
	return 0
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
	var tokens, special object
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
	c := config{context: model.context(), kind: model.ModelType, graph: genai.Model.Decoder.Filename, twoParts: model.TwoParts}
	if tokens == nil {
		tokens = object("{}")
	}
	var err error
	if c.special, err = chattemplate.SpecialTokens(json.RawMessage(tokens), json.RawMessage(special)); err != nil {
		wrong = errors.Join(wrong, fmt.Errorf("%s/%w", f.name, err))
	}
	if len(model.Architectures) > 0 {
		c.architecture = model.Architectures[0]
	}
	c.kind, c.context = cmp.Or(c.kind, genai.Model.Type), cmp.Or(c.context, genai.Model.Context)
	if at := model.switches(); at > 0 && at < c.context {
		c.context, c.shortened = at, c.context
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
	if c.shortened > 0 {
		notes = append(notes, fmt.Sprintf("its rotary tables change after %d tokens (longrope), beyond which rows depend on how a text was cut into runs: texts end there, not at %d", c.context, c.shortened))
	}
	return notes
}

// object is a JSON object as it was written.
type object json.RawMessage

func (o *object) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	*o = slices.Clone(data)
	return nil
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
