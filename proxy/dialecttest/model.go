package dialecttest

import (
	"cmp"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// Hashed are a model's logits, from 0 to 9: a hash of the last three tokens, and of
// where they are.
func Hashed(prefix []eft.Token, ids int) []float32 {
	state := uint64(len(prefix) % 3)
	for _, t := range prefix[max(0, len(prefix)-3):] {
		state = state*0x9E3779B97F4A7C15 + uint64(t) + 1
	}
	logits := make([]float32, ids)
	for i := range logits {
		x := (state + uint64(i)) * 0xBF58476D1CE4E5B9
		x ^= x >> 29
		x *= 0x94D049BB133111EB
		logits[i] = float32(x>>40) / (1 << 24) * 9
	}
	return logits
}

// Truth is the row of logits in float64, worked out apart from the servers.
func Truth(logits []float32) []float64 {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x))
	}
	row := make([]float64, len(logits))
	for i, x := range logits {
		row[i] = float64(x) - math.Log(sum)
	}
	return row
}

// Ranked are the k best ids of a row.
func Ranked(row []float64, k int) []eft.Token {
	ids := make([]eft.Token, len(row))
	for i := range ids {
		ids[i] = eft.Token(i)
	}
	slices.SortStableFunc(ids, func(a, b eft.Token) int { return cmp.Compare(row[b], row[a]) })
	return ids[:k]
}
