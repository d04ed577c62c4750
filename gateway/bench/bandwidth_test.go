package bench

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPassesFindNothingAndKeepTheBest(t *testing.T) {
	for _, size := range []int{1, 7, 4096, 5*4096 + 3, 1 << 20} {
		r := NewReader(size)
		if along(r.memory) || woven(r.memory) {
			t.Errorf("%d bytes: the byte that is sought is there", size)
		}
		first, err := r.Pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.Pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if again.OneThread < first.OneThread || again.AllThreads < first.AllThreads || first.Best() <= 0 || first.Bytes != int64(size) {
			t.Errorf("%d bytes: %+v and then %+v", size, first, again)
		}
	}
}

// Every byte must be looked at, wherever it is.
func TestBothWaysReadEveryByte(t *testing.T) {
	r := NewReader(9*4096 + 5)
	for at := range r.memory {
		was := r.memory[at]
		r.memory[at] = 0
		if !along(r.memory) || !woven(r.memory) {
			t.Fatalf("byte %d is not read", at)
		}
		r.memory[at] = was
	}
}

func TestAPassEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewReader(64).Pass(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// quiet is nobody who looks on.
type quiet struct{}

func (quiet) Plan(int)     {}
func (quiet) Begin(string) {}
func (quiet) Done()        {}

// batched is a model whose step takes 10 ms, however many texts it is of, as long as they
// come at the same time.
type batched struct {
	mu           sync.Mutex
	opened, left int
	fail         error
}

type step struct{ model *batched }

func (s step) Step(context.Context) error {
	time.Sleep(10 * time.Millisecond)
	return s.model.fail
}

func (s step) Close() error {
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	s.model.left--
	return nil
}

func (b *batched) open(context.Context, int) (Stepper, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened++
	b.left++
	return step{b}, nil
}

func TestDecodingIsMeasuredByBatch(t *testing.T) {
	model := &batched{}
	report := NewReport(true)
	memory := NewReader(1 << 20)
	var d Decoding
	synctest.Test(t, func(t *testing.T) {
		// Time stands still in here while memory is read, so what was read before counts.
		memory.best = Bandwidth{OneThread: 5e6, AllThreads: 8e6}
		d = Decoding{
			Model: "ten", Threads: 3, Open: model.open, StepBytes: 20_000, TokenBytes: 100,
			Batches: []int{1, 4}, Past: 8, Steps: 5, Rounds: 3, Memory: memory,
		}
		speeds := [][]float64{nil, nil}
		for range d.Rounds {
			for i, batch := range d.Batches {
				elapsed, err := d.round(t.Context(), batch)
				if err != nil {
					t.Fatal(err)
				}
				speeds[i] = append(speeds[i], rate(batch*d.Steps, elapsed.Seconds()))
			}
		}
		report.Models = append(report.Models, *d.report(memory.best, speeds))
	})
	got := report.Models[0]
	// 8 + 7.5 tokens of 100 bytes stand before the mean step of each text.
	want := []DecodingCell{
		{Batch: 1, TokensPerSecond: 100, Least: 100, Most: 100, BytesPerStep: 21_550, BandwidthShare: 2.155e6 / 8e6, OneThreadShare: 2.155e6 / 5e6, TimesFirst: 1},
		{Batch: 4, TokensPerSecond: 400, Least: 400, Most: 400, BytesPerStep: 26_200, BandwidthShare: 2.62e6 / 8e6, OneThreadShare: 2.62e6 / 5e6, TimesFirst: 4},
	}
	for i, w := range want {
		g := got.Cells[i]
		if math.Abs(g.BandwidthShare-w.BandwidthShare) > 1e-9 || math.Abs(g.OneThreadShare-w.OneThreadShare) > 1e-9 {
			t.Errorf("cell %d: shares %g and %g, want %g and %g", i, g.BandwidthShare, g.OneThreadShare, w.BandwidthShare, w.OneThreadShare)
		}
		g.BandwidthShare, g.OneThreadShare = w.BandwidthShare, w.OneThreadShare
		if g != w {
			t.Errorf("cell %d: %+v, want %+v", i, g, w)
		}
	}
	if got.Model != "ten" || got.Threads != 3 || model.left != 0 || model.opened != 15 {
		t.Errorf("%+v; %d texts opened, %d left open", got, model.opened, model.left)
	}
}

func TestDecodingsAreASection(t *testing.T) {
	closed, model := 0, &batched{}
	start := func(context.Context) (Decoding, func() error, error) {
		return Decoding{Model: "m", Open: model.open, Batches: []int{2}, Steps: 1, Rounds: 1, Memory: NewReader(64)}, func() error { closed++; return nil }, nil
	}
	report := NewReport(true)
	section := Decodings([]SmallModel{{start}, {start}})
	if err := section.Measure(t.Context(), report, quiet{}); err != nil {
		t.Fatal(err)
	}
	if len(report.Models) != 2 || closed != 2 || len(report.Models[0].Cells) != 1 {
		t.Errorf("%d closed, %+v", closed, report.Models)
	}
	model.fail = errors.New("no memory")
	if err := section.Measure(t.Context(), report, quiet{}); !errors.Is(err, model.fail) || closed != 3 || model.left != 0 {
		t.Errorf("%v, %d closed, %d left open", err, closed, model.left)
	}
}

func TestDecodingOfNothingIsRefused(t *testing.T) {
	for _, d := range []Decoding{{Batches: []int{0}}, {Batches: []int{}}, {Steps: -1}, {Past: -1}, {Rounds: -2}} {
		if _, err := d.Measure(t.Context(), quiet{}); err == nil {
			t.Errorf("%+v was measured", d)
		}
	}
}
