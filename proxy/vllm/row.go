package vllm

import (
	"fmt"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// shape is the kind of rows that a server is asked for.
type shape struct {
	k int // of truncated rows
	// vocabulary is how many ids a dense row has; 0 if the server does not tell.
	vocabulary int
	dense      bool
	// ask is the number of log-probs to ask for.
	ask int
}

// massOfHoles is how much probability the ids that a dense row lacks may have: a
// server may leave out what it gives no probability at all, but rounding of the
// others adds up.
const massOfHoles = 1e-3

// row makes the canonical row of what was listed at a position, and uses listed up.
func (s shape) row(listed []eft.Scored) (eft.Row, error) {
	if s.dense {
		return s.denseRow(listed)
	}
	want := s.k
	if s.vocabulary > 0 {
		want = min(want, s.vocabulary)
	}
	if len(listed) < want {
		return eft.Row{}, fmt.Errorf("a row lists %d tokens, but %d were asked for", len(listed), want)
	}
	if id, twice := repeated(listed); twice {
		return eft.Row{}, fmt.Errorf("a row lists token %d twice", id)
	}
	return eft.Canonical(listed, s.k), nil
}

func (s shape) denseRow(listed []eft.Scored) (eft.Row, error) {
	unset := float32(math.NaN())
	scores := slices.Repeat([]float32{unset}, s.vocabulary)
	mass := 0.0
	for _, l := range listed {
		if int(l.ID) >= len(scores) {
			return eft.Row{}, fmt.Errorf("a row lists token %d, but the vocabulary has ids 0 to %d", l.ID, len(scores)-1)
		}
		if scores[l.ID] == scores[l.ID] {
			return eft.Row{}, fmt.Errorf("a row lists token %d twice", l.ID)
		}
		scores[l.ID] = l.LogProb
		mass += math.Exp(float64(l.LogProb))
	}
	if len(listed) < len(scores) && mass < 1-massOfHoles {
		return eft.Row{}, fmt.Errorf("a row lists %d tokens with a mass of %.4f, but all %d were asked for", len(listed), mass, len(scores))
	}
	for id, score := range scores {
		if score != score {
			scores[id] = float32(math.Inf(-1))
		}
	}
	return eft.Row{Scores: scores}, nil
}

// repeated returns an id that is listed more than once.
func repeated(listed []eft.Scored) (eft.Token, bool) {
	ids := make([]eft.Token, len(listed))
	for i, l := range listed {
		ids[i] = l.ID
	}
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			return ids[i], true
		}
	}
	return 0, false
}
