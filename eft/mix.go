package eft

import (
	"fmt"
	"math"
)

// Weights are what one pair counts for: tuned·log tuned − untuned·log untuned.
// Strength α is {α, α}; an expert that only adds (no untuned model) is {α, 0}.
type Weights struct {
	Tuned, Untuned float64
}

// Tail says what a truncated base row means for the ids it does not list.
type Tail string

const (
	// TailUntuned spreads the missing mass as the first pair's untuned model
	// would, no id above the least of the best listed ones. Without an untuned
	// model it is TailDrop.
	TailUntuned Tail = "untuned"
	// TailDrop gives unlisted ids no mass.
	TailDrop Tail = "drop"
)

// Mix holds the weights of one request.
type Mix struct {
	// Base is w, the weight of the base's log-probs; 1 is the papers' method.
	Base float64
	// Pairs has one entry per pair, in the order of [Rows].Pairs. A pair whose
	// weights are both 0 needs no rows.
	Pairs []Weights
	// Plausibility masks ids whose base probability is below this share of the
	// base's best (Li et al. 2023, arXiv 2210.15097); 0 masks none.
	Plausibility float64
	// Tail is how truncated base rows are read; empty is TailUntuned.
	Tail Tail
}

// Validate names the first weight that is not a finite number, not in its
// range, or unknown.
func (m Mix) Validate() error {
	if !finite(m.Base) || m.Base < 0 {
		return fmt.Errorf("base weight %v: must be a finite number, 0 or more", m.Base)
	}
	for i, w := range m.Pairs {
		if !finite(w.Tuned) || !finite(w.Untuned) {
			return fmt.Errorf("weights of pair %d {%v, %v}: must be finite numbers", i, w.Tuned, w.Untuned)
		}
	}
	if !(m.Plausibility >= 0 && m.Plausibility <= 1) {
		return fmt.Errorf("plausibility %v: must be from 0 to 1", m.Plausibility)
	}
	switch m.Tail {
	case "", TailUntuned, TailDrop:
		return nil
	}
	return fmt.Errorf("tail %q: must be %q or %q", m.Tail, TailUntuned, TailDrop)
}

// Plain says that no pair has weight: only the base counts.
func (m Mix) Plain() bool {
	for _, w := range m.Pairs {
		if !w.Zero() {
			return false
		}
	}
	return true
}

// identity says that the mixed distribution is the base's own.
func (m Mix) identity() bool { return m.Base == 1 && m.Plain() && m.Plausibility == 0 }

// Zero says that the pair has no weight and its models need not run.
func (w Weights) Zero() bool { return w == Weights{} }

// PairRows are one pair's dense rows of one position. Untuned is the zero Row
// for an expert that only adds.
type PairRows struct {
	Tuned, Untuned Row
}

// Rows are all models' rows of one position.
type Rows struct {
	Base  Row
	Pairs []PairRows
}

// Mixer combines rows with the weights of one request. It holds the scratch of
// one goroutine: a [Combination] is valid until the next Combine.
type Mixer struct {
	vocabulary *Vocabulary
	mix        Mix
	holes      []Token
	base       []float64
	combined   Combination
	listed     []bool
}

// NewMixer panics if mix does not validate: callers validate what clients sent.
func NewMixer(v *Vocabulary, mix Mix) *Mixer {
	if err := mix.Validate(); err != nil {
		panic("eft: " + err.Error())
	}
	m := &Mixer{vocabulary: v, mix: mix, base: make([]float64, v.Size())}
	m.combined.logProbs = make([]float64, v.Size())
	for id := range v.pieces {
		if v.pieces[id] == nil {
			m.holes = append(m.holes, Token(id))
		}
	}
	return m
}

