package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Stepper is a model's text that is made longer by a token at a time.
type Stepper interface {
	Step(ctx context.Context) error
	Close() error
}

// Decoding says what to measure of a small model: how many tokens a second it computes
// when so many texts take a step at a time, beside what reading the same bytes takes.
type Decoding struct {
	// Open begins a text of so many tokens; it has room for Past and twice Steps more.
	Open func(ctx context.Context, past int) (Stepper, error)

	Model   string // as the report names it
	Threads int    // that one step computes with, for people

	StepBytes  int64 // of weights that a step reads, whatever its batch
	TokenBytes int64 // of keys and values that a step reads for each token before it

	Batches []int // nil: 1, 2, 4, 8, 16, 32
	Past    int   // tokens before the first step; 0: 32
	Steps   int   // of a round; 0: 24
	Rounds  int   // of which the median counts; 0: 5

	Memory *Reader // nil: one of its own
}

// DecodingReport is what was measured, all in one go: in every round every batch has
// its turn, and memory is read before each.
type DecodingReport struct {
	Model      string         `json:"model"`
	Threads    int            `json:"threads"` // of one step
	Memory     Bandwidth      `json:"memory"`
	StepBytes  int64          `json:"step_bytes"`
	TokenBytes int64          `json:"token_bytes"`
	Past       int            `json:"past"`
	Steps      int            `json:"steps"`
	Rounds     int            `json:"rounds"`
	Cells      []DecodingCell `json:"cells"`
}

// DecodingCell is one batch.
type DecodingCell struct {
	Batch           int     `json:"batch"`
	TokensPerSecond float64 `json:"tokens_per_second"` // of all texts together, the median of the rounds
	Least           float64 `json:"tokens_per_second_least"`
	Most            float64 `json:"tokens_per_second_most"`
	BytesPerStep    float64 `json:"bytes_per_step"`   // weights once, keys and values of all texts
	BandwidthShare  float64 `json:"bandwidth_share"`  // of what all threads read, if weights are read once a step
	OneThreadShare  float64 `json:"one_thread_share"` // of what one thread reads
	TimesFirst      float64 `json:"times_first_cell"` // tokens a second by those of the first batch
}

// SmallModel is a model to be measured.
type SmallModel struct {
	// Start loads it. What it returns is closed behind the measurement.
	Start func(ctx context.Context) (on Decoding, close func() error, err error)
}

// Decodings is a section that measures small models one after the other.
func Decodings(models []SmallModel) Section {
	return Section{Name: "models", About: "tokens a second of small models by batch", Measure: func(ctx context.Context, report *Report, tell Progress) error {
		for _, m := range models {
			on, end, err := m.Start(ctx)
			if err != nil {
				return err
			}
			found, err := on.Measure(ctx, tell)
			if err := errors.Join(err, end()); err != nil {
				return err
			}
			report.Models = append(report.Models, *found)
		}
		return nil
	}}
}

// complete puts in the defaults and refuses the rest.
func (d *Decoding) complete() error {
	if d.Batches == nil {
		d.Batches = []int{1, 2, 4, 8, 16, 32}
	}
	for _, n := range []struct {
		value *int
		usual int
	}{{&d.Past, 32}, {&d.Steps, 24}, {&d.Rounds, 5}} {
		if *n.value == 0 {
			*n.value = n.usual
		}
	}
	if d.Past < 0 || d.Steps < 0 || d.Rounds < 0 || len(d.Batches) == 0 || slices.Min(d.Batches) < 1 {
		return fmt.Errorf("bench: decoding of batches %v for %d rounds of %d steps after %d tokens cannot be measured", d.Batches, d.Rounds, d.Steps, d.Past)
	}
	if d.Memory == nil {
		d.Memory = NewReader(0)
	}
	return nil
}

// Measure measures. Texts are opened anew in every round, and one round's worth of steps
// goes before those that count, so that batches have formed and memory is in place.
func (d Decoding) Measure(ctx context.Context, tell Progress) (*DecodingReport, error) {
	if err := d.complete(); err != nil {
		return nil, err
	}
	tell.Plan(d.Rounds * len(d.Batches))
	speeds := make([][]float64, len(d.Batches))
	var memory Bandwidth
	for range d.Rounds {
		for i, batch := range d.Batches {
			var err error
			if memory, err = d.Memory.Pass(ctx); err != nil {
				return nil, err
			}
			tell.Begin(fmt.Sprintf("%s, %d texts at a time", d.Model, batch))
			elapsed, err := d.round(ctx, batch)
			if err != nil {
				return nil, fmt.Errorf("bench: decode %d texts: %w", batch, err)
			}
			speeds[i] = append(speeds[i], rate(batch*d.Steps, elapsed.Seconds()))
			tell.Done()
		}
	}
	return d.report(memory, speeds), nil
}

// report makes the table of tokens a second by batch and round.
func (d Decoding) report(memory Bandwidth, speeds [][]float64) *DecodingReport {
	r := &DecodingReport{Model: d.Model, Threads: d.Threads, Memory: memory, StepBytes: d.StepBytes, TokenBytes: d.TokenBytes, Past: d.Past, Steps: d.Steps, Rounds: d.Rounds}
	for i, batch := range d.Batches {
		slices.Sort(speeds[i])
		c := DecodingCell{
			Batch: batch, TokensPerSecond: speeds[i][len(speeds[i])/2],
			Least: speeds[i][0], Most: speeds[i][len(speeds[i])-1],
		}
		// The steps that count begin after Past and Steps tokens, and end Steps later.
		before := float64(d.Past) + 1.5*float64(d.Steps)
		c.BytesPerStep = float64(d.StepBytes) + float64(batch)*before*float64(d.TokenBytes)
		read := c.BytesPerStep * c.TokensPerSecond / float64(batch)
		c.BandwidthShare, c.OneThreadShare = quotient(read, memory.Best()), quotient(read, memory.OneThread)
		r.Cells = append(r.Cells, c)
		r.Cells[i].TimesFirst = quotient(c.TokensPerSecond, r.Cells[0].TokensPerSecond)
	}
	return r
}

// round is how long so many texts take for their steps, from when the first begins to
// when the last has ended.
func (d Decoding) round(ctx context.Context, batch int) (elapsed time.Duration, err error) {
	texts := make([]Stepper, 0, batch)
	defer func() {
		for _, t := range texts {
			err = errors.Join(err, t.Close())
		}
	}()
	for range batch {
		t, err := d.Open(ctx, d.Past)
		if err != nil {
			return 0, err
		}
		texts = append(texts, t)
	}
	if _, err := d.together(ctx, texts); err != nil {
		return 0, err
	}
	return d.together(ctx, texts)
}

// together lets every text take its steps, each on a goroutine of its own, as requests do.
func (d Decoding) together(ctx context.Context, texts []Stepper) (time.Duration, error) {
	errs := make([]error, len(texts))
	var working sync.WaitGroup
	begin := time.Now()
	for i, t := range texts {
		working.Go(func() {
			for range d.Steps {
				if errs[i] = t.Step(ctx); errs[i] != nil {
					return
				}
			}
		})
	}
	working.Wait()
	return time.Since(begin), errors.Join(errs...)
}
