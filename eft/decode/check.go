package decode

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// answer is what the base said.
type answer struct {
	rows []eft.Row
	err  error
	took time.Duration
}

// check lets the pairs guess a path, asks the base for all of it, and walks it. While
// the base is at work the pairs go on:
//
//	pairs  │ g₁ g₂ g₃ │ r₃ g₄ g₅ …        │ walk │ …
//	base   │          │ rows behind g₁ … g₃ │      │
//
// Without a path the base and the pairs read the last token side by side.
func (l *loop) check(ctx context.Context, cancel context.CancelCauseFunc, draft Draft, emit func(Step) bool) error {
	if err := l.guess(ctx, draft.Length); err != nil {
		return failure(ctx, err)
	}
	l.round.Waited = l.ahead.stepping
	path := l.path(draft.Length)
	l.send(len(path))
	l.report.BaseCalls++
	if l.ahead.active > 0 {
		go l.ask(ctx, cancel, l.ahead.generated(), path)
	} else { // nothing goes on meanwhile
		l.ask(ctx, cancel, l.ahead.generated(), path)
	}
	rows, err := l.meanwhile(ctx, cancel, len(path), draft.Ahead)
	if err != nil {
		return failure(ctx, err)
	}
	if rows, err = l.name(ctx, rows, path); err != nil {
		return err
	}
	return l.walk(ctx, rows, emit)
}

// failure returns what cancelled the text; a cancellation from outside stays
// recognisable as the context's own error.
func failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, ctx.Err()) {
			return ctx.Err()
		}
		return cause
	}
	return err
}

// guess steps the pairs along their own guesses until there are n of them.
func (l *loop) guess(ctx context.Context, n int) error {
	a := &l.ahead
	for len(a.guesses()) < n && !l.ended() {
		at := len(a.guesses())
		if err := a.reach(ctx, at); err != nil {
			return err
		}
		token, ok := l.byPairs.byPairs(a.slots[at].rows, a.text)
		if !ok {
			return nil
		}
		if l.garbler != nil {
			token = l.garbler.Garble(len(a.text), token)
		}
		a.text = append(a.text, token)
	}
	return nil
}

// ended says that the last guess ends the text.
func (l *loop) ended() bool {
	guesses := l.ahead.guesses()
	return len(guesses) > 0 && l.request.ends(guesses[len(guesses)-1])
}

// path is at most n of the guesses. What would follow an end token is of no interest,
// and so that stays out of it.
func (l *loop) path(n int) []eft.Token {
	path := l.ahead.guesses()
	if l.ended() {
		path = path[:len(path)-1]
	}
	return path[:min(n, len(path))]
}

// ask asks the base and sends its answer.
func (l *loop) ask(ctx context.Context, cancel context.CancelCauseFunc, generated, path []eft.Token) {
	began, a := time.Now(), answer{}
	// Nobody above a goroutine can catch a panic: it would end the process.
	defer func() {
		if v := recover(); v != nil {
			a.err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
		if a.err != nil {
			a.err = fmt.Errorf("base: %w", a.err)
			cancel(a.err) // the pairs need not go on
		}
		a.took = time.Since(began)
		l.answers <- a
	}()
	a.rows, a.err = l.base.Rows(ctx, generated, path)
	if a.err == nil && len(a.rows) != len(path)+1 {
		a.err = fmt.Errorf("wrong number of rows: %d for a path of %d", len(a.rows), len(path))
	}
}

// meanwhile has the pairs read along the path, and guess further tokens behind it, until
// the base has answered. It returns when the base has.
func (l *loop) meanwhile(ctx context.Context, cancel context.CancelCauseFunc, path, further int) ([]eft.Row, error) {
	last := min(path+further, l.request.MaxTokens-l.ahead.committed-1)
	for {
		select {
		case a := <-l.answers:
			l.round.Base = a.took
			return a.rows, a.err
		default:
		}
		var err error
		if len(l.ahead.slots) <= path {
			err = l.ahead.reach(ctx, len(l.ahead.slots))
		} else if n := len(l.ahead.guesses()); n < last && n >= path && !l.ended() {
			if err = l.guess(ctx, n+1); err == nil && len(l.ahead.guesses()) == n {
				last = n
			}
		} else if len(l.owed) > 0 {
			err = l.repay()
		} else {
			a := <-l.answers
			l.round.Base = a.took
			return a.rows, a.err
		}
		if err != nil {
			cancel(err)
			<-l.answers
			return nil, err
		}
	}
}

// walk commits tokens along the path until one differs from it, and that one too.
func (l *loop) walk(ctx context.Context, rows []eft.Row, emit func(Step) bool) error {
	a, agreed := &l.ahead, true
	for i := 0; i < len(rows) && agreed && l.report.Finish == ""; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.reach(ctx, 0); err != nil {
			return failure(ctx, err)
		}
		guessed := len(a.guesses()) > 0
		token, err := l.take(rows[i], a.slots[0].rows, emit)
		if err != nil {
			return err
		}
		agreed = a.commit(token)
		if guessed {
			l.round.Walked++
			if agreed {
				l.round.Agreed++
			}
		}
	}
	return nil
}
