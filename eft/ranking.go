package eft

import (
	"math"
	"slices"
)

// scorer gives the scores of a vocabulary block by block.
type scorer interface {
	// bounds has one value per block that no score in the block is above.
	bounds() []float64
	fill(k int, b *block)
}

// ranking gives ids by falling score, equal scores by rising id, only as many as
// are asked for: a binary heap that holds blocks by their bounds, and the ids of those
// that were reached.
//
// Invariant: an id that was not popped is in the heap, or its block is.
type ranking struct {
	of    scorer
	heap  []ranked
	block block
}

// ranked is an id, or the block ^ref: below 0, and so before ids of the same score.
type ranked struct {
	score float64
	ref   Token
}

func (a ranked) before(b ranked) bool {
	if a.score != b.score {
		return a.score > b.score
	}
	return a.ref < b.ref
}

// reset ranks the ids of which are above −∞. Its scores must stay until the next reset.
func (r *ranking) reset(of scorer) {
	r.of, r.heap = of, r.heap[:0]
	for k, bound := range of.bounds() {
		if !math.IsInf(bound, -1) {
			r.heap = append(r.heap, ranked{bound, ^Token(k)})
		}
	}
	for i := len(r.heap)/2 - 1; i >= 0; i-- {
		r.sink(i)
	}
}

// more says whether an id is left.
func (r *ranking) more() bool {
	for len(r.heap) > 0 && r.heap[0].ref < 0 {
		k := int(^r.heap[0].ref)
		r.drop()
		r.of.fill(k, &r.block)
		for i, s := range r.block {
			if !math.IsInf(s, -1) {
				r.add(ranked{s, Token(k*blockSize + i)})
			}
		}
	}
	return len(r.heap) > 0
}

// pop removes the best id that is left. It follows a call of more.
func (r *ranking) pop() (Token, float64) {
	best := r.heap[0]
	r.drop()
	return best.ref, best.score
}

// drop removes the first of the heap.
func (r *ranking) drop() {
	last := len(r.heap) - 1
	r.heap[0] = r.heap[last]
	r.heap = r.heap[:last]
	r.sink(0)
}

func (r *ranking) add(x ranked) {
	r.heap = append(r.heap, x)
	i := len(r.heap) - 1
	for i > 0 && x.before(r.heap[(i-1)/2]) {
		r.heap[i] = r.heap[(i-1)/2]
		i = (i - 1) / 2
	}
	r.heap[i] = x
}

// sink restores the heap below i.
func (r *ranking) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(r.heap) {
			return
		}
		if right := child + 1; right < len(r.heap) && r.heap[right].before(r.heap[child]) {
			child = right
		}
		if !r.heap[child].before(r.heap[i]) {
			return
		}
		r.heap[i], r.heap[child] = r.heap[child], r.heap[i]
		i = child
	}
}

// Best appends to dst the n best ids of a dense row that have a token, best
// first, equal ones by rising id.
func (v *Vocabulary) Best(dst []Token, r Row, n int) []Token {
	from := len(dst)
	for id, score := range r.Scores[:min(len(r.Scores), v.Size())] {
		full := len(dst)-from == n
		if n < 1 || full && !(score > r.Scores[dst[len(dst)-1]]) || v.pieces[id] == nil || math.IsNaN(float64(score)) {
			continue
		}
		if full {
			dst = dst[:len(dst)-1]
		}
		at := len(dst)
		for at > from && score > r.Scores[dst[at-1]] {
			at--
		}
		dst = slices.Insert(dst, at, Token(id))
	}
	return dst
}
