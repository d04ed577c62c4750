package vllm

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

const completions = "/v1/completions"

// wholeVocabulary as the number of log-probs asks for all of them.
const wholeVocabulary = -1

// request is the body of POST /v1/completions, with nothing in it that another Graft
// would refuse. Zeros that mean something are written out.
type request struct {
	Model       string        `json:"model"`
	Prompt      [][]eft.Token `json:"prompt"`
	MaxTokens   int           `json:"max_tokens"`
	Temperature int           `json:"temperature"`
	Logprobs    int           `json:"logprobs"`
	TokenIDs    bool          `json:"return_tokens_as_token_ids"`
	// IgnoreEOS keeps end tokens among the tokens, with their rows.
	IgnoreEOS bool        `json:"ignore_eos"`
	Names     []eft.Token `json:"logprob_token_ids,omitempty"`
	Stream    bool        `json:"stream,omitempty"`
	// Salt is a pointer because the empty one is what a probe sends.
	Salt *string `json:"cache_salt,omitempty"`
	// Bias is for a probe of vLLM alone.
	Bias map[eft.Token]float64 `json:"logit_bias,omitempty"`
}

// newRequest is greedy and asks for one token behind each prompt.
func newRequest(model string, prompts [][]eft.Token, logprobs int) request {
	return request{Model: model, Prompt: prompts, MaxTokens: 1, Logprobs: logprobs, TokenIDs: true, IgnoreEOS: true}
}

// AppendJSON implements [proxy.Appender]: a list of prefixes repeats a text for each token
// of a path, and one that goes on from the one before is copied.
func (r request) AppendJSON(dst []byte) ([]byte, error) {
	type plain request
	rest, err := json.Marshal(struct {
		plain
		Model  *struct{} `json:"model,omitempty"` // in place of the others
		Prompt *struct{} `json:"prompt,omitempty"`
	}{plain: plain(r)})
	if err != nil {
		return nil, err
	}
	model, err := json.Marshal(r.Model)
	if err != nil {
		return nil, err
	}
	ids := 0
	for _, prompt := range r.Prompt {
		ids += len(prompt)
	}
	const digits = 7 // of an id and its comma
	dst = slices.Grow(dst, len(rest)+len(model)+digits*ids)
	dst = append(append(dst, `{"model":`...), model...)
	dst = append(dst, `,"prompt":[`...)
	last := 0 // where the prompt before begins
	for i, prompt := range r.Prompt {
		if i > 0 {
			dst = append(dst, ',')
		}
		begin, known := len(dst), 0
		if prompt == nil {
			dst, last = append(dst, "null"...), begin
			continue
		}
		if i > 0 && extends(prompt, r.Prompt[i-1]) {
			known = len(r.Prompt[i-1])
			dst = append(dst, dst[last:begin-2]...) // without its bracket and the comma
		} else {
			dst = append(dst, '[')
		}
		for j := known; j < len(prompt); j++ {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, int64(prompt[j]), 10)
		}
		dst, last = append(dst, ']'), begin
	}
	dst = append(dst, "],"...)
	return append(dst, rest[1:]...), nil
}

// extends says whether prompt is known to begin with before: they share memory.
func extends(prompt, before []eft.Token) bool {
	return len(before) > 0 && len(prompt) >= len(before) && &prompt[0] == &before[0]
}
