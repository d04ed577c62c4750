package openai

import "github.com/graft-gateway/graft/eft"

// ModelList is the answer to GET /v1/models.
type ModelList struct {
	Object string  `json:"object"` // ObjectList
	Data   []Model `json:"data"`   // not nil
}

// Model is a route as clients see it. OpenAI's clients read the first four
// fields; the others are the gateway's.
type Model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`  // ObjectModel
	Created int64  `json:"created"` // seconds since 1970
	OwnedBy string `json:"owned_by"`

	VocabSize   int                   `json:"vocab_size,omitempty"`
	MaxModelLen int                   `json:"max_model_len,omitempty"`
	MaxLogprobs int                   `json:"max_logprobs,omitempty"` // the most that completions tell at a position
	Fingerprint string                `json:"fingerprint,omitempty"`  // another one where the answers could differ
	Base        string                `json:"base,omitempty"`
	Experts     map[string]float64    `json:"experts,omitempty"` // name → weight by default
	Bounds      map[string][2]float64 `json:"bounds,omitempty"`  // knob → least and most
}

// TokenizeResponse is the answer to POST /tokenize.
type TokenizeResponse struct {
	Count       int         `json:"count"`
	MaxModelLen int         `json:"max_model_len"`
	Tokens      []eft.Token `json:"tokens"` // not nil
}

// DetokenizeResponse is the answer to POST /detokenize.
type DetokenizeResponse struct {
	Prompt string `json:"prompt"`
}

// TokenizerInfo is the answer to GET /tokenizer_info, by the names that
// tokenizer_config.json has. What a tokenizer has not is left out.
type TokenizerInfo struct {
	TokenizerClass string `json:"tokenizer_class,omitempty"`
	BOSToken       string `json:"bos_token,omitempty"`
	EOSToken       string `json:"eos_token,omitempty"`
	PadToken       string `json:"pad_token,omitempty"`
	ChatTemplate   string `json:"chat_template,omitempty"`
	ModelMaxLength int    `json:"model_max_length,omitempty"`
}
