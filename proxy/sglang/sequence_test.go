package sglang

import (
	"math"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/sglang/sglangtest"
)

// TestSequencesFollowTheModel decodes as the gateway does: with and without paths, off
// the base's own way now and then, and naming tokens.
func TestSequencesFollowTheModel(t *testing.T) {
	for name, options := range map[string]sglangtest.Options{
		"as it is": {Interval: 2}, "only what is new": {Incremental: true}, "answers only": {OutputOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := start(t, options)
			base, err := proxy.Connect(t.Context(), proxy.Config{
				Name: "tiny", Client: client, Dialects: []proxy.Dialect{Dialect{}}, Names: 10,
				Want: proxy.Want{TopLogprobs: 8, Vocabulary: eft.NewVocabulary(pieces())},
			})
			if err != nil {
				t.Fatal(err)
			}
			prompt := []eft.Token{3, 1, 4}
			sequence := base.Open("ann", prompt)
			defer sequence.Close()
			var generated []eft.Token
			for n := range 60 {
				var path []eft.Token
				if n%7 == 3 {
					path = []eft.Token{eft.Token(n % 30), 2}
				}
				rows, err := sequence.Rows(t.Context(), generated, path)
				if err != nil {
					t.Fatal(err)
				}
				for i, row := range rows {
					check(t, row, slices.Concat(prompt, generated, path[:i]), 8)
				}
				if sequence.Names() > 0 && n%5 == 0 {
					named, err := sequence.Named(t.Context(), generated, nil, [][]eft.Token{{30, 2}})
					if err != nil {
						t.Fatal(err)
					}
					want := truth(slices.Concat(prompt, generated))
					for _, s := range named[0] {
						if math.Abs(float64(s.LogProb)-want[s.ID]) > 1e-5 {
							t.Errorf("id %d has %v, want %v", s.ID, s.LogProb, want[s.ID])
						}
					}
				}
				next := rows[0].IDs[0]
				if n%11 == 10 {
					next = rows[0].IDs[1]
				}
				generated = append(generated, next)
			}
		})
	}
}
