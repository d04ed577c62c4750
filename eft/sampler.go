package eft

import (
	"errors"
	"fmt"
	"math"
)

// ErrMasked says that what a request asks for leaves no token to choose.
var ErrMasked = errors.New("logit_bias, min_tokens and plausibility leave no token")

// Sampler takes the next token from a [Combination]. Its answer depends on the
// combination, the tokens generated so far and its parameters only; what it holds
// besides is scratch. One goroutine uses it at a time.
//
// Invariant: counts holds how often each id is in the first counted tokens of the
// history that Next was last given.
type Sampler struct {
	params  Params
	scores  []float64
	counts  map[Token]int
	counted []Token

	order      ranking
	kept       []Token
	keptScores []float64
}

// NewSampler panics if params do not validate: callers validate what clients sent.
func NewSampler(params Params) *Sampler {
	if err := params.Validate(); err != nil {
		panic("eft: " + err.Error())
	}
	return &Sampler{params: params, counts: map[Token]int{}}
}

// Next returns the token at position len(generated). The order is bias, penalties,
// mask of end tokens, temperature, top_k, top_p, min_p, noise. It fails with
// [ErrMasked] if bias and masks leave no id a chance.
func (s *Sampler) Next(c *Combination, generated []Token) (Token, error) {
	s.scores = append(s.scores[:0], c.logProbs...)
	s.bias()
	s.penalise(generated)
	if len(generated) < s.params.MinTokens {
		for _, id := range s.params.Ends {
			if int(id) < len(s.scores) {
				s.scores[id] = math.Inf(-1)
			}
		}
	}
	top := argmax(s.scores)
	if math.IsInf(s.scores[top], -1) {
		return 0, fmt.Errorf("%w at position %d", ErrMasked, len(generated))
	}
	if s.params.Temperature == 0 {
		return top, nil
	}
	// Against the best one, so that a tiny temperature gives 0 and −∞, not all −∞.
	best := s.scores[top]
	for id := range s.scores {
		s.scores[id] = (s.scores[id] - best) / s.params.Temperature
	}
	s.filter(top)
	return s.perturbed(newNoise(s.params.Seed, len(generated)), top), nil
}

func (s *Sampler) bias() {
	for id, b := range s.params.Bias {
		if int(id) < len(s.scores) {
			s.scores[id] += b
		}
	}
}

// penalise subtracts presence and frequency penalties for generated tokens.
func (s *Sampler) penalise(generated []Token) {
	if s.params.Presence == 0 && s.params.Frequency == 0 {
		return
	}
	s.count(generated)
	for id, n := range s.counts {
		if n > 0 && int(id) < len(s.scores) {
			s.scores[id] -= s.params.Presence + s.params.Frequency*float64(n)
		}
	}
}

// count brings counts from the last history to this one, which as a rule is the
// last one and a token more.
func (s *Sampler) count(generated []Token) {
	same := 0
	for same < min(len(s.counted), len(generated)) && s.counted[same] == generated[same] {
		same++
	}
	for _, id := range s.counted[same:] {
		s.counts[id]--
	}
	for _, id := range generated[same:] {
		s.counts[id]++
	}
	s.counted = append(s.counted[:same], generated[same:]...)
}

// perturbed returns the argmax of score plus noise, the lowest id among equals.
// Noise is drawn only for ids that can still win.
func (s *Sampler) perturbed(n noise, top Token) Token {
	at, best := top, s.scores[top]+n.gumbel(top)
	for id, score := range s.scores {
		if score+gumbelMax < best || Token(id) == top {
			continue
		}
		p := score + n.gumbel(Token(id))
		if p > best || (p == best && Token(id) < at) {
			at, best = Token(id), p
		}
	}
	return at
}
