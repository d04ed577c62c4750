// The state of a text in the making. Invariants:
//
//   - generated holds the committed tokens, and nothing is ever taken back from it;
//   - every committed token was emitted exactly once, in order, before the next was
//     chosen;
//   - sequences are opened before the first round and closed exactly once, by
//     [Run]; a pair without weight is never opened.

package decode

import (
	"context"
	"fmt"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

type loop struct {
	request   Request
	mixer     *eft.Mixer
	sampler   *eft.Sampler
	base      Sequence
	pairs     []PairSequence // nil where the pair has no weight
	generated []eft.Token
	path      []eft.Token
	fetched   fetched
	names     [][]eft.Token // asked for in this round, for each of fetched.base
	report    Report
}

// Run generates one text and calls emit for each token as it is committed. The text
// ends with an end token, at MaxTokens, when emit returns false, or with an error of
// a model or of ctx; the report then tells of the tokens emitted until there.
func Run(ctx context.Context, request Request, emit func(Step) bool) (Report, error) {
	if request.MaxTokens < 1 {
		return Report{Finish: FinishLength}, nil
	}
	l := &loop{
		request: request,
		mixer:   eft.NewMixer(request.Vocabulary, request.Mix),
		sampler: eft.NewSampler(request.Params),
		pairs:   make([]PairSequence, len(request.Experts)),
	}
	if l.request.Drafter == nil {
		l.request.Drafter = Off{}
	}
	defer l.close()
	if err := l.open(ctx); err != nil {
		return l.report, err
	}
	for l.report.Finish == "" {
		if err := l.round(ctx, emit); err != nil {
			return l.report, err
		}
	}
	return l.report, nil
}

func (l *loop) open(ctx context.Context) error {
	if len(l.request.Mix.Pairs) != len(l.request.Experts) {
		return fmt.Errorf("weights of %d pairs for %d experts", len(l.request.Mix.Pairs), len(l.request.Experts))
	}
	var err error
	if l.base, err = l.request.Base.Open(ctx, l.request.Tenant, l.request.Prompt); err != nil {
		return fmt.Errorf("open base: %w", err)
	}
	for i, expert := range l.request.Experts {
		if l.request.Mix.Pairs[i].Zero() {
			continue
		}
		if l.pairs[i], err = expert.Small.Open(ctx, l.request.Tenant, expert.Prompts); err != nil {
			return fmt.Errorf("open pair %d: %w", i, err)
		}
	}
	return nil
}

func (l *loop) close() {
	if l.base != nil {
		l.base.Close()
	}
	for _, pair := range l.pairs {
		if pair != nil {
			pair.Close()
		}
	}
}

// round proposes a path, fetches its rows, walks it and commits at least one token.
func (l *loop) round(ctx context.Context, emit func(Step) bool) error {
	// One place is kept for the token behind the path.
	limit := l.request.MaxTokens - len(l.generated) - 1
	var err error
	if l.path, err = l.request.Drafter.Draft(ctx, l.generated, limit, l.path[:0]); err != nil {
		return fmt.Errorf("draft: %w", err)
	}
	l.path = l.path[:min(len(l.path), limit)]
	if err := l.fetch(ctx); err != nil {
		return err
	}
	if err := l.name(ctx); err != nil {
		return err
	}
	l.report.BaseCalls++
	return l.walk(ctx, emit)
}

// walk commits tokens along the path until one differs from it, and that one too.
func (l *loop) walk(ctx context.Context, emit func(Step) bool) error {
	for i := 0; i <= len(l.path); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := l.fetched.rows(i)
		combination, err := l.mixer.Combine(rows)
		if err != nil {
			return fmt.Errorf("position %d: %w", len(l.generated), err)
		}
		token, err := l.sampler.Next(combination, l.generated)
		if err != nil {
			return err
		}
		l.commit(Step{token, len(l.generated), slices.Contains(l.request.Params.Ends, token), combination, rows}, emit)
		if i < len(l.path) {
			l.report.Drafted++
			if l.path[i] == token {
				l.report.Agreed++
			}
		}
		if l.report.Finish != "" || (i < len(l.path) && l.path[i] != token) {
			break
		}
	}
	return nil
}

func (l *loop) commit(step Step, emit func(Step) bool) {
	l.generated = append(l.generated, step.Token)
	r, c := &l.report, step.Combination
	r.Tokens++
	r.KL += c.KL()
	r.MissingMass += c.MissingMass
	r.Truncated = r.Truncated || c.Truncated
	if c.Top != c.BaseTop {
		r.Changed++
	}
	more := emit(step)
	switch {
	case step.End && !l.request.IgnoreEnd:
		r.Finish = FinishEnd
	case !more:
		r.Finish = FinishStopped
	case len(l.generated) >= l.request.MaxTokens:
		r.Finish = FinishLength
	}
}
