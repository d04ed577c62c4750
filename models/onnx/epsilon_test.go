package onnx

import (
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

func TestEpsilonIsSmallInEveryShape(t *testing.T) {
	for _, export := range exports {
		for _, exact := range []bool{false, true} {
			s := openModel(t, export.name, Options{Provider: CPU, ExactShapes: exact})
			found, err := Epsilon(t.Context(), s, walk(100, 64))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range found {
				t.Logf("%-10s exact=%-5v %-16s %3d/%d identical, worst %.2g", export.name, exact, d.Shape, d.Identical, d.Rows, d.LogProb)
			}
		}
	}
}
