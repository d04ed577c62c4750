package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/graft-gateway/graft/gateway/openai"
)

// Where a prompt's keys and values came from, as [FirstToken] says it.
const (
	FromNowhere = "cold"
	FromMemory  = "memory"
	FromRedis   = "redis"
)

// Prefixes is what time to the first token is measured with: gateways that share a
// Redis, or one alone.
type Prefixes struct {
	Base   string
	Tokens int // of a prompt, at least
	Rounds int
	Each   int           // prompts of a round
	Settle time.Duration // until what was written behind a request is in Redis
	// Start brings the gateways up: the first is asked first, and again; the second,
	// with an empty memory, has what it knows from Redis. Its URL is empty without one, and
	// why says so.
	Start func(ctx context.Context) (on Replicas, why string, err error)
}

// Replicas are [Prefixes] that run.
type Replicas struct {
	First, Second Target
	Close         func() error
}

// FirstTokens is a section that measures how long the first token of a repeated prompt
// takes, by what knows the prompt already. Every prompt is new to the first gateway, then
// known to it; then the second one gets it.
func FirstTokens(p Prefixes, questions []string) Section {
	return Section{Name: "first-token", About: "time to the first token of a repeated prompt", Measure: func(ctx context.Context, report *Report, tell Progress) error {
		tell.Plan(p.Rounds)
		on, why, err := p.Start(ctx)
		if err != nil {
			return err
		}
		if why != "" {
			report.Note("time to first token from Redis was not measured: %s", why)
		}
		c := newClient(1)
		defer c.close()
		f := firstTokens{speed: speed{client: c, questions: questions}, from: p, on: on, seen: map[string][]float64{}}
		err = f.measure(ctx, tell)
		report.FirstToken = append(report.FirstToken, f.results()...)
		if on.Close != nil {
			err = errors.Join(err, on.Close())
		}
		return err
	}}
}

// firstTokens measures; one goroutine uses it.
type firstTokens struct {
	speed
	from    Prefixes
	on      Replicas
	seen    map[string][]float64 // seconds, by where the prompt came from
	prompts []float64            // tokens of each
}

func (f *firstTokens) measure(ctx context.Context, tell Progress) error {
	if err := f.ask(ctx, "", f.on.First, prompt{text: f.questions[0]}); err != nil { // what is done once is done
		return err
	}
	for range f.from.Rounds {
		tell.Begin(fmt.Sprintf("time to the first token of %d tokens", f.from.Tokens))
		var prompts []prompt
		for range f.from.Each {
			p, err := f.prompt(ctx, f.on.First, f.from.Tokens)
			if err != nil {
				return err
			}
			prompts = append(prompts, p)
			f.prompts = append(f.prompts, float64(len(p.tokens)))
			for _, from := range []string{FromNowhere, FromMemory} {
				if err := f.ask(ctx, from, f.on.First, p); err != nil {
					return err
				}
			}
		}
		if f.on.Second.URL != "" {
			if err := f.second(ctx, prompts); err != nil {
				return err
			}
		}
		tell.Done()
	}
	return nil
}

// second asks the gateway that has its knowledge from Redis.
func (f *firstTokens) second(ctx context.Context, prompts []prompt) error {
	if err := f.ask(ctx, "", f.on.Second, prompt{text: f.questions[0]}); err != nil {
		return err
	}
	select {
	case <-time.After(f.from.Settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, p := range prompts {
		if err := f.ask(ctx, FromRedis, f.on.Second, p); err != nil {
			return err
		}
	}
	return nil
}

// ask waits for the first token of an answer. Where the prompt comes from nowhere in
// particular nothing is noted.
func (f *firstTokens) ask(ctx context.Context, from string, target Target, p prompt) error {
	a, err := f.client.stream(ctx, target, ask{prompt: p, length: 2, knob: &knob{Strength: 1, Draft: openai.DraftOff}})
	if err != nil {
		return err
	}
	if from != "" {
		f.seen[from] = append(f.seen[from], a.first.Seconds())
	}
	return nil
}

func (f *firstTokens) results() []FirstToken {
	var out []FirstToken
	cold := quantile(f.seen[FromNowhere], .5)
	for _, from := range []string{FromNowhere, FromMemory, FromRedis} {
		seconds := f.seen[from]
		if len(seconds) == 0 {
			continue
		}
		p50 := quantile(seconds, .5)
		out = append(out, FirstToken{
			Base: f.from.Base, Prefix: from, Prompt: mean(f.prompts), P50: p50, P95: quantile(seconds, .95),
			Ratio: quotient(cold, p50), Answers: len(seconds),
		})
	}
	return out
}
