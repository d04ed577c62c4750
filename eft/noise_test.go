package eft

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// distance is the Kolmogorov–Smirnov distance of the sample from the distribution.
func distance(sample []float64, distribution func(float64) float64) float64 {
	slices.Sort(sample)
	n, d := float64(len(sample)), 0.0
	for i, x := range sample {
		p := distribution(x)
		d = max(d, math.Abs(p-float64(i)/n), math.Abs(p-float64(i+1)/n))
	}
	return d
}

// Gumbel's distribution is exp(−exp(−x)); the greatest of n is that, moved by log n.
// The bound is that of one sample in 100,000: √(log(2·10⁵)/2n).
func TestNoiseIsGumbels(t *testing.T) {
	const n = 200_000
	bound := math.Sqrt(math.Log(2e5) / 2 / n)
	gumbel := func(x float64) float64 { return math.Exp(-math.Exp(-x)) }
	greatest := func(k int) float64 {
		noise, best := newNoise(3, k), math.Inf(-1)
		for i := range blockSize {
			best = max(best, noise.of(Token(k*blockSize+i)))
		}
		return best - math.Log(blockSize)
	}
	for name, draw := range map[string]func(i int) float64{
		"of the ids of a position":     func(i int) float64 { return newNoise(1, 0).of(Token(i)) },
		"of an id, by position":        func(i int) float64 { return newNoise(1, i).of(4711) },
		"of an id, by seed":            func(i int) float64 { return newNoise(uint64(i), 9).of(64) },
		"of a block's greatest":        greatest,
		"of two ids of a block, least": func(i int) float64 { return least(newNoise(uint64(i), 2), 70, 80) },
	} {
		distribution := gumbel
		if name == "of two ids of a block, least" { // of two independent ones
			distribution = func(x float64) float64 { return 1 - (1-gumbel(x))*(1-gumbel(x)) }
		}
		size := n
		if name == "of a block's greatest" {
			size = n / 20
		}
		sample := make([]float64, size)
		for i := range sample {
			sample[i] = draw(i)
		}
		if d := distance(sample, distribution); d > bound*math.Sqrt(float64(n/size)) {
			t.Errorf("%s: at a distance of %v, bound %v", name, d, bound*math.Sqrt(float64(n/size)))
		}
	}
}

func least(n noise, a, b Token) float64 { return min(n.of(a), n.of(b)) }

// Ids of a block share what their greatest is drawn from, and must be independent all the
// same: pairs fall evenly on a grid of 8 × 8 cells of equal mass. The statistic of
// chi-square with 63 degrees of freedom exceeds 130 once in 10⁶ samples.
func TestNoiseOfNeighboursIsIndependent(t *testing.T) {
	const n, grid = 200_000, 8
	for name, pair := range map[string][2]Token{
		"within a block":      {3, 4},
		"a block's ends":      {64, 127},
		"of different blocks": {63, 64},
	} {
		var counts [grid][grid]float64
		cell := func(x float64) int { return min(int(math.Exp(-math.Exp(-x))*grid), grid-1) }
		for seed := range uint64(n) {
			noise := newNoise(seed, 5)
			counts[cell(noise.of(pair[0]))][cell(noise.of(pair[1]))]++
		}
		statistic := 0.0
		for _, row := range counts {
			for _, c := range row {
				const want = n / grid / grid
				statistic += (c - want) * (c - want) / want
			}
		}
		if statistic > 130 {
			t.Errorf("%s: chi-square %v with 63 degrees of freedom", name, statistic)
		}
	}
}

// The leader of a block is any of its ids, whatever the noise that it has. Chi-square
// with 63 degrees of freedom exceeds 130 once in 10⁶ samples.
func TestAnyIdMayLeadItsBlock(t *testing.T) {
	const n = 200_000
	var counts, high [blockSize]float64
	all, best := 0.0, 0.0
	for k := range n {
		noise := newNoise(12, 1)
		x, leader := noise.greatest(noise.hash(k))
		counts[leader]++
		all++
		if x < math.Ln2/blockSize { // half of all
			high[leader]++
			best++
		}
	}
	for name, c := range map[string]struct {
		counts [blockSize]float64
		n      float64
	}{"all": {counts, all}, "with high noise": {high, best}} {
		statistic, want := 0.0, c.n/blockSize
		for _, x := range c.counts {
			statistic += (x - want) * (x - want) / want
		}
		if statistic > 130 {
			t.Errorf("%s: chi-square %v with 63 degrees of freedom", name, statistic)
		}
	}
}

func TestNoiseIsBelowItsBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	hashes := []uint64{0, math.MaxUint64, 1 << 12, ^uint64(1<<12 - 1), ^uint64(1<<13 - 1), 1 << 63, 1<<63 - 1}
	for range 100_000 {
		hashes = append(hashes, r.Uint64()>>r.IntN(60), ^(r.Uint64() >> r.IntN(60)))
	}
	for _, hash := range hashes {
		x, _ := newNoise(0, 0).greatest(hash)
		noise, bound := -math.Log(x), newNoise(0, 0).bound(hash)
		if !finite(noise) || noise > bound {
			t.Fatalf("hash %x: noise %v, bound %v", hash, noise, bound)
		}
	}
	for seed := range uint64(2000) {
		n := newNoise(seed, 1)
		for id := range Token(blockSize) {
			if g := n.of(id); !finite(g) || g > n.bound(n.hash(0)) {
				t.Fatalf("seed %d: noise %v of id %d, bound %v", seed, g, id, n.bound(n.hash(0)))
			}
		}
	}
}

// Computed once in Python from the comment of noise: who changes it changes every answer
// at a temperature, and should know.
func TestNoiseStaysWhatItWas(t *testing.T) {
	n := newNoise(42, 7)
	for id, want := range map[Token]float64{
		0: -0.8060955839653395, 1: 0.9108340690272536, 63: -0.508080953146095, 64: 0.4362500807808551, 149_999: 0.9822174809608987,
	} {
		if got := n.of(id); math.Abs(got-want) > 1e-12 {
			t.Errorf("id %d has %v, had %v", id, got, want)
		}
	}
}
