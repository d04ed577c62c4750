package decode

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// world is a base, its small models and texts in step with each other: what a round of
// all texts takes is a function of their paths.
type world struct {
	texts int
	right float64       // share of right guesses
	step  time.Duration // of the pairs
	call  func(paths []int) time.Duration
	own   float64 // share of the base's own tokens that are right, a call each
}

// play runs a drafter for so many rounds, and returns the tokens a second behind the
// first quarter, which it may learn in.
func (w world) play(drafter Drafter, rounds int, random *rand.Rand) float64 {
	texts := make([]Drafting, w.texts)
	const answer = 200
	length := make([]int, w.texts)
	for i := range texts {
		texts[i] = drafter.Begin(Text{Prompt: 20, Pairs: true})
	}
	tokens, took := 0.0, time.Duration(0)
	now := time.Unix(0, 0)
	if auto, ok := drafter.(*Auto); ok {
		auto.meter.now = func() time.Time { return now }
	}
	for round := range rounds {
		results, paths := make([]Round, w.texts), make([]int, w.texts)
		drafting := time.Duration(0)
		for i, text := range texts {
			r := &results[i]
			r.Draft = text.Next(answer - 1 - length[i])
			if r.By == Tuned {
				r.Path, paths[i] = r.Length, r.Length
			}
			r.Steps, r.Stepping = r.Path+1, time.Duration(r.Path+1)*w.step
			drafting = max(drafting, time.Duration(r.Path)*w.step)
			text.Sent(r.Path)
		}
		base := w.call(paths)
		whole := drafting + base
		now = now.Add(base)
		for i, text := range texts {
			r := &results[i]
			right, most := w.right, r.Path
			if r.By == Own {
				right, most = w.own, 0
			}
			for r.Tokens = 1; r.Tokens <= most && random.Float64() < right; r.Tokens++ {
				r.Agreed++
			}
			r.Walked = min(r.Agreed+1, most)
			r.Base, r.Whole = base, whole
			text.Learn(*r)
			if round > rounds/4 {
				tokens += float64(r.Tokens)
			}
			if length[i] += r.Tokens; length[i] >= answer-1 {
				text.End()
				texts[i], length[i] = drafter.Begin(Text{Prompt: 20, Pairs: true}), 0
			}
		}
		if round > rounds/4 {
			took += whole
		}
		now = now.Add(drafting)
	}
	for _, text := range texts {
		text.End()
	}
	return tokens / took.Seconds()
}

// TestAutoComesCloseToTheBestFixedPath holds auto to the best path that somebody who
// knew everything could have set, but for what trying others costs.
func TestAutoComesCloseToTheBestFixedPath(t *testing.T) {
	const ms = time.Millisecond
	pass := func(fixed, token time.Duration, tail, list bool) func([]int) time.Duration {
		return func(paths []int) time.Duration {
			tokens := 0
			for _, path := range paths {
				switch {
				case list:
					tokens += (path + 1) * 8
				case tail:
					tokens += path + 8
				default:
					tokens += path + 1
				}
			}
			return fixed + time.Duration(tokens-1)*token
		}
	}
	for name, call := range map[string]func([]int) time.Duration{
		"one pass":         pass(30*ms, ms*15/100, true, false),
		"list of prefixes": pass(30*ms, ms*15/100, true, true),
		"a quick base":     pass(ms/8, ms/50, false, false),
		"singles batched, paths one by one": func(paths []int) time.Duration {
			took := ms / 4
			for _, path := range paths {
				if path > 0 {
					took += ms/8 + time.Duration(path)*ms/50
				}
			}
			return took
		},
	} {
		for _, texts := range []int{1, 4, 16} {
			for _, right := range []float64{0.5, 0.75, 0.9} {
				t.Run(fmt.Sprintf("%s/%d texts/right %v", name, texts, right), func(t *testing.T) {
					w := world{texts: texts, right: right, own: 0.7, step: ms / 20, call: call}
					random := rand.New(rand.NewPCG(1, uint64(texts)))
					best, at := 0.0, 0
					for _, length := range lengths {
						if rate := w.play(Fixed{By: Tuned, Length: length}, 600, random); rate > best {
							best, at = rate, length
						}
					}
					got := w.play(NewAuto(Nobody, NewMeter()), 2000, random)
					t.Logf("auto %.0f tokens/s, the best path (%d) %.0f: %.2f", got, at, best, got/best)
					if got < 0.85*best {
						t.Errorf("auto makes %.0f tokens/s, a path of %d %.0f", got, at, best)
					}
				})
			}
		}
	}
}

func TestCostFindsWhatCallsAreMadeOf(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var m cost
	for range 2000 {
		n := 1 + random.IntN(16)
		f := features{n: float64(n), paths: float64(random.IntN(n + 1))}
		f.tokens = f.paths * float64(1+random.IntN(16))
		m.learn(f, 0.030+0.001*f.n+0.00015*f.tokens)
	}
	for _, f := range []features{{}, {n: 1}, {n: 16}, {n: 1, paths: 1, tokens: 16}, {n: 16, paths: 16, tokens: 16}} {
		if got, want := m.predict(f), 0.030+0.001*f.n+0.00015*f.tokens; math.Abs(got-want) > 0.02*want {
			t.Errorf("predicts %v of %+v, want %v", got, f, want)
		}
	}
	f := features{n: 3, paths: 3, tokens: 24}
	if got := m.predict(f); math.Abs(got-0.0366) > 8e-4 {
		t.Errorf("predicts %v", got)
	}
}
