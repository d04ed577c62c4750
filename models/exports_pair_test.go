package models

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// loadPair loads one of testdata/exports/pair.
func loadPair(t *testing.T, name string) *Model {
	t.Helper()
	folder, err := OpenFolder(filepath.Join(exports, "pair", name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(env, folder, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// The base scores 352 ids and the pair 320, over one tokenizer of fewer. Truth is
// the plain formula in PyTorch, with prompts on which no token is a near tie.
func TestModelsOfDifferentWidthsMixToTheFormulasTokens(t *testing.T) {
	base, tuned, untuned := loadPair(t, "qwen2-base"), loadPair(t, "qwen2-small-tuned"), loadPair(t, "qwen2-small")
	for _, m := range []*Model{tuned, untuned} {
		if err := CheckVocabularies(base, m); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := NewPair(tuned, untuned)
	if err != nil {
		t.Fatal(err)
	}
	cases := readGolden[pairCase](t, filepath.Join(exports, "pair", "golden.json.gz"))
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		if got := base.Tokenizer().Encode(c.Prompt, true); !slices.Equal(got, c.PromptIDs) {
			t.Fatalf("%q is %v, want %v", c.Prompt, got, c.PromptIDs)
		}
		one, both := base.Open(c.PromptIDs), pair.Open(c.PromptIDs, c.PromptIDs)
		for at := range c.Tokens {
			rows, err := one.Rows(t.Context(), c.Tokens[:at], nil)
			if err != nil {
				t.Fatal(err)
			}
			shifts, err := both.Rows(t.Context(), c.Tokens[:at], nil)
			if err != nil {
				t.Fatal(err)
			}
			b, x, y := logProbs(rows[0].Scores[:scored]), logProbs(shifts[0].Tuned.Scores[:scored]), logProbs(shifts[0].Untuned.Scores[:scored])
			best := 0
			for id := range b {
				b[id] += c.Strength * (x[id] - y[id])
				if b[id] > b[best] {
					best = id
				}
			}
			if eft.Token(best) != c.Tokens[at] {
				t.Errorf("%q at %v, token %d: %d, want %d", c.Prompt, c.Strength, at, best, c.Tokens[at])
			}
		}
		one.Close()
		both.Close()
	}
}

// pairCase is one prompt at one strength.
type pairCase struct {
	Prompt    string      `json:"prompt"`
	PromptIDs []eft.Token `json:"prompt_ids"`
	Strength  float64     `json:"strength"`
	Tokens    []eft.Token `json:"tokens"`
}
