package vllm

import (
	"errors"
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
	// sparse says that the server leaves out what has no probability, as Graft does.
	// vLLM lists −∞, too.
	sparse bool
	// ask is the number of log-probs to ask for.
	ask int
}

// massOfHoles is how much probability the ids that a sparse row lacks may have: rounding
// of the others adds up.
const massOfHoles = 1e-3

// errPadded is of a row whose length does not say so.
var errPadded = errors.New("a row lists one token and padding")

// row makes the canonical row of what was listed at a position, and uses listed up.
func (s shape) row(listed []eft.Scored) (eft.Row, error) {
	if err := s.short(listed); err != nil {
		return eft.Row{}, err
	}
	if s.dense {
		return s.denseRow(listed)
	}
	if id, twice := repeated(listed); twice {
		return eft.Row{}, fmt.Errorf("a row lists token %d twice", id)
	}
	return eft.Canonical(listed, s.k), nil
}

// short says what a row lacks of what was asked for, nil if nothing. Mass excuses a sparse
// server alone: of a token that the base is sure of it is whole without any other.
func (s shape) short(listed []eft.Scored) error {
	want := s.k
	if s.dense || s.vocabulary > 0 && s.vocabulary < want {
		want = s.vocabulary
	}
	finite := 0
	for _, l := range listed {
		if !math.IsInf(float64(l.LogProb), -1) {
			finite++
		}
	}
	switch {
	case finite >= want, s.sparse && mass(listed) >= 1-massOfHoles:
		return nil
	case len(listed) < want:
		return fmt.Errorf("a row lists %d tokens with a mass of %.4f, but %d were asked for", len(listed), mass(listed), want)
	case padded(listed):
		return errPadded
	}
	return nil
}

func mass(listed []eft.Scored) float64 {
	sum := 0.0
	for _, l := range listed {
		sum += math.Exp(float64(l.LogProb))
	}
	return sum
}

// padded says whether all that follows the sampled token may be padding, which vLLM fills
// up rows with: token 0 at −∞. It takes the sampled token's place where that is token 0.
func padded(listed []eft.Scored) bool {
	return len(listed) <= 2 && slices.Contains(listed, eft.Scored{ID: 0, LogProb: float32(math.Inf(-1))})
}

func (s shape) denseRow(listed []eft.Scored) (eft.Row, error) {
	unset := float32(math.NaN())
	scores := slices.Repeat([]float32{unset}, s.vocabulary)
	for _, l := range listed {
		if int(l.ID) >= len(scores) {
			return eft.Row{}, fmt.Errorf("a row lists token %d, but the vocabulary has ids 0 to %d", l.ID, len(scores)-1)
		}
		if scores[l.ID] == scores[l.ID] {
			return eft.Row{}, fmt.Errorf("a row lists token %d twice", l.ID)
		}
		scores[l.ID] = l.LogProb
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
