package eft

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// letters is a vocabulary of n one- or two-byte tokens.
func letters(n int) *Vocabulary {
	pieces := make([][]byte, n)
	for i := range pieces {
		pieces[i] = fmt.Appendf(nil, "%d ", i)
	}
	return NewVocabulary(pieces)
}

// randomRow has n scores as a model's logits look like: spread over some units.
func randomRow(r *rand.Rand, n int) Row {
	scores := make([]float32, n)
	for i := range scores {
		scores[i] = float32(r.NormFloat64() * 3)
	}
	return Row{Scores: scores}
}

func combine(t *testing.T, v *Vocabulary, mix Mix, rows Rows) *Combination {
	t.Helper()
	c, err := NewMixer(v, mix).Combine(rows)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// strength is the mix of one pair at strength α.
func strength(alpha float64) Mix {
	return Mix{Base: 1, Pairs: []Weights{{alpha, alpha}}}
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

func argmax(x []float64) Token {
	at, _ := greatest(x)
	return Token(at)
}
