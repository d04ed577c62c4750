package sglang

import (
	"math"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/dialecttest"
	"github.com/graft-gateway/graft/proxy/sglang/sglangtest"
)

// TestSequencesFollowTheModel names tokens, too.
func TestSequencesFollowTheModel(t *testing.T) {
	for name, options := range map[string]sglangtest.Options{
		"as it is": {Interval: 2}, "only what is new": {Incremental: true}, "answers only": {OutputOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := start(t, options)
			prompt := []eft.Token{3, 1, 4}
			base := dialecttest.Connect(t, proxy.Config{
				Name: "tiny", Client: client, Dialects: []proxy.Dialect{Dialect{}}, Names: 10,
				Want: proxy.Want{TopLogprobs: 8, Vocabulary: eft.NewVocabulary(pieces())},
			})
			dialecttest.Decode(t, base, prompt, func(r dialecttest.Round) bool {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				for i, row := range r.Rows {
					check(t, row, slices.Concat(prompt, r.Generated, r.Path[:i]), 8)
				}
				if r.Sequence.Names() > 0 && len(r.Generated)%5 == 0 {
					checkNamed(t, r.Sequence, prompt, r.Generated)
				}
				return true
			})
		})
	}
}

// checkNamed asks for tokens by name, and compares them with the truth.
func checkNamed(t *testing.T, sequence *proxy.Sequence, prompt, generated []eft.Token) {
	t.Helper()
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
