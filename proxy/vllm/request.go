package vllm

import "github.com/graft-gateway/graft/eft"

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
