package openai

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// rounding is how far two log-probs of one token may lie apart within an answer: servers
// round them apart.
const rounding = 1e-3

// row makes the canonical row of a position: the k best, down to the first that cannot
// be mapped. Greedy says that the server chose its best, which is looked at then.
func (s *server) row(p position, greedy bool) (eft.Row, error) {
	listed := p.top
	if len(listed) == 0 {
		return eft.Row{}, s.malformed("a token without the best that could have stood there")
	}
	limit, unknown := math.Inf(-1), error(nil) // the best that cannot be mapped
	mapped := make(map[eft.Token]float64, len(listed))
	least := math.Inf(1)
	for _, e := range listed {
		if math.IsNaN(e.logProb) || e.logProb > 0.01 {
			return eft.Row{}, s.malformed("the log-prob of %q is %v", e.text, e.logProb)
		}
		least = min(least, e.logProb)
		id, err := s.naming.id(e)
		if err != nil {
			if e.logProb >= limit {
				limit, unknown = e.logProb, err
			}
			continue
		}
		if before, twice := mapped[id]; twice && math.Abs(before-e.logProb) > rounding {
			return eft.Row{}, s.malformed("a row lists id %d twice, with %v and %v", id, before, e.logProb)
		}
		mapped[id] = e.logProb
	}
	whole := s.caps.TopLogprobs
	if greedy {
		if err := s.checkChoice(p.chosen, mapped); err != nil {
			return eft.Row{}, err
		}
	} else if p.chosen.logProb <= least {
		whole++ // what was chosen stands behind the best
	}
	if unknown != nil && len(listed) < whole {
		// Tokens that share a name are listed once, with the log-prob of any of them:
		// another may stand anywhere. Only what was chosen is known to be the best.
		if !greedy {
			return eft.Row{}, s.unmapped(unknown)
		}
		limit = max(limit, second(mapped))
	}
	scored := make([]eft.Scored, 0, len(mapped))
	for id, logProb := range mapped {
		if logProb > limit && int(id) < s.vocabulary.Size() {
			scored = append(scored, eft.Scored{ID: id, LogProb: float32(logProb)})
		}
	}
	// As float32 a mapped one may be as good as the first that is not: then it may be
	// behind it by its id, too.
	scored = slices.DeleteFunc(scored, func(e eft.Scored) bool { return e.LogProb <= float32(limit) })
	row := eft.Canonical(scored, s.caps.TopLogprobs)
	switch {
	case len(row.IDs) > 0:
		return row, nil
	case unknown != nil && !math.IsInf(limit, -1):
		return eft.Row{}, s.unmapped(unknown)
	}
	return eft.Row{}, s.malformed("a row without a finite log-prob of a token of the vocabulary")
}

// second is the next to the best log-prob.
func second(mapped map[eft.Token]float64) float64 {
	sorted := slices.Sorted(maps.Values(mapped))
	if len(sorted) < 2 {
		return math.Inf(-1)
	}
	return sorted[len(sorted)-2]
}

// checkChoice refuses a row whose best is not what the server took for the best: text
// that several tokens share is listed once, with any of their log-probs.
func (s *server) checkChoice(chosen entry, mapped map[eft.Token]float64) error {
	id, err := s.naming.id(chosen)
	if err != nil {
		return s.unmapped(err)
	}
	better := id
	for other, logProb := range mapped {
		if logProb > chosen.logProb+rounding && (better == id || other < better) {
			better = other
		}
	}
	if better != id {
		return s.malformed("the server chose id %d with %v, and lists id %d with %v", id, chosen.logProb, better, mapped[better])
	}
	return nil
}

// unmapped is the error of a row whose best token has no id.
func (s *server) unmapped(err error) error {
	e := s.malformed("the server's best token cannot be told from others by what it says of it; a server that gives ids would do")
	e.Err = err
	return e
}

// best is the best of what a position lists, by whatever name.
func best(p position) (entry, error) {
	if len(p.top) == 0 {
		return entry{}, errors.New("nothing is listed")
	}
	return slices.MaxFunc(p.top, func(a, b entry) int { return cmp.Compare(a.logProb, b.logProb) }), nil
}

// near says whether two positions list about the same, by name: both best are, and
// whatever else is likely and listed in both.
func near(a, b position) bool {
	const alike = 0.5
	named := map[string]float64{}
	for _, e := range b.top {
		named[e.name()] = e.logProb
	}
	first, err := best(a)
	if err != nil || len(b.top) == 0 {
		return false
	}
	if _, listed := named[first.name()]; !listed {
		return false
	}
	for _, e := range a.top {
		if other, listed := named[e.name()]; listed && e.logProb > -10 && math.Abs(e.logProb-other) > alike {
			return false
		}
	}
	return true
}

// name tells entries of one server apart.
func (e entry) name() string { return fmt.Sprintf("%d %x %s", e.id, e.bytes, e.text) }

func (s *server) malformed(format string, args ...any) *proxy.Error {
	return s.client.Malformed("POST "+completions, format, args...)
}
