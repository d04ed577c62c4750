package simulated

import (
	"math"
	"slices"
	"sync"

	"github.com/graft-gateway/graft/eft"
)

// Row is the model's distribution behind one prefix. It does not change.
type Row struct {
	LogProbs []float32 // of every id that the model scores
	ranked   func() []eft.Token
}

// newRow normalises scores.
func newRow(scores []float32) *Row {
	norm := eft.LogSumExp(scores)
	r := &Row{LogProbs: make([]float32, len(scores))}
	for id, s := range scores {
		r.LogProbs[id] = float32(float64(s) - norm)
	}
	r.ranked = sync.OnceValue(r.rank)
	return r
}

// Best are the k most probable ids, best first, the lowest id first among equals. The
// caller does not change them.
func (r *Row) Best(k int) []eft.Token {
	ranked := r.ranked()
	return ranked[:min(k, len(ranked))]
}

// rank sorts all ids. A key has the log-prob in its upper half, so written that smaller
// is better, and the id in its lower.
func (r *Row) rank() []eft.Token {
	keys := make([]uint64, len(r.LogProbs))
	for id, p := range r.LogProbs {
		bits := math.Float32bits(p)
		if bits>>31 == 0 { // 0 and what rounding puts above it
			bits = ^bits & (1<<31 - 1)
		}
		keys[id] = uint64(bits)<<32 | uint64(id)
	}
	slices.Sort(keys)
	ids := make([]eft.Token, len(keys))
	for i, key := range keys {
		ids[i] = eft.Token(uint32(key))
	}
	return ids
}

// argmax is the lowest of the most probable ids.
func (r *Row) argmax() eft.Token {
	best := 0
	for id, p := range r.LogProbs {
		if p > r.LogProbs[best] {
			best = id
		}
	}
	return eft.Token(best)
}
