package eft

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// size is the vocabulary of the large tokenizers of today.
const size = 150_000

// peakedRow has scores like a language model's: most ids far below a few good ones.
func peakedRow(r *rand.Rand, n int) Row {
	row := randomRow(r, n)
	for range 50 {
		row.Scores[r.IntN(n)] += float32(r.ExpFloat64() * 6)
	}
	return row
}

// read goes through the scores once, by the fastest way there is: the standard library's
// count of a byte, which takes 32 or more an instruction.
func read(x []float32) int {
	return bytes.Count(unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x)), []byte{7})
}

// sum goes through the scores once, as fast as plain Go does: eight sums, so that no
// addition waits.
func sum(x []float32) float32 {
	var a, b, c, d, e, f, g, h float32
	for len(x) >= 8 {
		a, b, c, d = a+x[0], b+x[1], c+x[2], d+x[3]
		e, f, g, h = e+x[4], f+x[5], g+x[6], h+x[7]
		x = x[8:]
	}
	return a + b + c + d + e + f + g + h
}

// once is the time of going through the three rows: the least of some rounds, which is
// what it takes when nothing interferes.
func once[T any](rows Rows, through func([]float32) T) time.Duration {
	least := time.Duration(math.MaxInt64)
	for range 50 {
		start := time.Now()
		a, b, c := through(rows.Base.Scores), through(rows.Pairs[0].Tuned.Scores), through(rows.Pairs[0].Untuned.Scores)
		least = min(least, time.Since(start))
		runtime.KeepAlive([]T{a, b, c})
	}
	return least
}

// BenchmarkRows measures Combine and Next over a vocabulary of 150,000. The metrics are
// their time over that of going through the three rows once, all the least of their
// rounds: x-read by the fastest way, x-sum adding them up in plain Go.
func BenchmarkRows(b *testing.B) {
	v := letters(size)
	draw := func(row func(*rand.Rand, int) Row) Rows {
		r := rand.New(rand.NewPCG(1, 1))
		return Rows{Base: row(r, size), Pairs: []PairRows{{row(r, size), row(r, size)}}}
	}
	random, peaked := draw(randomRow), draw(peakedRow)
	listed := func(k int) Rows { return Rows{Base: truncate(peaked.Base, size, k), Pairs: peaked.Pairs} }
	forbidding := draw(peakedRow)
	for i := range forbidding.Pairs[0].Tuned.Scores {
		if i%7 == 0 {
			forbidding.Pairs[0].Tuned.Scores[i] = float32(math.Inf(-1))
		}
	}
	history := make([]Token, 1000)
	for i := range history {
		history[i] = Token(i * 131)
	}
	plausible := strength(.8)
	plausible.Plausibility = .1
	sampled := Params{Temperature: .8, TopP: 1}
	for _, c := range []struct {
		name    string
		mix     Mix
		rows    Rows
		params  Params
		history []Token
		kl      bool
	}{
		{"greedy/peaked", strength(.8), peaked, Params{TopP: 1}, nil, false},
		{"greedy/random", strength(.8), random, Params{TopP: 1}, nil, false},
		{"greedy/strength=1", strength(1), peaked, Params{TopP: 1}, nil, false},
		{"sampled/peaked", strength(.8), peaked, sampled, nil, false},
		{"sampled/random", strength(.8), random, sampled, nil, false},
		{"sampled/tuned=−∞", strength(.8), forbidding, sampled, nil, false},
		{"top_k=40", strength(.8), peaked, Params{Temperature: .8, TopP: 1, TopK: 40}, nil, false},
		{"top_p=.95", strength(.8), peaked, Params{Temperature: .8, TopP: .95}, nil, false},
		{"top_p=.95/random", strength(.8), random, Params{Temperature: .8, TopP: .95}, nil, false},
		{"top_k=40,top_p=.95", strength(.8), peaked, Params{Temperature: .8, TopP: .95, TopK: 40}, nil, false},
		{"min_p=.05", strength(.8), peaked, Params{Temperature: .8, TopP: 1, MinP: .05}, nil, false},
		{"penalties", strength(.8), peaked, Params{Temperature: .8, TopP: 1, Presence: .5, Frequency: .1}, history, false},
		{"plausibility", plausible, peaked, sampled, nil, false},
		{"truncated/k=20", strength(.8), listed(20), sampled, nil, false},
		{"truncated/k=100", strength(.8), listed(100), sampled, nil, false},
		{"base alone", Mix{Base: 1}, Rows{Base: peaked.Base}, sampled, nil, false},
		{"sampled/peaked/KL", strength(.8), peaked, sampled, nil, true},
		{"truncated/k=20/KL", strength(.8), listed(20), sampled, nil, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			m, s := NewMixer(v, c.mix), NewSampler(c.params)
			reading, adding, least := once(peaked, read), once(peaked, sum), time.Duration(math.MaxInt64)
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				if err := step(m, s, c.rows, c.history, c.kl); err != nil {
					b.Fatal(err)
				}
				least = min(least, time.Since(start))
			}
			reading, adding = min(reading, once(peaked, read)), min(adding, once(peaked, sum))
			b.ReportMetric(float64(least)/float64(reading), "x-read")
			b.ReportMetric(float64(least)/float64(adding), "x-sum")
		})
	}
}

func step(m *Mixer, s *Sampler, rows Rows, history []Token, kl bool) error {
	c, err := m.Combine(rows)
	if err != nil {
		return err
	}
	if _, err = s.Next(c, history); err != nil {
		return err
	}
	if kl && !(c.KL() >= 0) {
		return fmt.Errorf("divergence %v", c.KL())
	}
	return nil
}
