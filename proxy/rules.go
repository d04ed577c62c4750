package proxy

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// rules are what a server's rows must be like. One goroutine uses them at a time.
type rules struct {
	vocabulary *eft.Vocabulary
	dense      bool
	k          int         // of truncated rows
	ids        []eft.Token // scratch
}

// massMost is above what rounding makes of a row's probabilities, and far below the
// sum of what are no log-probs at all.
const massMost = 1.5

// checked returns row without padding. The error says how it breaks the rules.
func (r *rules) checked(row eft.Row) (eft.Row, error) {
	switch {
	case row.Scores != nil && row.IDs != nil:
		return row, errors.New("a row is dense and truncated at once")
	case row.Dense() != r.dense:
		return row, fmt.Errorf("a row is %s, not %s", kind(row.Dense()), kind(r.dense))
	case r.dense:
		return r.checkedDense(row)
	}
	return r.checkedTruncated(row)
}

func (r *rules) checkedDense(row eft.Row) (eft.Row, error) {
	size := r.vocabulary.Size()
	if len(row.Scores) < size {
		return row, fmt.Errorf("a row scores %d ids, and the vocabulary has %d", len(row.Scores), size)
	}
	row.Scores = row.Scores[:size:size]
	best := math.Inf(-1)
	for id, score := range row.Scores {
		s := float64(score)
		if math.IsNaN(s) || math.IsInf(s, 1) {
			return row, fmt.Errorf("the score of id %d is %v", id, s)
		}
		if s > best && r.vocabulary.Piece(eft.Token(id)) != nil {
			best = s
		}
	}
	if math.IsInf(best, -1) {
		return row, errors.New("a row's scores are all −∞")
	}
	return row, nil
}

func (r *rules) checkedTruncated(row eft.Row) (eft.Row, error) {
	n := len(row.IDs)
	switch {
	case n == 0:
		return row, errors.New("a row lists nothing")
	case n != len(row.LogProbs) || n != row.Best:
		return row, fmt.Errorf("a row lists %d ids, %d of them as the best, and %d log-probs", n, row.Best, len(row.LogProbs))
	case n > r.k:
		return row, fmt.Errorf("a row lists %d ids, more than the %d best that were asked for", n, r.k)
	}
	mass, padding := 0.0, 0
	for i, id := range row.IDs {
		p := float64(row.LogProbs[i])
		if math.IsNaN(p) || math.IsInf(p, 0) {
			return row, fmt.Errorf("the log-prob of id %d is %v", id, p)
		}
		if i > 0 && (row.LogProbs[i-1] < row.LogProbs[i] || row.LogProbs[i-1] == row.LogProbs[i] && row.IDs[i-1] >= id) {
			return row, fmt.Errorf("a row lists id %d behind id %d, which it should not follow", id, row.IDs[i-1])
		}
		if id < 0 {
			return row, fmt.Errorf("a row lists id %d", id)
		}
		if r.vocabulary.Piece(id) == nil {
			padding++
		}
		mass += math.Exp(p)
	}
	if mass > massMost {
		return row, fmt.Errorf("a row's probabilities sum to %.3g: they are no log-probs", mass)
	}
	if err := r.distinct(row.IDs); err != nil {
		return row, err
	}
	switch padding {
	case 0:
		return row, nil
	case n:
		return row, fmt.Errorf("the %d best ids are all padding, from id %d: the vocabulary has none of them", n, row.IDs[0])
	}
	return r.withoutPadding(row), nil
}

func (r *rules) distinct(ids []eft.Token) error {
	r.ids = append(r.ids[:0], ids...)
	slices.Sort(r.ids)
	for i, id := range r.ids {
		if i > 0 && r.ids[i-1] == id {
			return fmt.Errorf("a row lists id %d twice", id)
		}
	}
	return nil
}

// withoutPadding leaves out ids that the vocabulary lacks. The row is copied: it may be
// another's, too.
func (r *rules) withoutPadding(row eft.Row) eft.Row {
	var out eft.Row
	for i, id := range row.IDs {
		if r.vocabulary.Piece(id) != nil {
			out.IDs, out.LogProbs = append(out.IDs, id), append(out.LogProbs, row.LogProbs[i])
		}
	}
	out.Best = len(out.IDs)
	return out
}

// checkedNamed says whether named answers names.
func checkedNamed(named [][]eft.Scored, names [][]eft.Token) error {
	if len(named) != len(names) {
		return fmt.Errorf("named tokens of %d positions, and %d were asked for", len(named), len(names))
	}
	for i, scored := range named {
		if len(scored) != len(names[i]) {
			return fmt.Errorf("%d named tokens at position %d, and %d were asked for", len(scored), i, len(names[i]))
		}
		for j, s := range scored {
			if s.ID != names[i][j] {
				return fmt.Errorf("token %d where token %d was asked for by name", s.ID, names[i][j])
			}
			// −∞ is right for a token that the server's model cannot say.
			if p := float64(s.LogProb); math.IsNaN(p) || math.Exp(p) > massMost {
				return fmt.Errorf("the log-prob of token %d is %v", s.ID, p)
			}
		}
	}
	return nil
}

// best is the token that a row lists or scores highest, the lowest id of several.
func best(row eft.Row) eft.Token {
	if !row.Dense() {
		return row.IDs[0]
	}
	top := 0
	for id, score := range row.Scores {
		if score > row.Scores[top] {
			top = id
		}
	}
	return eft.Token(top)
}
