package doctor

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// pretender takes a set time for every run and counts what it was asked.
type pretender struct {
	step, token time.Duration // of a run, and for every token in it
	score       float32
	fails       error
	longest     int // prompt that was read
	open        int // texts that are not closed
	epsilonTook bool
}

func (p *pretender) Open(prompt []eft.Token) Text {
	p.open++
	return &pretended{p: p, prompt: len(prompt)}
}

func (p *pretender) Epsilon(ctx context.Context, tokens []eft.Token) (float64, error) {
	p.epsilonTook = true
	return 2.5e-5, wait(ctx, epsilonInSteps*p.step)
}

type pretended struct {
	p            *pretender
	prompt, held int
}

func (t *pretended) Rows(ctx context.Context, generated, _ []eft.Token) ([]eft.Row, error) {
	length := t.prompt + len(generated)
	if err := wait(ctx, t.p.step+time.Duration(length-t.held)*t.p.token); err != nil {
		return nil, err
	}
	t.held = length
	t.p.longest = max(t.p.longest, t.prompt)
	return []eft.Row{{Scores: []float32{t.p.score, t.p.score}}}, t.p.fails
}

func (t *pretended) Close() error {
	t.p.open--
	return nil
}

// wait takes time, or ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func measure(t *testing.T, p *pretender, m Measure) (probe Probe, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		probe, err = Run(t.Context(), p, m)
		if took := time.Since(began); took > patience+4*m.Budget+time.Second {
			t.Errorf("it took %v", took)
		}
	})
	if p.open != 0 {
		t.Errorf("%d texts are left open", p.open)
	}
	return probe, err
}

func TestProbesMeasureWhatModelsDo(t *testing.T) {
	sample := []eft.Token{5, 6, 7}
	second := func(n int) Measure { return Measure{Sample: sample, Context: n, Budget: time.Second} }
	ms := time.Millisecond
	for name, c := range map[string]struct {
		model   pretender
		measure Measure
		check   func(p Probe) bool
	}{
		// 10 ms a step: 50 steps in the half second, a prompt of 16 in 10 ms, of 512 too, and
		// 0.6 s for ε.
		"a fast model": {pretender{step: 10 * ms}, second(2048), func(p Probe) bool {
			return p.Steps == 50 && p.StepsPerSecond == 100 && p.Prompt == 512 && p.PromptPerSecond == 51200 && p.Epsilon != nil
		}},
		"ε where it is cheap": {pretender{step: ms}, second(2048), func(p Probe) bool { return p.Epsilon != nil && *p.Epsilon == 2.5e-5 }},
		"no ε where it is dear": {pretender{step: 20 * ms}, second(2048), func(p Probe) bool {
			return p.Epsilon == nil && strings.Contains(p.EpsilonNote, "about 1.2 s, longer than a probe of 1s")
		}},
		// 1 ms + 1 ms a token: steps take 2 ms; prompts of 16, 32, 64, 128 take 17, 33, 65 and
		// 129 ms, and the next would end after the half second.
		"prompts end with their share": {pretender{step: ms, token: ms}, second(2048), func(p Probe) bool {
			return p.Steps == 250 && p.Prompt == 128 && math.Abs(p.PromptPerSecond-128/0.129) < 1e-6
		}},
		"a slow model has one step": {pretender{step: 2 * time.Second}, second(2048), func(p Probe) bool {
			return p.Steps == 1 && p.StepsPerSecond == 0.5 && p.Prompt == 0 && p.EpsilonNote != ""
		}},
		"a model too slow": {pretender{step: time.Hour}, second(2048), func(p Probe) bool {
			return p.Steps == 0 && p.Slow
		}},
		"a short context": {pretender{step: ms}, second(6), func(p Probe) bool {
			return p.Steps == 3 && p.Prompt == 6 && p.Epsilon == nil && p.EpsilonNote != ""
		}},
		"the least context": {pretender{step: ms}, second(1), func(p Probe) bool { return p.Steps == 0 && p.Prompt == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := measure(t, &c.model, c.measure)
			if err != nil || !c.check(p) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestProbesFindModelsThatDoNotWork(t *testing.T) {
	broken := errors.New("out of memory")
	for name, c := range map[string]struct {
		model pretender
		want  error
	}{
		"a failing run": {pretender{fails: broken}, broken},
		"NaN":           {pretender{score: float32(math.NaN())}, ErrNoNumbers},
		"+∞":            {pretender{score: float32(math.Inf(1))}, ErrNoNumbers},
		"−∞ alone":      {pretender{score: float32(math.Inf(-1))}, ErrNoNumbers},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := measure(t, &c.model, Measure{Sample: []eft.Token{1}, Context: 64, Budget: time.Second}); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestProbesEndWhenTheyAreInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		p := &pretender{step: 10 * time.Millisecond}
		began := time.Now()
		if _, err := Run(ctx, p, Measure{Sample: []eft.Token{1}, Context: 2048, Budget: time.Second}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > 310*time.Millisecond || p.open != 0 {
			t.Errorf("it went on for %v, %d texts open", took, p.open)
		}
	})
}
