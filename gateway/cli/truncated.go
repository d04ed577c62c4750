package cli

import (
	"context"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
)

// truncated is a base in process seen through the eyes of somebody who gets the k best
// log-probs of it, and some by name: what a server would make of it can be measured
// without one.
type truncated struct {
	decode.Base
	vocabulary *eft.Vocabulary
	k, names   int
}

func (t truncated) Open(ctx context.Context, tenant string, prompt []eft.Token) (decode.Sequence, error) {
	whole, err := t.Base.Open(ctx, tenant, prompt)
	if err != nil {
		return nil, err
	}
	return &truncatedSequence{Sequence: whole, from: t}, nil
}

// truncatedSequence keeps the log-probs of the last call's rows, for they may be asked
// for by name.
type truncatedSequence struct {
	decode.Sequence
	from  truncated
	whole [][]eft.Scored // of each position, by id
	// The whole rows are those behind generated and each token of path.
	generated, path []eft.Token
}

func (s *truncatedSequence) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	rows, err := s.Sequence.Rows(ctx, generated, path)
	if err != nil {
		return nil, err
	}
	out := make([]eft.Row, len(rows))
	s.generated, s.path = append(s.generated[:0], generated...), append(s.path[:0], path...)
	s.whole = s.whole[:0]
	for i, row := range rows {
		all := s.from.logProbs(row)
		s.whole = append(s.whole, all)
		out[i] = eft.Canonical(append([]eft.Scored(nil), all...), s.from.k)
	}
	return out, nil
}

func (s *truncatedSequence) Names() int { return s.from.names }

func (s *truncatedSequence) Named(ctx context.Context, generated, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	if !slices.Equal(generated, s.generated) || !slices.Equal(path, s.path) {
		if _, err := s.Rows(ctx, generated, path); err != nil { // the text went on meanwhile
			return nil, err
		}
	}
	out := make([][]eft.Scored, len(names))
	for i, ids := range names {
		for _, id := range ids {
			out[i] = append(out[i], s.whole[i][id])
		}
	}
	return out, nil
}

// logProbs normalises a dense row over the ids that have a token.
func (t truncated) logProbs(row eft.Row) []eft.Scored {
	scores := make([]float32, t.vocabulary.Size())
	for id := range scores {
		scores[id] = float32(math.Inf(-1))
		if t.vocabulary.Piece(eft.Token(id)) != nil {
			scores[id] = row.Scores[id]
		}
	}
	norm := eft.LogSumExp(scores)
	all := make([]eft.Scored, len(scores))
	for id, s := range scores {
		all[id] = eft.Scored{ID: eft.Token(id), LogProb: float32(float64(s) - norm)}
	}
	return all
}
