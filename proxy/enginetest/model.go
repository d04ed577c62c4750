package enginetest

import (
	"cmp"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// Model gives the logits behind a prefix. It must be safe for concurrent use.
type Model func(prefix []eft.Token) []float32

// LogSoftmax makes log-probs of logits. Ids at −∞ stay there.
func LogSoftmax(logits []float32) []float32 {
	most := math.Inf(-1)
	for _, x := range logits {
		most = max(most, float64(x))
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - most)
	}
	row := make([]float32, len(logits))
	for i, x := range logits {
		row[i] = float32(float64(x) - most - math.Log(sum))
	}
	return row
}

// Best are the k best ids of a row, the lower id first at a tie; all of them if it has
// fewer.
func Best(row []float32, k int) []eft.Token {
	ids := make([]eft.Token, len(row))
	for i := range ids {
		ids[i] = eft.Token(i)
	}
	slices.SortStableFunc(ids, func(a, b eft.Token) int { return cmp.Compare(row[b], row[a]) })
	return ids[:min(k, len(ids))]
}
