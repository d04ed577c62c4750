package tokenizer

import "github.com/graft-gateway/graft/eft"

// word is a piece being merged: symbols linked in order, and a queue of the
// pairs that could merge, best first.
//
// Invariants: prev and next of the living link all
// living symbols in order, −1 at the ends; every living pair with a rule is in
// the queue, together with stale entries, which are recognised when they
// come up because their rule is no longer the pair's.
type word struct {
	symbols []symbol
	queue   []candidate
}

type symbol struct {
	id         eft.Token
	prev, next int32
	dead       bool
}

// candidate is the merge of the symbol at pos with its next.
type candidate struct {
	rank int32
	pos  int32
	id   eft.Token // the merged token
}

func (c candidate) before(other candidate) bool {
	return c.rank < other.rank || c.rank == other.rank && c.pos < other.pos
}

// add appends a symbol.
func (w *word) add(id eft.Token) {
	i := int32(len(w.symbols))
	if i > 0 {
		w.symbols[i-1].next = i
	}
	w.symbols = append(w.symbols, symbol{id: id, prev: i - 1, next: -1})
}

// merge applies rules, the lowest rank first and the leftmost among equals,
// until none applies. Time n·log n: each merge removes a symbol and adds at most two candidates.
func (w *word) merge(rules *ruleTable) {
	for i := range w.symbols {
		w.propose(int32(i), rules)
	}
	for len(w.queue) > 0 {
		best := w.pop()
		left := &w.symbols[best.pos]
		if left.dead || left.next < 0 {
			continue
		}
		right := &w.symbols[left.next]
		if r, ok := rules.get(left.id, right.id); !ok || r.id != best.id {
			continue
		}
		left.id = best.id
		right.dead = true
		left.next = right.next
		if left.next >= 0 {
			w.symbols[left.next].prev = best.pos
			w.propose(best.pos, rules)
		}
		if left.prev >= 0 {
			w.propose(left.prev, rules)
		}
	}
}

// propose queues the pair that starts at pos if a rule merges it.
func (w *word) propose(pos int32, rules *ruleTable) {
	left := w.symbols[pos]
	if left.next < 0 {
		return
	}
	if r, ok := rules.get(left.id, w.symbols[left.next].id); ok {
		w.push(candidate{rank: r.rank, pos: pos, id: r.id})
	}
}

// push and pop keep queue a binary heap. It is written out because
// container/heap would box every candidate.
func (w *word) push(c candidate) {
	w.queue = append(w.queue, c)
	i := len(w.queue) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(w.queue[parent]) {
			break
		}
		w.queue[i] = w.queue[parent]
		i = parent
	}
	w.queue[i] = c
}

func (w *word) pop() candidate {
	top := w.queue[0]
	last := w.queue[len(w.queue)-1]
	w.queue = w.queue[:len(w.queue)-1]
	n := len(w.queue)
	if n == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && w.queue[child+1].before(w.queue[child]) {
			child++
		}
		if !w.queue[child].before(last) {
			break
		}
		w.queue[i] = w.queue[child]
		i = child
	}
	w.queue[i] = last
	return top
}

// reset empties w and keeps its memory.
func (w *word) reset() {
	w.symbols = w.symbols[:0]
	w.queue = w.queue[:0]
}
