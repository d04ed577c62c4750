package decode

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// strict is a model of which the rows lie in memory that its next call overwrites, and
// that panics if two goroutines are in one of its sequences, or one is behind its end.
type strict struct {
	hashed
	names  int
	panics int // at this call of a sequence, 0 for never
}

type strictText struct {
	model  *strict
	inner  *hashedText
	inside atomic.Bool
	calls  int
	given  []eft.Row
}

func (m *strict) Open(ctx context.Context, tenant string, prompt []eft.Token) (Sequence, error) {
	inner, err := m.hashed.Open(ctx, tenant, prompt)
	if err != nil {
		return nil, err
	}
	text := &strictText{model: m, inner: inner.(*hashedText)}
	if m.names > 0 {
		return &strictNamer{text}, nil
	}
	return text, nil
}

func (t *strictText) enter() {
	if !t.inside.CompareAndSwap(false, true) {
		panic("two goroutines are in one sequence")
	}
	if t.inner.closed {
		panic("a sequence is used behind its end")
	}
}

// spoil overwrites what earlier calls returned.
func (t *strictText) spoil() {
	for _, row := range t.given {
		for i := range row.Scores {
			row.Scores[i] = float32(i%7) * 5
		}
		for i := range row.IDs {
			row.IDs[i], row.LogProbs[i] = eft.Token(i), -1
		}
	}
	clear(t.given)
	t.given = nil
}

func (t *strictText) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	t.enter()
	defer t.inside.Store(false)
	t.spoil()
	if t.calls++; t.calls == t.model.panics {
		panic("a bug")
	}
	if ctx.Err() != nil && t.calls%2 == 0 { // else it answers all the same
		return nil, ctx.Err()
	}
	rows, err := t.inner.Rows(ctx, generated, path)
	t.given = rows
	return slices.Clone(rows), err
}

func (t *strictText) Close() {
	if t.inside.Load() {
		panic("a sequence is closed that somebody is in")
	}
	t.spoil()
	t.inner.Close()
}

type strictNamer struct{ *strictText }

func (t *strictNamer) Names() int { return t.model.names }

func (t *strictNamer) Named(_ context.Context, generated, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	t.enter()
	defer t.inside.Store(false)
	dense := &hashed{name: t.model.name}
	out := make([][]eft.Scored, len(names))
	for i, ids := range names {
		row := dense.row(slices.Concat(t.inner.prompt, generated, path[:i]))
		norm := eft.LogSumExp(row.Scores)
		for _, id := range ids {
			out[i] = append(out[i], eft.Scored{ID: id, LogProb: float32(float64(row.Scores[id]) - norm)})
		}
	}
	return out, nil
}

// strictPair is a pair of strict models, of which untuned may be nil.
type strictPair struct{ tuned, untuned *strict }

func (p strictPair) Open(ctx context.Context, tenant string, prompts PairPrompts) (PairSequence, error) {
	tuned, err := p.tuned.Open(ctx, tenant, prompts.Tuned)
	if err != nil {
		return nil, err
	}
	if p.untuned == nil {
		return strictPairText{tuned, nil}, nil
	}
	untuned, err := p.untuned.Open(ctx, tenant, prompts.Untuned)
	return strictPairText{tuned, untuned}, err
}

type strictPairText struct{ tuned, untuned Sequence }

func (t strictPairText) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.PairRows, error) {
	tuned, err := t.tuned.Rows(ctx, generated, path)
	if err != nil {
		return nil, err
	}
	rows := make([]eft.PairRows, len(tuned))
	for i := range rows {
		rows[i].Tuned = tuned[i]
	}
	if t.untuned == nil {
		return rows, nil
	}
	untuned, err := t.untuned.Rows(ctx, generated, path)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Untuned = untuned[i]
	}
	return rows, nil
}

func (t strictPairText) Close() {
	t.tuned.Close()
	if t.untuned != nil {
		t.untuned.Close()
	}
}

// whim drafts each round at random and checks what it is told of rounds.
type whim struct {
	t      *testing.T
	random *rand.Rand
	answer []eft.Token
	right  float64
	counts whimCounts
}

type whimCounts struct{ begun, ended, sent, learnt, walked, agreed, tokens int }

func (w *whim) Begin(Text) Drafting { w.counts.begun++; return w }

func (w *whim) Next(limit int) Draft {
	return Draft{By: Guesser(w.random.IntN(3)), Length: w.random.IntN(limit+6) - 2, Ahead: w.random.IntN(7) - 1}
}

func (w *whim) Garble(position int, guess eft.Token) eft.Token {
	switch {
	case w.right < 0:
		return guess
	case position < len(w.answer) && w.random.Float64() < w.right:
		return w.answer[position]
	}
	return eft.Token(w.random.IntN(size))
}

func (w *whim) Sent(int) { w.counts.sent++ }

func (w *whim) Learn(r Round) {
	c := &w.counts
	c.learnt++
	c.walked, c.agreed, c.tokens = c.walked+r.Walked, c.agreed+r.Agreed, c.tokens+r.Tokens
	if r.Agreed > r.Walked || r.Tokens < r.Agreed || !r.Failed && r.Tokens < 1 {
		w.t.Errorf("a round that does not add up: %+v", r)
	}
}

func (w *whim) End() { w.counts.ended++ }

