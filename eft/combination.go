package eft

import "math"

// Combination is what the rows of one position came to. The numbers that only a
// report or a client asks for are methods: they are made when they are asked for,
// once, and take what one or two exponentials of each id cost.
type Combination struct {
	// Top and BaseTop are the most probable ids, mixed and in the base alone.
	Top, BaseTop Token
	// MissingMass is the base's probability that a truncated row left out; 0 for
	// a dense one.
	MissingMass float64
	// Truncated says that the base's row was.
	Truncated bool

	mixer    *Mixer
	measured bool // norm, baseNorm and kl are known
	norm     float64
	baseNorm float64
	kl       float64
	told     bool // the mixer's logProbs are this combination's
	baseTold bool
}

// LogProbs returns one normalised log-prob per id of the vocabulary: the mixed
// distribution, before bias, penalties, temperature and filters.
func (c *Combination) LogProbs() []float64 {
	if !c.told {
		c.measure()
		c.mixer.logProbs = c.tell(c.mixer.logProbs, func(k int, b *block) { c.fill(k, b) }, c.norm)
		c.told = true
	}
	return c.mixer.logProbs
}

// BaseLogProbs returns the base's own log-probs, as the mix took them: normalised,
// the tail of a truncated row completed.
func (c *Combination) BaseLogProbs() []float64 {
	if !c.baseTold {
		c.measure()
		c.mixer.baseLogProbs = c.tell(c.mixer.baseLogProbs, c.mixer.fillBase, c.baseNorm)
		c.baseTold = true
	}
	return c.mixer.baseLogProbs
}

// tell fills dst with the normalised log-probs of all ids.
func (c *Combination) tell(dst []float64, fill func(int, *block), norm float64) []float64 {
	size := c.mixer.vocabulary.Size()
	if dst == nil {
		dst = make([]float64, size)
	}
	var b block
	for k := range c.mixer.maxima {
		fill(k, &b)
		for i := range b {
			b[i] -= norm
		}
		copy(dst[k*blockSize:], b[:])
	}
	return dst
}

// LogProb returns the mixed log-prob of id, −∞ for an id beyond the vocabulary.
func (c *Combination) LogProb(id Token) float64 {
	if id < 0 || int(id) >= c.mixer.vocabulary.Size() {
		return math.Inf(-1)
	}
	c.measure()
	var b block
	c.fill(int(id)/blockSize, &b)
	return b[id%blockSize] - c.norm
}

// KL returns KL(mixed ‖ base) in nats, to 1e-12 or so. Of a mix that is the base's own
// distribution nothing is computed, nor would rounding be told of it.
func (c *Combination) KL() float64 {
	if m := c.mixer.mix; m.Base == 1 && m.Plausibility == 0 && m.Plain() {
		return 0
	}
	c.measure()
	return c.kl
}

// Best appends the n best ids of c to dst, best first, equal ones by rising id. Ids
// without a chance are never among them.
func (c *Combination) Best(dst []Token, n int) []Token {
	r := &c.mixer.ranking
	r.reset(c)
	for ; n > 0 && r.more(); n-- {
		id, _ := r.pop()
		dst = append(dst, id)
	}
	return dst
}

func (c *Combination) bounds() []float64 { return c.mixer.maxima }

func (c *Combination) fill(k int, b *block) { c.mixer.fill(k, b) }

// measure finds what normalises both distributions, and the divergence:
//
//	KL = Σ p(x)·(s(x) − b(x)) − norm + baseNorm,  p(x) = exp(s(x) − norm)
func (c *Combination) measure() {
	if c.measured {
		return
	}
	c.measured = true
	m := c.mixer
	_, best := greatest(m.maxima)
	var b, s, e block
	m.fillBase(int(c.BaseTop)/blockSize, &b)
	baseBest := b[c.BaseTop%blockSize]
	sum, baseSum, divergence := 0.0, 0.0, 0.0
	for k, greatest := range m.maxima {
		m.fillBase(k, &b)
		if greatest-best >= negligible {
			m.fill(k, &s)
			e = s
			sum += e.exponentials(best)
			for i, p := range e {
				if p > 0 {
					divergence += float64(p * ((s[i] - best) - (b[i] - baseBest)))
				}
			}
		}
		baseSum += b.exponentials(baseBest)
	}
	c.norm, c.baseNorm = best+math.Log(sum), baseBest+math.Log(baseSum)
	c.kl = max(divergence/sum-math.Log(sum)+math.Log(baseSum), 0)
}
