package eft

import "math"

// Combination is what the rows of one position came to. The numbers that only a
// report or a client asks for are methods: they are made when they are asked for.
type Combination struct {
	// Top and BaseTop are the most probable ids, mixed and in the base alone.
	Top, BaseTop Token
	// MissingMass is the base's probability that a truncated row left out; 0 for
	// a dense one.
	MissingMass float64
	// Truncated says that the base's row was.
	Truncated bool

	logProbs, baseLogProbs []float64
	kl                     float64
}

// LogProbs returns one normalised log-prob per id of the vocabulary: the mixed
// distribution, before bias, penalties, temperature and filters.
func (c *Combination) LogProbs() []float64 { return c.logProbs }

// BaseLogProbs returns the base's own log-probs, as the mix took them: normalised,
// the tail of a truncated row completed.
func (c *Combination) BaseLogProbs() []float64 { return c.baseLogProbs }

// LogProb returns the mixed log-prob of id, −∞ for an id beyond the vocabulary.
func (c *Combination) LogProb(id Token) float64 {
	if id < 0 || int(id) >= len(c.logProbs) {
		return math.Inf(-1)
	}
	return c.logProbs[id]
}

// KL returns KL(mixed ‖ base) in nats.
func (c *Combination) KL() float64 { return c.kl }
