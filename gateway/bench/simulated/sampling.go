package simulated

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

// sampling is what vLLM's two endpoints have in common.
type sampling struct {
	model                              string
	temperature, topP, minP            float64
	presence, frequency, repetition    float64
	topK, n, minTokens                 int
	seed                               *int64
	stop                               words
	stopIDs                            tokenIDs
	bias                               map[string]float64
	ignoreEOS, stream, skipSpecial     bool
	tokensAsIDs, returnIDs, addSpecial bool
	options                            struct{ IncludeUsage, ContinuousUsageStats bool }
	salt                               *string
	user                               string
	named                              tokenIDs
}

func newSampling() sampling {
	return sampling{temperature: 1, topP: 1, repetition: 1, n: 1, skipSpecial: true, addSpecial: true}
}

// fields are the members of a request that are read here.
func (s *sampling) fields() map[string]any {
	return map[string]any{
		"model": &s.model, "temperature": &s.temperature, "top_p": &s.topP, "min_p": &s.minP, "top_k": &s.topK,
		"presence_penalty": &s.presence, "frequency_penalty": &s.frequency, "repetition_penalty": &s.repetition,
		"n": &s.n, "min_tokens": &s.minTokens, "seed": &s.seed, "stop": &s.stop, "stop_token_ids": &s.stopIDs,
		"logit_bias": &s.bias, "ignore_eos": &s.ignoreEOS, "stream": &s.stream, "stream_options": (*streamOptions)(&s.options),
		"skip_special_tokens": &s.skipSpecial, "add_special_tokens": &s.addSpecial,
		"return_tokens_as_token_ids": &s.tokensAsIDs, "return_token_ids": &s.returnIDs,
		"cache_salt": &s.salt, "user": &s.user, "logprob_token_ids": &s.named,
	}
}

// streamOptions are strict, too.
type streamOptions struct{ IncludeUsage, ContinuousUsageStats bool }

// UnmarshalJSON reads the two that there are.
func (o *streamOptions) UnmarshalJSON(data []byte) error {
	return members(data, map[string]any{"include_usage": &o.IncludeUsage, "continuous_usage_stats": &o.ContinuousUsageStats})
}

// namesMost is how many ids vLLM takes by name.
const namesMost = 128

// check refuses what vLLM refuses, and what is not simulated.
func (s *sampling) check(vocabulary int) error {
	switch {
	case s.salt != nil && *s.salt == "":
		return refuse("cache_salt", "Parameter 'cache_salt' must be a non-empty string if provided. (parameter=cache_salt)")
	case s.n < 1 || s.n > 128:
		return refuse("n", "n must be from 1 to 128, got %d.", s.n)
	case s.repetition != 1:
		return refuse("repetition_penalty", "repetition_penalty is not simulated: leave it at 1")
	case len(s.named) > namesMost:
		return refuse("logprob_token_ids", "Requested logprob_token_ids of length %d, which is greater than max allowed: %d (parameter=logprob_token_ids, value=%d)", len(s.named), namesMost, len(s.named))
	case slices.Contains(s.stop, ""):
		return refuse("stop", "stop cannot contain an empty string.")
	case s.options != struct{ IncludeUsage, ContinuousUsageStats bool }{} && !s.stream:
		return refuse("stream_options", "Stream options can only be defined when `stream=True`.")
	}
	for _, id := range s.named {
		if int(id) >= vocabulary {
			return refuse("logprob_token_ids", "Token id %d is out of vocabulary", id)
		}
	}
	return nil
}

// params are those of choice i, as eft knows them.
func (s *sampling) params(i, vocabulary int, ends []eft.Token) (eft.Params, error) {
	p := eft.Params{
		Temperature: s.temperature, TopK: max(0, s.topK), TopP: s.topP, MinP: s.minP,
		Presence: s.presence, Frequency: s.frequency, MinTokens: s.minTokens, Ends: append(slices.Clone(ends), s.stopIDs...),
	}
	if s.seed != nil {
		p.Seed = uint64(*s.seed) + uint64(i)
	} else {
		p.Seed = drawn()
	}
	var err error
	if p.Bias, err = biases(s.bias, vocabulary); err != nil {
		return p, err
	}
	if err := p.Validate(); err != nil {
		return p, refuse("", "%v", err)
	}
	return p, nil
}

func biases(written map[string]float64, vocabulary int) (map[eft.Token]float64, error) {
	bias := make(map[eft.Token]float64, len(written))
	for key, b := range written {
		id, err := strconv.Atoi(key)
		if err != nil || id < 0 || id >= vocabulary {
			return nil, refuse("logit_bias", "token_id %s in logit_bias contains out-of-vocab token id", key)
		}
		bias[eft.Token(id)] = b
	}
	return bias, nil
}

// drawn is a seed for who gives none.
func drawn() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}
