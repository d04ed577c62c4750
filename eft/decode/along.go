package decode

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/graft-gateway/graft/eft"
)

// lead is the base on its way along its own tokens, on a goroutine that ends when
// context does, or when it has sent as many rows as it was to.
type lead struct {
	rows  chan own
	spare chan eft.Row // memory of rows that were walked
	calls int          // of the base; to be read behind the end of rows
	stop  context.CancelFunc
}

// own is a row of the base and the token that it would go on with.
type own struct {
	row   eft.Row
	token eft.Token
	last  bool // there is no such token, or nothing follows it
	err   error
}

// along lets the base run ahead along its own tokens, and the pairs check them as they
// come, until one is not the text's:
//
//	base   │ r₀ b₀ │ r₁ b₁ │ r₂ b₂ │ r₃ …  (for nothing)
//	pairs  │ s₀    │ s₁    │ s₂    │
//	walk           │ x₀=b₀ │ x₁=b₁ │ x₂≠b₂
func (l *loop) along(ctx context.Context, length int, emit func(Step) bool) error {
	l.let()
	l.ahead.forget()
	l.send(0)
	leading := l.lead(ctx, length)
	defer func() { l.report.BaseCalls += leading.join() }()
	var queue []own
	for agreed := true; agreed && l.report.Finish == ""; {
		var err error
		if queue, err = l.gather(ctx, leading, queue[:0]); err != nil {
			return failure(ctx, err)
		}
		if len(queue) == 0 {
			return nil // the base waits for the walk
		}
		for _, next := range queue {
			if agreed = agreed && l.report.Finish == ""; !agreed {
				break
			}
			var err error
			if agreed, err = l.follow(ctx, leading, next, emit); err != nil {
				return failure(ctx, err)
			}
		}
	}
	return nil
}

// let tells the base that its own tokens are wanted, up to the text's end at most.
func (l *loop) let() {
	if leader, ok := l.base.(Leader); ok {
		leader.Lead(l.request.MaxTokens - l.ahead.committed)
	}
}

// unchecked goes along the base's own tokens where there is no pair to check them: its
// rows are all that the text is made of, so that none is worth a second look.
func (l *loop) unchecked(ctx context.Context, cancel context.CancelCauseFunc, length int, emit func(Step) bool) error {
	l.let()
	l.send(0)
	for i := 0; i < length && l.report.Finish == ""; i++ {
		l.report.BaseCalls++
		l.ask(ctx, cancel, l.ahead.generated(), nil)
		a := <-l.answers
		if a.err != nil {
			return failure(ctx, a.err)
		}
		if err := l.walk(ctx, a.rows, emit); err != nil {
			return err
		}
	}
	return nil
}

// gather waits for a row of the base, the pairs reading meanwhile, takes all that are
// there, and has the pairs read along them. There is none behind the last.
func (l *loop) gather(ctx context.Context, leading *lead, queue []own) ([]own, error) {
	a := &l.ahead
	if err := a.reach(ctx, 0); err != nil {
		return nil, err
	}
	next, ok, err := l.await(leading)
	if err != nil {
		return nil, err
	}
	for ok {
		queue = append(queue, next)
		if next.err != nil || next.last {
			break
		}
		a.text = append(a.text, next.token)
		select {
		case next, ok = <-leading.rows:
		default:
			ok = false
		}
	}
	return queue, a.reach(ctx, max(len(queue)-1, 0))
}

// await returns the next row of the base; meanwhile it tells what is owed.
func (l *loop) await(leading *lead) (next own, ok bool, err error) {
	for len(l.owed) > 0 {
		select {
		case next, ok = <-leading.rows:
			return next, ok, nil
		default:
		}
		if err := l.repay(); err != nil {
			return next, false, err
		}
	}
	next, ok = <-leading.rows
	return next, ok, nil
}

// follow commits the token behind one of the base's rows. It says whether that was the
// base's own, and more of its rows can be of use.
func (l *loop) follow(ctx context.Context, leading *lead, next own, emit func(Step) bool) (bool, error) {
	if next.err != nil {
		return false, next.err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	a, row, more := &l.ahead, next.row, true
	if wanted := l.wanted(nil, 0, row); len(wanted) > 0 {
		// The base's sequence answers one at a time.
		l.report.BaseCalls += leading.join()
		more = false
		named, err := l.named(ctx, nil, [][]eft.Token{wanted})
		if err != nil {
			return false, err
		}
		row = row.WithNamed(named[0])
	}
	token, err := l.take(row, a.slots[0].rows, emit)
	if err != nil {
		return false, err
	}
	leading.spare <- next.row
	agreed := token == next.token && !next.last
	if !next.last || l.request.ends(next.token) {
		l.round.Walked++
		if token == next.token {
			l.round.Agreed++
		}
	}
	a.commit(token)
	return agreed && more, nil
}

// lead starts the base on its way from the committed text.
func (l *loop) lead(ctx context.Context, length int) *lead {
	ctx, stop := context.WithCancel(ctx)
	leading := &lead{rows: make(chan own, length), spare: make(chan eft.Row, length), stop: stop}
	text := append(make([]eft.Token, 0, l.ahead.committed+length), l.ahead.generated()...)
	go func() {
		defer close(leading.rows)
		// Nobody above a goroutine can catch a panic: it would end the process.
		defer func() {
			if v := recover(); v != nil {
				leading.rows <- own{err: fmt.Errorf("base: panic: %v\n%s", v, debug.Stack())}
			}
		}()
		for range length {
			next := l.ownNext(ctx, leading, text)
			leading.rows <- next
			if next.err != nil || next.last {
				return
			}
			text = append(text, next.token)
		}
	}()
	return leading
}

// ownNext asks the base for the row behind text. It runs on the lead's goroutine, which
// alone has the base and its oracle until the lead has ended.
func (l *loop) ownNext(ctx context.Context, leading *lead, text []eft.Token) own {
	leading.calls++
	rows, err := l.base.Rows(ctx, text, nil)
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("wrong number of rows: %d for a path of 0", len(rows))
	}
	if err != nil {
		return own{err: fmt.Errorf("base: %w", err)}
	}
	next := own{row: leading.keep(rows[0])}
	token, ok := l.byBase.guess(eft.Rows{Base: next.row}, text)
	next.token, next.last = token, !ok || l.request.ends(token)
	return next
}

// keep copies a row that the base's next call would overwrite.
func (d *lead) keep(row eft.Row) eft.Row {
	var memory eft.Row
	select {
	case memory = <-d.spare:
	default:
	}
	if row.Dense() {
		return eft.Row{Scores: append(memory.Scores[:0], row.Scores...)}
	}
	return eft.Row{IDs: append(memory.IDs[:0], row.IDs...), LogProbs: append(memory.LogProbs[:0], row.LogProbs...), Best: row.Best}
}

// join ends the lead and waits until the base is free again. It returns how often the
// base was asked since the last join.
func (d *lead) join() int {
	d.stop()
	for range d.rows {
	}
	calls := d.calls
	d.calls = 0
	return calls
}