// Combine mixes one position. Where a log-prob of −∞ leaves a shift undefined
// there is none: an id impossible to the base stays so, and an id impossible to
// an untuned model is not shifted by that pair. It fails on rows of the wrong
// shape and on NaN or +∞ in them.
func (m *Mixer) Combine(rows Rows) (*Combination, error) {
	if len(rows.Pairs) != len(m.mix.Pairs) {
		return nil, fmt.Errorf("rows of %d pairs, weights of %d", len(rows.Pairs), len(m.mix.Pairs))
	}
	if err := m.readBase(rows); err != nil {
		return nil, err
	}
	c := &m.combined
	for id, b := range m.base {
		// Not by multiplication: 0·−∞ is NaN, and the impossible stays impossible.
		if math.IsInf(b, -1) {
			c.logProbs[id] = b
		} else {
			c.logProbs[id] = m.mix.Base * b
		}
	}
	for i, w := range m.mix.Pairs {
		if w.Zero() {
			continue
		}
		if err := m.shift(w, rows.Pairs[i]); err != nil {
			return nil, fmt.Errorf("pair %d: %w", i, err)
		}
	}
	m.maskImplausible()
	return c, m.normalise()
}

// shift adds w.Tuned·log tuned − w.Untuned·log untuned. The rows' normalisers
// are constants of the position and are left out.
func (m *Mixer) shift(w Weights, pair PairRows) error {
	dst := m.combined.logProbs
	tuned, err := m.dense("tuned", pair.Tuned)
	if err != nil {
		return err
	}
	if w.Untuned == 0 {
		for id, t := range tuned {
			dst[id] += w.Tuned * float64(t)
		}
		return nil
	}
	untuned, err := m.dense("untuned", pair.Untuned)
	if err != nil {
		return err
	}
	for id, u := range untuned {
		if !math.IsInf(float64(u), -1) {
			dst[id] += w.Tuned*float64(tuned[id]) - w.Untuned*float64(u)
		}
	}
	return nil
}

// dense returns the row's scores cut to the vocabulary.
func (m *Mixer) dense(name string, row Row) ([]float32, error) {
	if !row.Dense() {
		return nil, fmt.Errorf("%s row is truncated or missing: small models must score the whole vocabulary", name)
	}
	if len(row.Scores) < m.vocabulary.Size() {
		return nil, fmt.Errorf("%s row scores %d ids, the vocabulary has %d", name, len(row.Scores), m.vocabulary.Size())
	}
	return row.Scores[:m.vocabulary.Size()], nil
}

// maskImplausible applies the plausibility mask to the mixed scores.
func (m *Mixer) maskImplausible() {
	if m.mix.Plausibility == 0 {
		return
	}
	least := m.base[m.combined.BaseTop] + math.Log(m.mix.Plausibility)
	for id, b := range m.base {
		if b < least {
			m.combined.logProbs[id] = math.Inf(-1)
		}
	}
}

// normalise makes the log-probs sum to 1 and finds Top and the divergence on the way.
func (m *Mixer) normalise() error {
	c := &m.combined
	c.Top = argmax(c.logProbs)
	best := c.logProbs[c.Top]
	if math.IsInf(best, 0) || math.IsNaN(best) {
		return fmt.Errorf("mixed scores have no finite best (%v): a row holds NaN or ∞, or no id has a chance", best)
	}
	sum, divergence := 0.0, 0.0
	for id, s := range c.logProbs {
		e := math.Exp(s - best)
		sum += e
		if e > 0 {
			divergence += e * (s - m.base[id])
		}
	}
	if math.IsNaN(sum) {
		return fmt.Errorf("mixed scores hold NaN: a row does")
	}
	norm := best + math.Log(sum)
	for id := range c.logProbs {
		c.logProbs[id] -= norm
	}
	if !m.mix.identity() { // of which rounding would make 1e-16
		c.kl = max(divergence/sum-norm, 0)
	}
	return nil
}

// LogProb returns the normalised log-prob of id in a row over vocabulary v, −∞
// for an id that a truncated row does not list.
func (v *Vocabulary) LogProb(row Row, id Token) float64 {
	if row.Dense() {
		if int(id) >= len(row.Scores) {
			return math.Inf(-1)
		}
		return float64(row.Scores[id]) - LogSumExp(row.Scores[:min(v.Size(), len(row.Scores))])
	}
	for i, listed := range row.IDs {
		if listed == id {
			return float64(row.LogProbs[i])
		}
	}
	return math.Inf(-1)
}

// argmax returns the index of the largest value, the lowest among equals, 0 for
// all −∞. NaN never wins.
func argmax(x []float64) Token {
	at, best := 0, math.Inf(-1)
	for i, v := range x {
		if v > best {
			at, best = i, v
		}
	}
	return Token(at)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
