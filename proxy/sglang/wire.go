package sglang

import (
	"encoding/json"

	"github.com/graft-gateway/graft/eft"
)

// generateRequest is the body of POST /generate.
type generateRequest struct {
	InputIDs any      `json:"input_ids"` // []eft.Token, or a list of such
	Sampling sampling `json:"sampling_params"`
	// ReturnLogprob asks for log-probs at all. LogprobStart is where those of the
	// prompt begin, one number or one for each prompt of a list; −1 asks for none of them.
	ReturnLogprob bool        `json:"return_logprob"`
	LogprobStart  any         `json:"logprob_start_len"`
	TopLogprobs   int         `json:"top_logprobs_num"`
	Named         []eft.Token `json:"token_ids_logprob,omitempty"`
	ReturnText    bool        `json:"return_text_in_logprobs"`
	Stream        bool        `json:"stream"`
	// ExtraKey and CacheSalt both part the cache of prefixes; older servers know
	// the first only.
	ExtraKey  string `json:"extra_key,omitempty"`
	CacheSalt string `json:"cache_salt,omitempty"`
}

// sampling names everything that could make rows other than raw, since a server may
// have defaults of its own for what is not named.
type sampling struct {
	MaxNewTokens      int                `json:"max_new_tokens"`
	MinNewTokens      int                `json:"min_new_tokens"`
	Temperature       float64            `json:"temperature"`
	TopK              int                `json:"top_k"`
	TopP              float64            `json:"top_p"`
	MinP              float64            `json:"min_p"`
	FrequencyPenalty  float64            `json:"frequency_penalty"`
	PresencePenalty   float64            `json:"presence_penalty"`
	RepetitionPenalty float64            `json:"repetition_penalty"`
	IgnoreEOS         bool               `json:"ignore_eos"`
	LogitBias         map[string]float64 `json:"logit_bias,omitempty"`
}

// named lists the sampling parameters that every request sets.
var named = []string{"max_new_tokens", "min_new_tokens", "temperature", "top_k", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "ignore_eos"}

// greedy is the sampling that leaves rows raw.
func greedy(tokens int, ignoreEOS bool) sampling {
	return sampling{MaxNewTokens: tokens, Temperature: 1, TopK: 1, TopP: 1, RepetitionPenalty: 1, IgnoreEOS: ignoreEOS}
}

// answer is what /generate gives for one prompt, whole or as an event of a stream.
type answer struct {
	Meta  meta // meta_info
	Error *struct {
		Message string `json:"message"`
		Code    int    `json:"code"`
	}
}

// meta is meta_info; read.go has the names.
type meta struct {
	Finish *struct {
		Type       string `json:"type"`
		Message    string `json:"message"`
		StatusCode int    `json:"status_code"`
	}
	PromptTokens, CompletionTokens int
	CachedTokens                   *int
	WeightVersion                  json.RawMessage

	InputTokens, OutputTokens []entry
	InputTop, OutputTop       [][]entry
	InputNamed, OutputNamed   [][]entry
}

// entry is one [log-prob, id, text].
type entry struct {
	ID      eft.Token
	LogProb float32
}

// modelInfo is what /model_info tells: who the model is.
type modelInfo struct {
	ModelPath     string          `json:"model_path"`
	TokenizerPath string          `json:"tokenizer_path"`
	IsGeneration  *bool           `json:"is_generation"`
	WeightVersion json.RawMessage `json:"weight_version"`
	// Preferred are sampling parameters that the server puts under a request's.
	Preferred json.RawMessage `json:"preferred_sampling_params"`
}

// serverInfo is the part of /server_info that is of use.
type serverInfo struct {
	Version        string          `json:"version"`
	Dtype          json.RawMessage `json:"dtype"`
	Quantization   json.RawMessage `json:"quantization"`
	KVCacheDtype   json.RawMessage `json:"kv_cache_dtype"`
	Revision       json.RawMessage `json:"revision"`
	MaxReqInputLen int             `json:"max_req_input_len"`
	DisableRadix   bool            `json:"disable_radix_cache"`
}

// modelList is the answer of /v1/models.
type modelList struct {
	Data []struct {
		ID          string  `json:"id"`
		Parent      *string `json:"parent"`
		MaxModelLen int     `json:"max_model_len"`
	} `json:"data"`
}
