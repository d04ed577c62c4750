package decode

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/graft-gateway/graft/eft"
)

// fetched holds the rows of one round: base[i] and pairs[p][i] follow i tokens of
// the path.
type fetched struct {
	base     []eft.Row
	pairs    [][]eft.PairRows // nil for a pair without weight
	assembly []eft.PairRows
}

// rows gathers all models' rows of one position, valid until the next call.
func (f *fetched) rows(i int) eft.Rows {
	for p, rows := range f.pairs {
		f.assembly[p] = eft.PairRows{}
		if rows != nil {
			f.assembly[p] = rows[i]
		}
	}
	return eft.Rows{Base: f.base[i], Pairs: f.assembly}
}

// fetch asks the base and all pairs for the rows of the path, side by side. It
// returns when all have answered; the first failure cancels the others.
func (l *loop) fetch(ctx context.Context) error {
	f := &l.fetched
	if f.pairs == nil {
		f.pairs = make([][]eft.PairRows, len(l.pairs))
		f.assembly = make([]eft.PairRows, len(l.pairs))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var pending sync.WaitGroup
	for i, pair := range l.pairs {
		if pair == nil {
			continue
		}
		pending.Go(func() {
			// Nobody above a goroutine can catch a panic: it would end the process.
			defer func() {
				if v := recover(); v != nil {
					cancel(fmt.Errorf("pair %d: panic: %v\n%s", i, v, debug.Stack()))
				}
			}()
			rows, err := pair.Rows(ctx, l.generated, l.path)
			if f.pairs[i], err = rows, l.checked(len(rows), err); err != nil {
				cancel(fmt.Errorf("pair %d: %w", i, err))
			}
		})
	}
	rows, err := l.base.Rows(ctx, l.generated, l.path)
	if f.base, err = rows, l.checked(len(rows), err); err != nil {
		cancel(fmt.Errorf("base: %w", err))
	}
	pending.Wait()
	return firstFailure(ctx)
}

// checked holds a model to one row a position.
func (l *loop) checked(rows int, err error) error {
	if err == nil && rows != len(l.path)+1 {
		return fmt.Errorf("wrong number of rows: %d for a path of %d", rows, len(l.path))
	}
	return err
}

// firstFailure returns what cancelled the round; a cancellation from outside stays
// recognisable as the context's own error.
func firstFailure(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause != nil && errors.Is(cause, ctx.Err()) {
		return ctx.Err()
	}
	return cause
}
