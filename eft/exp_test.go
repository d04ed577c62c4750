package eft

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The truth is math.Exp, which is good to its last bit or so.
func TestExponentialsAgreeWithMathExp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for round := range 2000 {
		var x, want block
		best, sum := r.NormFloat64()*100, 0.0
		for i := range x {
			x[i] = best - r.Float64()*(-negligible)*float64(round%2+1)/2
		}
		x[r.IntN(blockSize)], x[r.IntN(blockSize)], x[0] = best, math.Inf(-1), best+negligible-1
		for i := range x {
			if y := x[i] - best; y >= negligible {
				want[i] = math.Exp(y)
			}
			sum += want[i]
		}
		if got := x.exponentials(best); math.Abs(got-sum) > 1e-14*sum {
			t.Fatalf("sum %v, want %v", got, sum)
		}
		for i := range x {
			if math.Abs(x[i]-want[i]) > 2e-15*want[i] {
				t.Fatalf("place %d: %v, want %v", i, x[i], want[i])
			}
		}
	}
}

func BenchmarkExponentials(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var x block
	for i := range x {
		x[i] = r.NormFloat64()*3 - 13
	}
	b.Run("here", func(b *testing.B) {
		for b.Loop() {
			y := x
			y.exponentials(0)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blockSize, "ns/id")
	})
	b.Run("math.Exp", func(b *testing.B) {
		for b.Loop() {
			y := x
			for i := range y {
				y[i] = math.Exp(y[i])
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blockSize, "ns/id")
	})
}
