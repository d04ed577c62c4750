package gateway

import (
	"context"
	"math"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
)

// listing is a base that lists its two best tokens: 'a' with .6 and 'b' with .3.
type listing struct{}

func (listing) Open(context.Context, string, []eft.Token) (decode.Sequence, error) {
	return listing{}, nil
}

func (listing) Close() {}

func (listing) Rows(_ context.Context, _, path []eft.Token) ([]eft.Row, error) {
	row := eft.Row{IDs: []eft.Token{'a', 'b'}, LogProbs: []float32{float32(math.Log(.6)), float32(math.Log(.3))}, Best: 2}
	rows := []eft.Row{row}
	for range path {
		rows = append(rows, row)
	}
	return rows, nil
}

// The untuned model has 12 against 0 for 'c', so nearly all of the missing .1 is its;
// the tuned one wants 'c' more. A dropped tail leaves 'c' no chance.
func TestTailsOfTruncatedRowsAreTheRoutes(t *testing.T) {
	for _, c := range []struct {
		tail eft.Tail
		says string
		base float64 // of the token that is said
	}{
		{"", "c", math.Log(.1)}, {eft.TailUntuned, "c", math.Log(.1)}, {eft.TailDrop, "a", math.Log(.6 / .9)},
	} {
		route := tunedRoute("demo", "c", "c")
		route.Base, route.Tail = listing{}, c.tail
		server := start(t, Config{Routes: []*Route{route}})
		_, answer := post(t, server.URL+"/v1/completions", object{"model": "demo", "prompt": "x", "max_tokens": 1, "temperature": 0, "tuning": object{"explain": true}})
		if text := get(t, answer, "choices", 0, "text"); text != c.says {
			t.Errorf("tail %q: says %v", c.tail, text)
		}
		report := get(t, answer, "tuning")
		if mass := get(t, report, "missing_mass").(float64); get(t, report, "truncated") != true || math.Abs(mass-.1) > 1e-6 {
			t.Errorf("tail %q: report %v", c.tail, report)
		}
		if base := get(t, report, "explain", 0, "base").(float64); math.Abs(base-c.base) > 2e-3 {
			t.Errorf("tail %q: the base's log-prob of %q is explained as %v, want %v", c.tail, c.says, base, c.base)
		}
	}
}
