package onnx

import (
	"context"

	"github.com/graft-gateway/graft/eft"
)

// togetherTexts are the lengths of the texts whose steps are tried together, and
// togetherSteps is how many steps. togetherHeld is what pasts are laid out for then,
// where they are gathered: more than alone, for no row may depend on it.
var togetherTexts = []int{2, 5, 17}

const (
	togetherSteps = 3
	togetherHeld  = 128
)

// probeTogether finds out whether steps of several texts may share a run: where a row is
// then the same to the last bit as that of a step alone. Graphs that round by what else
// is in a run, and devices, whose rows differ within rounding anyway, need only be
// right. A graph that fails steps one text at a time.
func (s *Session) probeTogether(ctx context.Context) {
	if !s.mayStepTogether() {
		return
	}
	s.join()
	if good, err := s.tryTogether(ctx); !good || err != nil {
		s.part()
	}
}

// mayStepTogether says whether there is a way to tell a graph where rows of different
// length have their tokens.
func (s *Session) mayStepTogether() bool {
	l := s.layout
	if s.options.ExactShapes || s.Context() < togetherTexts[1]+togetherSteps {
		return false
	}
	for i := range l.slots {
		if l.slots[i].batch != 0 {
			return false // rows of a batch do not lie one behind another
		}
	}
	if !l.ragged() {
		return false
	}
	return l.strategy == Shared || l.has(roleMask) != nil && l.has(roleLast) == nil
}

// join lets steps of several texts share a run. No sequence may hold a cache.
func (s *Session) join() {
	s.pool.forget()
	s.together = true
	if s.manner == inPlace {
		// Steps share a run within a cache only: few capacities, wide caches.
		s.pool.factor, s.pool.widest = 4, mostRows
		return
	}
	s.manner = gathered
}

// part takes join back.
func (s *Session) part() {
	s.pool.forget()
	s.together = false
	s.pool.factor, s.pool.widest = 2, 1
	if s.manner == gathered {
		s.manner = dense
	}
}

// tryTogether reads texts whole, by steps alone, and by steps together.
func (s *Session) tryTogether(ctx context.Context) (good bool, err error) {
	var texts []*Sequence
	var whole, alone, together [][]float64
	for _, n := range togetherTexts {
		if n+togetherSteps > s.Context() {
			continue
		}
		q, err := s.Open(ctx)
		if err != nil {
			return false, err
		}
		defer q.Close()
		tokens := s.text(len(texts), n+togetherSteps)
		rows, err := q.collect(ctx, tokens, len(tokens))
		if err != nil {
			return false, err
		}
		whole = append(whole, rows[n:]...)
		if err := q.Truncate(n); err != nil {
			return false, err
		}
		if rows, err = q.collect(ctx, tokens[n:], 1); err != nil {
			return false, err
		}
		alone = append(alone, rows...)
		if err := q.Truncate(n); err != nil {
			return false, err
		}
		texts = append(texts, q)
	}
	together = make([][]float64, len(alone))
	held := min(togetherHeld, roundUp(s.options.Context))
	for step := range togetherSteps {
		next := func(i int) eft.Token { return s.text(i, texts[i].length+1)[texts[i].length] }
		if err := s.stepAll(ctx, texts, next, held); err != nil {
			return false, err
		}
		for i, q := range texts {
			together[i*togetherSteps+step] = logProbs(q.rows[0].Scores)
		}
	}
	most := s.tolerance(farthestRow(whole[1:], whole[:len(whole)-1]))
	if farthestRow(alone, whole) > most || farthestRow(together, alone) > most {
		return false, nil
	}
	if s.roundsByShape() {
		return true, nil
	}
	d := compare("", together, alone)
	return d.Identical == d.Rows, nil
}

// roundsByShape says whether a row is expected to depend, in its last bits or more, on
// how many others are in its run.
func (s *Session) roundsByShape() bool {
	return s.onDevice() || s.file.quantised() || s.file.halfArithmetic() || s.file.roundsByRun()
}

// text is the beginning of one of the texts that are tried together. They share no
// token at any place, so far as the vocabulary allows.
func (s *Session) text(i, n int) []eft.Token {
	tokens := make([]eft.Token, n)
	for k := range tokens {
		tokens[k] = eft.Token((i*11 + k*7 + 1) % s.layout.vocab)
	}
	return tokens
}