// hostile is a request of random parameters, pairs and weights over strict models.
func hostile(seed uint64) (Request, []*strict) {
	random := rand.New(rand.NewPCG(seed, 77))
	base := &strict{hashed: hashed{name: fmt.Sprint("base", seed)}}
	if random.IntN(3) == 0 {
		base.truncate = true
		base.names = random.IntN(4)
	}
	models := []*strict{base}
	r := Request{Vocabulary: vocabulary(), Base: base, Prompt: []eft.Token{1, 2}, Mix: eft.Mix{Base: 1}, MaxTokens: 1 + random.IntN(30)}
	if random.IntN(3) == 0 {
		r.MaxTokens = 1 + random.IntN(2)
	}
	for i := range random.IntN(4) {
		p := strictPair{tuned: &strict{hashed: hashed{name: fmt.Sprint("tuned", i)}}}
		models = append(models, p.tuned)
		w := eft.Weights{Tuned: random.Float64() * 2}
		if random.IntN(4) > 0 {
			p.untuned = &strict{hashed: hashed{name: fmt.Sprint("untuned", i)}}
			models = append(models, p.untuned)
			w.Untuned = random.Float64() * 2
		}
		if random.IntN(3) == 0 {
			w = eft.Weights{}
		}
		r.Experts = append(r.Experts, Expert{p, PairPrompts{[]eft.Token{4, eft.Token(i)}, []eft.Token{5}}})
		r.Mix.Pairs = append(r.Mix.Pairs, w)
	}
	if random.IntN(3) == 0 {
		r.Mix.Plausibility = 0.1
	}
	r.Params = eft.Params{Seed: seed, TopP: 1, Temperature: float64(random.IntN(2)), MinTokens: random.IntN(2) * random.IntN(12)}
	if r.Mix.Plausibility > 0 {
		r.Params.MinTokens = 0 // the two could leave no token
	}
	if random.IntN(2) == 0 {
		r.Params.Presence, r.Params.Frequency = random.Float64()*2-.5, random.Float64()
	}
	if random.IntN(2) == 0 {
		r.Params.Bias = map[eft.Token]float64{3: 3, 4: -100, 5: 1}
	}
	if random.IntN(2) == 0 {
		r.Params.TopK, r.Params.TopP, r.Params.MinP = 12, .9, .02
	}
	for range random.IntN(4) {
		r.Params.Ends = append(r.Params.Ends, eft.Token(random.IntN(size)))
	}
	r.IgnoreEnd = random.IntN(3) == 0
	return r, models
}

func nothingOpen(t *testing.T, seed uint64, models []*strict) {
	t.Helper()
	for _, m := range models {
		if n := m.open.Load(); n != 0 {
			t.Errorf("seed %d: %d sequences of %s are open", seed, n, m.name)
		}
	}
}

func TestNoPlanChangesATokenOverModelsThatReuseTheirMemory(t *testing.T) {
	for seed := range uint64(150) {
		r, models := hostile(seed)
		want, plain := run(t, r)
		for plan := range uint64(3) {
			random := rand.New(rand.NewPCG(seed, plan))
			w := &whim{t: t, random: random, answer: want, right: []float64{-1, 1, .8}[plan]}
			r.Drafter = w
			got, report := run(t, r)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, plan %d: %v, and %v one by one", seed, plan, got, want)
			}
			same := plain
			same.BaseCalls, same.Drafted, same.Agreed = report.BaseCalls, report.Drafted, report.Agreed
			if report != same {
				t.Errorf("seed %d, plan %d: report %+v, and %+v one by one", seed, plan, report, plain)
			}
			c := w.counts
			if c.begun != 1 || c.ended != 1 || c.sent != c.learnt || c.tokens != report.Tokens || c.walked != report.Drafted || c.agreed != report.Agreed {
				t.Errorf("seed %d, plan %d: told %+v, report %+v", seed, plan, c, report)
			}
			nothingOpen(t, seed, models)
		}
	}
}

// TestWhatIsCutShortIsABeginning cancels, stops and breaks texts at random: what was
// emitted until then is what would have been, and nothing is left behind.
func TestWhatIsCutShortIsABeginning(t *testing.T) {
	for seed := range uint64(150) {
		r, models := hostile(seed)
		want, _ := run(t, r)
		random := rand.New(rand.NewPCG(seed, 5))
		r.Drafter = &whim{t: t, random: random, answer: want, right: .9}
		after, how := random.IntN(len(want)+2), random.IntN(4)
		if how == 3 {
			models[random.IntN(len(models))].panics = 1 + after
		}
		ctx, cancel := context.WithCancel(t.Context())
		stop := func() {}
		if how == 1 { // from outside, at any moment
			calls := make(chan struct{})
			stop = func() { <-calls }
			go func() { defer close(calls); cancel() }()
		}
		var got []eft.Token
		report, err := Run(ctx, r, func(s Step) bool {
			got = append(got, s.Token)
			if how == 0 && len(got) == after {
				cancel()
			}
			return how != 2 || len(got) < after
		})
		cancel()
		stop()
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) || report.Tokens != len(got) || report.Agreed > report.Drafted {
			t.Fatalf("seed %d, way %d: %v (%+v, %v), and %v whole", seed, how, got, report, err, want)
		}
		switch {
		case err == nil && report.Finish == "":
			t.Errorf("seed %d, way %d: neither finish nor error: %+v", seed, how, report)
		case err != nil && how < 2 && !errors.Is(err, context.Canceled):
			t.Errorf("seed %d, way %d: %v", seed, how, err)
		case err != nil && how == 2:
			t.Errorf("seed %d: stopped by emit, and %v", seed, err)
		case how == 2 && len(got) == max(after, 1) && len(got) < len(want) && report.Finish != FinishStopped:
			t.Errorf("seed %d: %+v, want stopped", seed, report)
		}
		nothingOpen(t, seed, models)
	}
}
