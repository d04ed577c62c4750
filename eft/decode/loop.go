// The state of a text in the making. Invariants:
//
//   - ahead's committed tokens are the text, and nothing is ever taken back from them;
//   - every committed token was emitted exactly once, in order, before the next was
//     chosen;
//   - one goroutine at a time uses the base's sequence: the loop's, or the one that asks
//     for it, which has ended when a round has;
//   - sequences are opened before the first round and closed exactly once, by
//     [Run]; a pair without weight is never opened.

package decode

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/graft-gateway/graft/eft"
)

type loop struct {
	request  Request
	mixer    *eft.Mixer
	sampler  *eft.Sampler
	base     Sequence
	ahead    ahead
	byPairs  oracle
	byBase   oracle // the lead's while there is one
	drafting Drafting
	garbler  Garbler // nil for none

	answers chan answer   // from the goroutine that asks the base
	names   [][]eft.Token // asked for in this round, for each of the base's rows
	owed    []owed        // in the order of their positions
	paid    []owed        // memory of those that were told
	round   Round         // what comes of this one
	sent    bool          // the base was asked in it
	report  Report
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
		ahead:   newAhead(len(request.Experts)),
		byPairs: ofPairs(&request),
		byBase:  ofBase(&request),
		answers: make(chan answer, 1),
	}
	defer l.close()
	if err := l.open(ctx); err != nil {
		return l.report, err
	}
	l.begin()
	defer l.drafting.End()
	err := l.rounds(ctx, emit)
	// What was emitted is told of, whatever came behind it.
	return l.report, cmp.Or(err, l.settle(0))
}

// rounds goes on until the text has ended.
func (l *loop) rounds(ctx context.Context, emit func(Step) bool) error {
	// What fails in one place ends the work in all others.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for l.report.Finish == "" {
		if err := l.once(ctx, cancel, emit); err != nil {
			return err
		}
	}
	return nil
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
		if l.ahead.pairs[i], err = expert.Small.Open(ctx, l.request.Tenant, expert.Prompts); err != nil {
			return fmt.Errorf("open pair %d: %w", i, err)
		}
		l.ahead.active++
	}
	return nil
}

// begin tells the drafter of the text.
func (l *loop) begin() {
	drafter := l.request.Drafter
	if drafter == nil {
		drafter = Fixed{}
	}
	text := Text{Pairs: l.ahead.active > 0}
	for i, expert := range l.request.Experts {
		if l.ahead.pairs[i] != nil {
			text.Prompt = max(text.Prompt, len(expert.Prompts.Tuned), len(expert.Prompts.Untuned))
		}
	}
	l.drafting = drafter.Begin(text)
	l.garbler, _ = l.drafting.(Garbler)
}

func (l *loop) close() {
	if l.base != nil {
		l.base.Close()
	}
	l.ahead.close()
}

// once goes one round by the drafter's plan: it commits at least one token.
func (l *loop) once(ctx context.Context, cancel context.CancelCauseFunc, emit func(Step) bool) error {
	// One place is kept for the token behind the path.
	limit := l.request.MaxTokens - l.ahead.committed - 1
	draft := l.drafting.Next(limit)
	draft.Length = max(min(draft.Length, limit), 0)
	if draft.Length == 0 || draft.By == Nobody || draft.By == Tuned && l.ahead.active == 0 {
		draft = Draft{}
	}
	began := time.Now()
	l.round, l.sent = Round{Draft: draft}, false
	l.ahead.steps, l.ahead.stepping = 0, 0
	tokens := l.report.Tokens
	var err error
	switch {
	case draft.By != Own:
		err = l.check(ctx, cancel, draft, emit)
	case l.ahead.active == 0:
		err = l.unchecked(ctx, cancel, draft.Length, emit)
	default:
		err = l.along(ctx, draft.Length, emit)
	}
	r := &l.round
	r.Tokens, r.Steps, r.Stepping = l.report.Tokens-tokens, l.ahead.steps, l.ahead.stepping
	r.Whole, r.Failed = time.Since(began), err != nil
	l.report.Drafted += r.Walked
	l.report.Agreed += r.Agreed
	if l.sent {
		l.drafting.Learn(*r)
	}
	return err
}

// send tells the drafter that the base is being asked.
func (l *loop) send(path int) {
	l.round.Path, l.sent = path, true
	l.drafting.Sent(path)
}

// take chooses and commits the token behind the base's row, with the pairs' rows in the
// first slot that is left.
func (l *loop) take(base eft.Row, pairs []eft.PairRows, emit func(Step) bool) (eft.Token, error) {
	if err := l.settle(mostOwed - 1); err != nil {
		return 0, err
	}
	position := l.ahead.committed
	rows := eft.Rows{Base: base, Pairs: pairs}
	combination, err := l.mixer.Combine(rows)
	if err != nil {
		return 0, fmt.Errorf("position %d: %w", position, err)
	}
	token, err := l.sampler.Next(combination, l.ahead.generated())
	if err != nil {
		return 0, err
	}
	l.tell(Step{token, position, slices.Contains(l.request.Params.Ends, token), combination, rows}, emit)
	return token, nil
}

// tell emits a token and counts it.
func (l *loop) tell(step Step, emit func(Step) bool) {
	r, c := &l.report, step.Combination
	r.Tokens++
	l.owe(step.Rows.Base, c)
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
	case r.Tokens >= l.request.MaxTokens:
		r.Finish = FinishLength
	}
}
