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

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
