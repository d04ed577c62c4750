package eft

import "math"

// Row holds one position's scores over the vocabulary. It is either dense or
// truncated, never both.
//
// A dense row has one score per id: logits or log-probs, up to an additive
// constant that the whole row shares. Ids beyond len(Scores) cannot be had; ids
// beyond the vocabulary's size are padding and are masked.
//
// A truncated row lists some ids with their normalised log-probs, each id once.
// It is canonical (the k best by log-prob, then by id, and a set of named ids
// that depends on nothing but the prefix and the route), so that it cannot
// matter who fetched it.
type Row struct {
	// Scores has one entry per id; nil in a truncated row.
	Scores []float32
	// IDs and LogProbs are the listed tokens of a truncated row, best first.
	IDs      []Token
	LogProbs []float32
	// Best counts the leading ids that are the best of the whole vocabulary; the
	// ids behind them were asked for by name and may be anywhere in the tail.
	Best int
}

// Dense says whether the row scores every id.
func (r Row) Dense() bool { return r.Scores != nil }

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
