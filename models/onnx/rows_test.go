package onnx

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// expected holds what PyTorch computes with the weights of testdata: see
// models/demo/testmodels.py.
type expected struct {
	Prompt  []eft.Token `json:"prompt"`
	Steps   []eft.Token `json:"steps"`
	Prefill [][]float32 `json:"prefill_logits"`
	Step    [][]float32 `json:"step_logits"`
	Whole   [][]float32 `json:"whole_logits"` // prompt and steps at once
}

func readExpected(t testing.TB) expected {
	t.Helper()
	data, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var e expected
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// farthest is the largest difference between two lists of rows.
func farthest(t testing.TB, got []eft.Row, want [][]float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	worst := 0.0
	for i := range got {
		if len(got[i].Scores) != len(want[i]) {
			t.Fatalf("row %d has %d scores, want %d", i, len(got[i].Scores), len(want[i]))
		}
		for j := range want[i] {
			worst = max(worst, math.Abs(float64(got[i].Scores[j]-want[i][j])))
		}
	}
	return worst
}

// The truths are rounded to five decimals; the half-precision export rounds its
// cache and its logits besides.
var exports = []struct {
	name string
	near float64
}{{"gqa", 2e-5}, {"plain", 2e-5}, {"plain-fp16", 2e-2}}

func TestRowsEqualPyTorch(t *testing.T) {
	want := readExpected(t)
	for _, export := range exports {
		t.Run(export.name, func(t *testing.T) {
			q := openSequence(t, openModel(t, export.name, Options{Provider: CPU}))
			rows, err := q.Extend(t.Context(), want.Prompt, len(want.Prompt))
			if err != nil {
				t.Fatal(err)
			}
			if d := farthest(t, rows, want.Prefill); d > export.near {
				t.Errorf("prompt: rows are %g away, want at most %g", d, export.near)
			}
			for i, id := range want.Steps {
				rows, err := q.Extend(t.Context(), []eft.Token{id}, 1)
				if err != nil {
					t.Fatal(err)
				}
				if d := farthest(t, rows, want.Step[i:i+1]); d > export.near {
					t.Errorf("step %d: row is %g away, want at most %g", i, d, export.near)
				}
			}
		})
	}
}
