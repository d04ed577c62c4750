package onnx

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// Difference says how far the rows of one way of running a model are from those
// of all tokens in one Extend.
type Difference struct {
	Shape     string  // how the tokens were grouped
	Rows      int     // rows compared
	Identical int     // rows equal to the last bit
	LogProb   float64 // the largest difference between two log-probabilities
}

// epsilonBatch is how many rows the batched shape has.
const epsilonBatch = 16

// Epsilon measures how much a session's rows depend on the shape of its runs:
//
//	one at a time     a step for every token, as plain decoding runs them
//	two at a time     steps of two tokens, as drafted decoding runs them
//	cut and extended  all tokens, cut back to half, and extended again
//	batch of 16       a step for every token, beside those of 15 other texts
//
// On x86-64 ONNX Runtime 1.26 computes all products with packed weights alike for
// any number of rows, and products inside the attention with one row otherwise
// than with more. Steps of one token, in whatever batch, therefore agree with
// each other, and runs of several tokens do, but not the two with one another.
// With ExactShapes there is no run of one token nor of several texts, and all agree.
//
// The session may be used meanwhile. It takes about 4·len(tokens) runs.
func Epsilon(ctx context.Context, s *Session, tokens []eft.Token) ([]Difference, error) {
	if len(tokens) < 4 || len(tokens) > s.Context() {
		return nil, fmt.Errorf("onnx: measure on 4 to %d tokens, not %d", s.Context(), len(tokens))
	}
	want, err := s.extendBy(ctx, tokens, len(tokens))
	if err != nil {
		return nil, err
	}
	shapes := []struct {
		name string
		rows func() ([][]float64, error)
	}{
		{"one at a time", func() ([][]float64, error) { return s.extendBy(ctx, tokens, 1) }},
		{"two at a time", func() ([][]float64, error) { return s.extendBy(ctx, tokens, 2) }},
		{"cut and extended", func() ([][]float64, error) { return s.extendAgain(ctx, tokens) }},
		{fmt.Sprintf("batch of %d", epsilonBatch), func() ([][]float64, error) { return s.stepBatch(ctx, tokens) }},
	}
	var found []Difference
	for _, shape := range shapes {
		got, err := shape.rows()
		if err != nil {
			return nil, fmt.Errorf("onnx: measure %s: %w", shape.name, err)
		}
		found = append(found, compare(shape.name, got, want))
	}
	return found, nil
}

// extendBy reads the rows of all tokens, n of them at a time.
func (s *Session) extendBy(ctx context.Context, tokens []eft.Token, n int) ([][]float64, error) {
	q, err := s.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	return q.collect(ctx, tokens, n)
}

// extendAgain reads the rows of all tokens, of the second half a second time.
func (s *Session) extendAgain(ctx context.Context, tokens []eft.Token) ([][]float64, error) {
	q, err := s.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	rows, err := q.collect(ctx, tokens, len(tokens))
	if err != nil {
		return nil, err
	}
	half := len(tokens) / 2
	if err := q.Truncate(half); err != nil {
		return nil, err
	}
	again, err := q.collect(ctx, tokens[half:], len(tokens)-half)
	return append(rows[:half], again...), err
}

// collect extends the sequence n tokens at a time and keeps all rows.
func (q *Sequence) collect(ctx context.Context, tokens []eft.Token, n int) ([][]float64, error) {
	var all [][]float64
	for len(tokens) > 0 {
		k := min(n, len(tokens))
		rows, err := q.Extend(ctx, tokens[:k], k)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			all = append(all, logProbs(r.Scores))
		}
		tokens = tokens[k:]
	}
	return all, nil
}

// stepBatch reads the rows of all tokens as a text gets them whose steps run together
// with those of others, as far as the session runs steps together. Text i begins i steps
// late, so that no two have the same length.
func (s *Session) stepBatch(ctx context.Context, tokens []eft.Token) (rows [][]float64, err error) {
	texts := make([]*Sequence, epsilonBatch)
	for i := range texts {
		if texts[i], err = s.Open(ctx); err != nil {
			return nil, err
		}
		defer texts[i].Close()
	}
	last := len(texts) - 1
	for step := range len(tokens) + last {
		var due []*Sequence
		for i, q := range texts {
			switch at := step - i; {
			case at == 0:
				begun, err := q.collect(ctx, tokens[:1], 1)
				if err != nil {
					return nil, err
				}
				if i == last {
					rows = append(rows, begun...)
				}
			case at > 0 && at < len(tokens):
				due = append(due, q)
			}
		}
		if err := s.stepAll(ctx, due, func(i int) eft.Token { return tokens[due[i].length] }, 0); err != nil {
			return nil, err
		}
		if n := len(due); n > 0 && due[n-1] == texts[last] {
			rows = append(rows, logProbs(due[n-1].rows[0].Scores))
		}
	}
	return rows, nil
}

// stepAll makes every text longer by a token, in as few runs as the session can. Nobody
// else may use them meanwhile. Gathered pasts are laid out for held tokens at least.
func (s *Session) stepAll(ctx context.Context, texts []*Sequence, token func(i int) eft.Token, held int) error {
	var due []*job
	for i, q := range texts {
		q.room(1)
		q.work = extension{tokens: []eft.Token{token(i)}, last: 1}
		due = append(due, &q.job)
	}
	var b batch
	j := newJob(func() (more bool, err error) {
		for _, d := range due {
			if err := d.sequence.makeRoom(); err != nil {
				return false, err
			}
		}
		b.reset()
		b.held = held
		s.choose(&b, due, mostGap)
		s.runBatch(&b)
		due = slices.DeleteFunc(due, func(d *job) bool { return d.chosen })
		for i, d := range b.jobs {
			d.chosen = false
			if b.errs[i] != nil {
				return false, b.errs[i]
			}
			d.sequence.length++
		}
		return len(due) > 0, nil
	})
	if j.ctx = ctx; len(due) == 0 {
		return nil
	}
	return s.loop.do(&j)
}

// compare finds the differences between two lists of rows of log-probabilities.
func compare(shape string, got, want [][]float64) Difference {
	d := Difference{Shape: shape, Rows: len(want)}
	for i := range want {
		worst := 0.0
		for x := range want[i] {
			if got[i][x] != want[i][x] { // equal infinities differ by nothing
				worst = max(worst, math.Abs(got[i][x]-want[i][x]))
			}
		}
		if worst == 0 {
			d.Identical++
		}
		d.LogProb = max(d.LogProb, worst)
	}
	return d
}

// logProbs normalises scores.
func logProbs(scores []float32) []float64 {
	top := math.Inf(-1)
	for _, v := range scores {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range scores {
		sum += math.Exp(float64(v) - top)
	}
	norm := top + math.Log(sum)
	out := make([]float64, len(scores))
	for i, v := range scores {
		out[i] = float64(v) - norm
	}
	return out
}
