package openai

import (
	"math"
	"slices"
	"strings"
)

// Draft says which model guesses ahead. It can change how fast an answer comes,
// never what it says.
type Draft string

// The drafters a client may ask for.
const (
	DraftAuto  Draft = "auto"
	DraftTuned Draft = "tuned"
	DraftBase  Draft = "base"
	DraftOff   Draft = "off"
)

// Tuning is the knob. What is absent is the route's to decide; numbers are
// finite and at least 0, and the route's bounds still to be checked.
type Tuning struct {
	Strength     Optional[float64]  // multiplies every expert's weight
	Experts      map[string]float64 // nil if absent; an expert it does not name keeps the route's weight
	Base         Optional[float64]  // weight of the base
	Plausibility Optional[float64]  // 0 … 1, share of the base's best below which tokens are dropped
	Draft        Optional[Draft]
	Explain      Optional[bool]
}

// weight is what every weight must be whatever the route; finite by JSON's and
// the headers' grammar.
func weight() Bounds { return Bounds{Min: 0, Max: math.MaxFloat64} }

// Merge returns t with what it leaves open taken from under, field by field.
func (t Tuning) Merge(under Tuning) Tuning {
	t.Strength = t.Strength.Else(under.Strength)
	if t.Experts == nil {
		t.Experts = under.Experts
	}
	t.Base = t.Base.Else(under.Base)
	t.Plausibility = t.Plausibility.Else(under.Plausibility)
	t.Draft = t.Draft.Else(under.Draft)
	t.Explain = t.Explain.Else(under.Explain)
	return t
}

func (t *Tuning) read(r *reader) error {
	number := func(dst *Optional[float64], b Bounds) error {
		return given(r, dst, func() (float64, error) { return r.number(b) })
	}
	return r.object(func(key string) error {
		switch key {
		case "strength":
			return number(&t.Strength, weight())
		case "experts":
			return optional(r, func() error { return t.readExperts(r) })
		case "base":
			return number(&t.Base, weight())
		case "plausibility":
			return number(&t.Plausibility, Bounds{Min: 0, Max: 1})
		case "draft":
			return given(r, &t.Draft, func() (Draft, error) { return readDraft(r) })
		case "explain":
			return given(r, &t.Explain, r.boolean)
		}
		return unknown(r)
	})
}

func (t *Tuning) readExperts(r *reader) error {
	t.Experts = make(map[string]float64)
	return r.object(func(name string) error {
		// An expert with null for its weight keeps the route's.
		return optional(r, func() error {
			v, err := r.number(weight())
			t.Experts[name] = v
			return err
		})
	})
}

func readDraft(r *reader) (Draft, error) {
	s, err := r.text()
	if err != nil {
		return "", err
	}
	all := []string{string(DraftAuto), string(DraftTuned), string(DraftBase), string(DraftOff)}
	if !slices.Contains(all, s) {
		return "", r.fail(CodeInvalidValue, "%s must be one of %s, got %s", r.where(), strings.Join(all, ", "), quote(s))
	}
	return Draft(s), nil
}
