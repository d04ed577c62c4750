package gateway

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway/openai"
)

// sideBySide bounds how many choices of one request run at a time.
const sideBySide = 16

// outcome sums up what the choices of a plan came to.
type outcome struct {
	decode.Report
	explained [][]openai.Explanation // by choice
}

// run generates all choices of a plan, several at a time. Their pieces come
// interleaved, each choice's own in order; send is never called by two at once. The
// first error stops all of them.
func (s *Server) run(ctx context.Context, p *plan, arrived time.Time, send func(piece) error) (outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ladders := p.ladders()
	defer func() {
		for _, l := range ladders {
			l.close()
		}
	}()
	out := outcome{explained: make([][]openai.Explanation, p.choices())}
	var guard sync.Mutex // of out and send
	guarded := func(piece piece) error {
		guard.Lock()
		defer guard.Unlock()
		for _, t := range piece.tokens {
			if t.reason != nil {
				out.explained[piece.choice] = append(out.explained[piece.choice], *t.reason)
			}
		}
		return send(piece)
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(sideBySide, p.choices()) {
		workers.Go(func() {
			for i := range next {
				c, report, err := p.generateSafely(ctx, i, ladders[i/p.n], guarded)
				s.metrics.text(p, c, report, arrived)
				guard.Lock()
				out.add(report)
				guard.Unlock()
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range p.choices() {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	note(ctx, func(n *notes) { n.report = out.Report; n.promptTokens = p.promptTokens() })
	return out, context.Cause(ctx)
}

// generateSafely turns a panic into an error: one choice's bug must not end the
// process, and nobody above a goroutine can catch it.
func (p *plan) generateSafely(ctx context.Context, i int, from *ladder, send func(piece) error) (c *choice, r decode.Report, err error) {
	defer func() {
		if v := recover(); v != nil {
			c, err = &choice{plan: p, index: i}, fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return p.generate(ctx, i, from, send)
}

func (o *outcome) add(r decode.Report) {
	o.Tokens += r.Tokens
	o.Changed += r.Changed
	o.KL += r.KL
	o.MissingMass += r.MissingMass
	o.Truncated = o.Truncated || r.Truncated
	o.BaseCalls += r.BaseCalls
	o.Drafted += r.Drafted
	o.Agreed += r.Agreed
}

// usage counts as OpenAI does.
func (o *outcome) usage(p *plan) *openai.Usage { return openai.NewUsage(p.promptTokens(), o.Tokens) }

// report tells what was applied and what it did.
func (o *outcome) report(p *plan) *openai.TuningReport {
	per := float64(max(o.Tokens, 1))
	r := &openai.TuningReport{
		Strength: p.weights.strength, Experts: p.weights.experts, Base: p.weights.mix.Base,
		Plausibility: p.weights.mix.Plausibility, Draft: p.draft, Seed: int64(p.params.Seed),
		ChangedTokens: o.Changed, MeanKL: openai.Measure(o.KL / per), BaseCalls: o.BaseCalls,
		DraftedTokens: o.Drafted, AgreedTokens: o.Agreed,
		Truncated: o.Truncated, MissingMass: openai.Measure(o.MissingMass / per),
	}
	for _, e := range o.explained {
		r.Explain = append(r.Explain, e...)
	}
	return r
}
