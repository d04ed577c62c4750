package eft

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The processor's wide instructions and plain Go must agree to the bit, or answers would
// depend on the machine.
func TestKernelsGiveTheBitsOfPlainGo(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	odd := []float32{nan, inf, -inf, 0, float32(math.Copysign(0, -1)), math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32}
	same := func(a, b float64) bool {
		return a == b || math.IsNaN(a) && math.IsNaN(b)
	}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 3))
		n := 1 + r.IntN(5)
		rows := [3]Row{anyRow(r, n*blockSize), anyRow(r, n*blockSize), anyRow(r, n*blockSize)}
		for range r.IntN(4) {
			rows[r.IntN(3)].Scores[r.IntN(n*blockSize)] = odd[r.IntN(len(odd))]
		}
		b, tuned, u := rows[0].Scores, rows[1].Scores, rows[2].Scores
		w, pair := []float64{0, 1, r.Float64() * 2}[r.IntN(3)], Weights{r.Float64() + 1e-3, r.Float64()}
		best := []float32{-inf, 8, 9, inf}[r.IntN(4)]
		got, want := make([]float64, n), make([]float64, n)
		top, at := mixBlocks(b, tuned, u, w, pair, got, best)
		plainTop, plainAt := plainMixBlocks(b, tuned, u, w, pair, want, best)
		broken := false // then rows are refused, and the base's best is nobody's
		for k := range n {
			broken = broken || math.IsNaN(want[k])
			if !same(got[k], want[k]) {
				t.Fatalf("seed %d: block %d: %v, plain %v", seed, k, got[k], want[k])
			}
			var x, y block
			low := k * blockSize
			bs, ts, us := (*[blockSize]float32)(b[low:]), (*[blockSize]float32)(tuned[low:]), (*[blockSize]float32)(u[low:])
			sound, plainSound := fillBlock(&x, bs, ts, us, w, pair), plainFillBlock(&y, bs, ts, us, w, pair)
			if sound != plainSound || sound == math.IsNaN(got[k]) {
				t.Fatalf("seed %d: block %d: sound %v, plain %v, greatest %v", seed, k, sound, plainSound, got[k])
			}
			for i := range x {
				if !same(x[i], y[i]) {
					t.Fatalf("seed %d: place %d: %v, plain %v", seed, i, x[i], y[i])
				}
			}
			if _, greatest := x.greatest(); sound && greatest != got[k] {
				t.Fatalf("seed %d: block %d: greatest %v, of its scores %v", seed, k, got[k], greatest)
			}
			if _, greatest := x.greatest(); sound && finite(greatest) {
				if sum, plain := x.exponentials(greatest), y.plainExponentials(greatest); sum != plain || x != y {
					t.Fatalf("seed %d: block %d: exponentials sum to %v, plain %v", seed, k, sum, plain)
				}
			}
		}
		if !broken && (top != plainTop || at != plainAt) {
			t.Fatalf("seed %d: the base's best %v in block %d, plain %v in %d", seed, top, at, plainTop, plainAt)
		}
	}
}

func TestAPositionAllocatesNothing(t *testing.T) {
	const n = 1000
	r := rand.New(rand.NewPCG(1, 4))
	v := letters(n)
	base, pairs := randomRow(r, n), []PairRows{{randomRow(r, n), randomRow(r, n)}}
	history := []Token{1, 2, 3, 2, 1}
	for name, c := range map[string]struct {
		rows Rows
		p    Params
	}{
		"greedy":    {Rows{base, pairs}, Params{TopP: 1}},
		"sampled":   {Rows{base, pairs}, Params{Temperature: 1, TopP: 1}},
		"truncated": {Rows{truncate(base, n, 20), pairs}, Params{Temperature: 1, TopP: 1}},
		"everything": {Rows{base, pairs}, Params{Temperature: 1, TopK: 50, TopP: .9, MinP: .01, Presence: 1, Frequency: 1,
			Bias: map[Token]float64{7: 1}, Ends: []Token{9}, MinTokens: 10}},
	} {
		m, s := NewMixer(v, strength(.8)), NewSampler(c.p)
		if allocated := testing.AllocsPerRun(50, func() {
			if err := step(m, s, c.rows, history, true); err != nil {
				t.Fatal(err)
			}
		}); allocated != 0 {
			t.Errorf("%s: %v allocations a position", name, allocated)
		}
	}
}
