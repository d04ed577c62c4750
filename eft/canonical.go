package eft

import (
	"cmp"
	"slices"
)

// Scored is a token and its log-prob.
type Scored struct {
	ID      Token
	LogProb float32
}

// Canonical makes the truncated row of the k best of listed, by log-prob and then by
// id; whatever else a server listed, such as the token it sampled, is dropped. It
// lists fewer than k where there are fewer. Log-probs of −∞ are no listing: such ids
// are dropped, too. Listed is taken over: its order and what is dropped are lost.
func Canonical(listed []Scored, k int) Row {
	listed = slices.DeleteFunc(listed, func(s Scored) bool { return !finite(float64(s.LogProb)) })
	listed = best(listed, k)
	row := Row{IDs: make([]Token, len(listed)), LogProbs: make([]float32, len(listed)), Best: len(listed)}
	for i, s := range listed {
		row.IDs[i], row.LogProbs[i] = s.ID, s.LogProb
	}
	return row
}

// best orders the k best of listed and returns them. Few of many are kept in order while
// the rest goes by: no need to sort a whole vocabulary for its twenty best.
func best(listed []Scored, k int) []Scored {
	order := func(a, b Scored) int {
		return cmp.Or(cmp.Compare(b.LogProb, a.LogProb), cmp.Compare(a.ID, b.ID))
	}
	k = min(k, len(listed))
	if k < 1 || k > 256 || k > len(listed)/8 {
		slices.SortFunc(listed, order)
		return listed[:k]
	}
	kept := listed[:k]
	slices.SortFunc(kept, order)
	for _, s := range listed[k:] {
		if order(s, kept[k-1]) < 0 {
			at, _ := slices.BinarySearchFunc(kept, s, order)
			copy(kept[at+1:], kept[at:k-1])
			kept[at] = s
		}
	}
	return kept
}

// WithNamed returns row with tokens that were asked for by name behind its best, by
// id. Those that are among the best already stay where they are; what row had behind
// its best is replaced. A dense row is returned as it is.
func (r Row) WithNamed(named []Scored) Row {
	if r.Dense() {
		return r
	}
	named = slices.Clone(named)
	slices.SortFunc(named, func(a, b Scored) int { return cmp.Compare(a.ID, b.ID) })
	out := Row{IDs: slices.Clone(r.IDs[:r.Best]), LogProbs: slices.Clone(r.LogProbs[:r.Best]), Best: r.Best}
	for _, s := range named {
		if finite(float64(s.LogProb)) && !slices.Contains(out.IDs, s.ID) {
			out.IDs, out.LogProbs = append(out.IDs, s.ID), append(out.LogProbs, s.LogProb)
		}
	}
	return out
}
