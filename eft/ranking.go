package eft

import (
	"math"
	"slices"
)

// ranking gives ids by falling score, equal scores by rising id, only as many as
// are asked for: a binary heap, made in O(n), O(log n) an id.
type ranking struct {
	scores []float64
	heap   []Token
}

// reset ranks the ids of scores that are above −∞. It keeps scores until the next
// reset.
func (r *ranking) reset(scores []float64) {
	r.scores, r.heap = scores, r.heap[:0]
	for id, s := range scores {
		if !math.IsInf(s, -1) {
			r.heap = append(r.heap, Token(id))
		}
	}
	for i := len(r.heap)/2 - 1; i >= 0; i-- {
		r.sink(i)
	}
}

func (r *ranking) more() bool { return len(r.heap) > 0 }

// pop removes the best id that is left.
func (r *ranking) pop() (Token, float64) {
	best, last := r.heap[0], len(r.heap)-1
	r.heap[0] = r.heap[last]
	r.heap = r.heap[:last]
	r.sink(0)
	return best, r.scores[best]
}

// before says whether a ranks before b.
func (r *ranking) before(a, b Token) bool {
	if r.scores[a] != r.scores[b] {
		return r.scores[a] > r.scores[b]
	}
	return a < b
}

// sink restores the heap below i.
func (r *ranking) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(r.heap) {
			return
		}
		if right := child + 1; right < len(r.heap) && r.before(r.heap[right], r.heap[child]) {
			child = right
		}
		if !r.before(r.heap[child], r.heap[i]) {
			return
		}
		r.heap[i], r.heap[child] = r.heap[child], r.heap[i]
		i = child
	}
}

// Best appends the n best ids of c to dst, best first, equal ones by rising id. Ids
// without a chance are never among them.
func (c *Combination) Best(dst []Token, n int) []Token {
	var r ranking
	r.reset(c.logProbs)
	for ; n > 0 && r.more(); n-- {
		id, _ := r.pop()
		dst = append(dst, id)
	}
	return dst
}

// Best appends to dst the n best ids of a dense row that have a token, best
// first, equal ones by rising id.
func (v *Vocabulary) Best(dst []Token, r Row, n int) []Token {
	from := len(dst)
	for id, score := range r.Scores[:min(len(r.Scores), v.Size())] {
		full := len(dst)-from == n
		if v.pieces[id] == nil || math.IsNaN(float64(score)) || n < 1 || full && score <= r.Scores[dst[len(dst)-1]] {
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
