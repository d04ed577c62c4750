package onnx

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// walk is a text of n tokens, the same at every call.
func walk(n, vocab int) []eft.Token {
	tokens := make([]eft.Token, n)
	x := uint32(12345)
	for i := range tokens {
		x = x*1664525 + 1013904223
		tokens[i] = eft.Token(x>>8) % eft.Token(vocab)
	}
	return tokens
}

// bits says whether the kernels of this machine's processor are known to sum a
// product of several rows alike, whatever their number. On others rows are
// compared within what summing in another order can change.
const bits = runtime.GOARCH == "amd64"

// same compares two rows of scores of one session with ExactShapes.
func same(a, b []float32) bool {
	if bits || len(a) != len(b) {
		return slices.Equal(a, b)
	}
	for i := range a {
		if math.Abs(float64(a[i]-b[i])) > 1e-4 {
			return false
		}
	}
	return true
}

func TestEpsilon(t *testing.T) {
	// Half-precision logits of about 4 are 2^-8 apart.
	near := map[string]float64{"gqa": 5e-5, "plain": 5e-5, "plain-fp16": 1e-2}
	for _, export := range exports {
		for _, exact := range []bool{false, true} {
			s := openModel(t, export.name, Options{Provider: CPU, ExactShapes: exact})
			live := testEnv.Counts()
			found, err := Epsilon(t.Context(), s, walk(100, 64))
			if err != nil {
				t.Fatal(err)
			}
			if now := testEnv.Counts(); now.Sessions != live.Sessions {
				t.Errorf("%+v alive after measuring, %+v before", now, live)
			}
			for _, d := range found {
				t.Logf("%-10s exact=%-5v %-16s %3d of %d rows identical, else within %.2g", export.name, exact, d.Shape, d.Identical, d.Rows, d.LogProb)
				if d.Rows != 100 || d.LogProb > near[export.name] {
					t.Errorf("%s: %+v", export.name, d)
				}
				several := d.Shape == "two at a time" || d.Shape == "cut and extended" || exact && d.Shape == "one at a time"
				if bits && several && d.Identical != d.Rows {
					t.Errorf("%s: runs of several tokens differ: %+v", export.name, d)
				}
			}
		}
	}
}

// TestEpsilonOfTheEmbeddedFamily is where the figures for it come from: run it
// with -v.
func TestEpsilonOfTheEmbeddedFamily(t *testing.T) {
	for _, name := range []string{"base", "small-chat", "small"} {
		for _, exact := range []bool{false, true} {
			s, err := OpenSession(testEnv, member(name), Options{Provider: CPU, Context: 2048, ExactShapes: exact})
			if err != nil {
				t.Fatal(err)
			}
			found, err := Epsilon(t.Context(), s, walk(300, s.Vocabulary()))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range found {
				t.Logf("%-10s exact=%-5v %-16s %3d of %d rows identical, else within %.2g", name, exact, d.Shape, d.Identical, d.Rows, d.LogProb)
				if d.LogProb > 5e-4 || bits && exact && d.Shape == "one at a time" && d.Identical != d.Rows {
					t.Errorf("%s: %+v", name, d)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestBatchesOfStepsAreStepsAlone is what lets a loop put steps of many
// sequences together without changing a token.
func TestBatchesOfStepsAreStepsAlone(t *testing.T) {
	text := walk(100, 64)
	for _, export := range exports {
		s := openModel(t, export.name, Options{Provider: CPU})
		alone, err := s.extendBy(t.Context(), text, 1)
		if err != nil {
			t.Fatal(err)
		}
		together, err := s.stepBatch(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		d := compare("batch", together, alone)
		if bits && d.Identical != d.Rows || d.LogProb > 1e-2 {
			t.Errorf("%s: %+v", export.name, d)
		}
	}
}

func TestEpsilonRefuses(t *testing.T) {
	s := openModel(t, "gqa", Options{Provider: CPU})
	for _, n := range []int{0, 3, 129} {
		if _, err := Epsilon(t.Context(), s, walk(n, 64)); err == nil {
			t.Errorf("measured on %d tokens of a context of 128", n)
		}
	}
	if _, err := Epsilon(t.Context(), s, []eft.Token{1, 2, 3, 64}); err == nil {
		t.Error("measured on a token that is not in the vocabulary")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.stepBatch(t.Context(), walk(10, 64)); err == nil {
		t.Error("a batch ran on a closed session")
	}
}

func TestLogProbsSumToOne(t *testing.T) {
	for _, row := range [][]float32{{0}, {1, 2, 3}, {-1000, 1000}, {float32(math.Inf(-1)), 0, 0}} {
		sum := 0.0
		for _, v := range logProbs(row) {
			sum += math.Exp(v)
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("%v: sum %v", row, sum)
		}
	}
}
