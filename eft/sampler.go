package eft

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrMasked says that what a request asks for leaves no token to choose.
var ErrMasked = errors.New("logit_bias, min_tokens and plausibility leave no token")

// Sampler takes the next token from a [Combination]. Its answer depends on the
// combination, the tokens generated so far and its parameters only; what it holds
// besides is scratch. One goroutine uses it at a time.
//
// Invariants: counts holds how often each id is in the first counted tokens of the
// history that Next was last given. Ids, rising, are all whose scores the parameters can
// change: adjusted holds what they have become at this position, and limits are the
// combination's bounds, raised to what they have become.
type Sampler struct {
	params  Params
	counts  map[Token]int
	counted []Token

	of       *Combination
	ids      []Token
	adjusted []float64
	limits   []float64
	raised   []float64 // memory of limits

	order      ranking
	kept       []Token
	keptScores []float64
	block      block
}

// NewSampler panics if params do not validate: callers validate what clients sent.
func NewSampler(params Params) *Sampler {
	if err := params.Validate(); err != nil {
		panic("eft: " + err.Error())
	}
	s := &Sampler{params: params, counts: map[Token]int{}}
	for id := range params.Bias {
		s.ids = append(s.ids, id)
	}
	if params.MinTokens > 0 {
		s.ids = append(s.ids, params.Ends...)
	}
	slices.Sort(s.ids)
	s.ids = slices.Compact(s.ids)
	return s
}

// Next returns the token at position len(generated). The order is bias, penalties,
// mask of end tokens, temperature, top_k, top_p, min_p, noise. It fails with
// [ErrMasked] if bias and masks leave no id a chance.
func (s *Sampler) Next(c *Combination, generated []Token) (Token, error) {
	s.of = c
	s.adjust(generated)
	top, best := s.top()
	if math.IsInf(best, -1) {
		return 0, fmt.Errorf("%w at position %d", ErrMasked, len(generated))
	}
	p := s.params
	if p.Temperature == 0 {
		return top, nil
	}
	n := newNoise(p.Seed, len(generated))
	if p.TopK > 0 && p.TopK < c.mixer.vocabulary.Size() || p.TopP < 1 {
		s.keepBest(best)
		return s.perturbedKept(n), nil
	}
	least := math.Inf(-1)
	if p.MinP > 0 {
		least = math.Log(p.MinP)
	}
	return s.perturbed(n, top, best, least), nil
}

// adjust finds what bias, penalties and the mask of end tokens make of scores.
func (s *Sampler) adjust(generated []Token) {
	if s.params.Presence != 0 || s.params.Frequency != 0 {
		s.count(generated)
	}
	s.limits = s.of.bounds()
	s.adjusted = s.adjusted[:0]
	if len(s.ids) == 0 {
		return
	}
	s.limits = append(s.raised[:0], s.limits...)
	s.raised = s.limits
	masked := len(generated) < s.params.MinTokens
	filled := -1
	for _, id := range s.ids {
		k, score := int(id)/blockSize, math.Inf(-1)
		if id >= 0 && k < len(s.limits) {
			if k != filled {
				s.of.fill(k, &s.block)
				filled = k
			}
			score = s.block[id%blockSize] + s.params.Bias[id]
			if n := s.counts[id]; n > 0 {
				score -= s.params.Presence + float64(s.params.Frequency*float64(n))
			}
			if masked && slices.Contains(s.params.Ends, id) {
				score = math.Inf(-1)
			}
			s.limits[k] = max(s.limits[k], score)
		}
		s.adjusted = append(s.adjusted, score)
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
		if at, known := slices.BinarySearch(s.ids, id); !known {
			s.ids = slices.Insert(s.ids, at, id)
		}
	}
	s.counted = append(s.counted[:same], generated[same:]...)
}

// bounds and fill make a scorer of the sampler: the combination's scores, adjusted.
func (s *Sampler) bounds() []float64 { return s.limits }

func (s *Sampler) fill(k int, b *block) {
	s.of.fill(k, b)
	if len(s.ids) == 0 {
		return
	}
	at, _ := slices.BinarySearch(s.ids, Token(k*blockSize))
	for ; at < len(s.ids) && int(s.ids[at]) < (k+1)*blockSize; at++ {
		b[s.ids[at]%blockSize] = s.adjusted[at]
	}
}

// top returns the best id, the lowest among equals, and its score; −∞ if no id has a
// chance. A limit that turns out too high is lowered on the way.
func (s *Sampler) top() (Token, float64) {
	for {
		k, limit := greatest(s.limits)
		s.fill(k, &s.block)
		i, best := s.block.greatest()
		if best == limit {
			return Token(k*blockSize + i), best
		}
		s.limits[k] = best
	}
}

// perturbed returns the argmax of scaled score plus noise, the lowest id among equals,
// among ids whose scaled score is least or more. A block is looked into if its bounds of
// score and noise could win together, and an id's noise is drawn if its score could win
// with the greatest noise of its block: the answer is that of drawing all.
func (s *Sampler) perturbed(n noise, top Token, best, least float64) Token {
	// Scaled against the best one, so that a tiny temperature gives 0 and −∞, not all −∞.
	t := s.params.Temperature
	at, record := top, n.of(top)
	for k, limit := range s.limits {
		limit = (limit - best) / t
		hash := n.hash(k)
		if limit < least || limit+n.bound(hash) < record {
			continue
		}
		x, leader := n.greatest(hash)
		lead := -math.Log(x)
		if limit+lead+slack < record {
			continue
		}
		s.fill(k, &s.block)
		for i, score := range s.block {
			score = (score - best) / t
			if score < least || score+lead+slack < record {
				continue
			}
			id, perturbed := Token(k*blockSize+i), score+lead
			if i != leader {
				perturbed = score + n.other(id, x)
			}
			if perturbed > record || perturbed == record && id < at {
				at, record = id, perturbed
			}
		}
	}
	return at
}
