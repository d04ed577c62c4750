// Texts of one tenant that ask the same server. Invariants:
//
//   - an ask is in waiting, in one batch, or over; who asked alone waits for it, and the
//     batch is cancelled when none of its askers waits any more;
//   - riders in due got rows and have neither asked again nor left since;
//   - a lone ask, of which nobody else's is under way or due, is never held;
//   - nobody is held for longer than holdCalls calls and patience;
//   - a batch that fails says nothing of its asks: each is repeated alone, unless the
//     server did not answer at all.
//
// A server that computes in passes, P, with two texts out of step, a and b:
//
//	server   |-- P a --|-- P b --|-- P a --|-- P b --|     two passes a token
//	                 b waits   a waits
//
// The schedule that brings them together and keeps them so:
//
//  1. a's ask is alone: it leaves. b's comes while it is under way and waits: for the
//     server it would wait as long.
//  2. a's rows come. a is due, and b waits for it, as long as patience.
//  3. a asks again: nobody is due, both leave in one request. |-- P ab --|-- P ab --|
//  4. c asks while that is under way: 1. again, and from then on in step.
//  5. b is late: a and c leave when patience ends. b's ask waits until they are back,
//     and all leave with it.
//  6. b leaves, or asks something else: it is not due any more, and if it was the last
//     one the others leave at once.
//  7. a request does not come back in time (holdCalls calls behind its departure): it holds nobody any more.

package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// queue is where the texts of one tenant wait for each other. Its gather's mu guards it.
type queue struct {
	of     *gather
	tenant string
	riders int // texts that have a place here

	waiting []*ask
	flying  map[*batch]struct{}
	due     map[*rider]struct{}
	until   time.Time   // patience with those that are due
	timer   *time.Timer // for the next look; nil before the first
}

// batch is what went in one request, or one ask that goes its own way.
type batch struct {
	asks     []*ask
	departed time.Time
	waiters  int
	cancel   context.CancelFunc // nil of one that goes its own way
}

// quit is for who does not wait for its ask any more.
func (q *queue) quit(ctx context.Context, a *ask) error {
	g := q.of
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(q.waiting, a); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return ctx.Err()
	}
	a.gone = true
	b := a.batch
	switch {
	case b == nil: // it failed with others, and is over
	case b.cancel == nil:
		q.landed(b, false)
	default:
		if b.waiters--; b.waiters == 0 {
			b.cancel()
		}
	}
	return ctx.Err()
}

// look lets all go that wait if it is time to, and else looks again when it is. It is
// called whenever something has changed, with mu held.
func (q *queue) look(ctx context.Context) {
	if len(q.waiting) == 0 {
		return
	}
	now := time.Now()
	if at := q.heldUntil(); at.After(now) {
		if q.timer == nil {
			q.timer = time.AfterFunc(at.Sub(now), func() {
				q.of.mu.Lock()
				defer q.of.mu.Unlock()
				q.look(context.Background())
			})
			return
		}
		q.timer.Reset(at.Sub(now))
		return
	}
	clear(q.due)
	waiting := q.waiting
	q.waiting = nil
	for len(waiting) > 0 {
		n := q.fit(waiting)
		q.depart(ctx, waiting[:n:n], now)
		waiting = waiting[n:]
	}
}

// heldUntil is when those that wait leave though others are under way or due.
func (q *queue) heldUntil() time.Time {
	g := q.of
	if g.call < gatherQuick {
		return time.Time{}
	}
	until := time.Time{}
	if len(q.due) > 0 {
		until = q.until
	}
	for b := range q.flying {
		if back := b.departed.Add(time.Duration(holdCalls * float64(g.call))); back.After(until) {
			until = back
		}
	}
	return until
}

// fit is how many of asks, one at least, go in one request.
func (q *queue) fit(asks []*ask) int {
	prompts, ids := 0, 0
	for i, a := range asks {
		p, n := q.of.server.Size(a.Ask)
		prompts, ids = prompts+p, ids+n
		if i > 0 && (i >= q.of.most || prompts > gatherPrompts || ids > gatherIDs) {
			return i
		}
	}
	return len(asks)
}

// depart sends asks in one request.
func (q *queue) depart(ctx context.Context, asks []*ask, now time.Time) {
	q.of.leaving()
	b := &batch{asks: asks, departed: now, waiters: len(asks)}
	for _, a := range asks {
		a.batch = b
	}
	q.flying[b] = struct{}{}
	if len(asks) == 1 {
		asks[0].alone = true
		close(asks[0].done)
		return
	}
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go q.send(ctx, b) // ends with the request
}

// send is a batch's goroutine.
func (q *queue) send(ctx context.Context, b *batch) {
	g := q.of
	defer b.cancel()
	questions := make([]Ask, len(b.asks))
	for i, a := range b.asks {
		questions[i] = a.Ask
	}
	rows, err := q.gathered(ctx, questions)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		g.counts.gatherings.Add(1)
		g.counts.gathered.Add(uint64(len(b.asks)))
	case ctx.Err() == nil && !unanswered(err):
		g.failed(len(b.asks))
	}
	q.landed(b, err == nil)
	for i, a := range b.asks {
		switch {
		case err == nil:
			a.rows = rows[i]
		case unanswered(err):
			a.err = err
		default:
			a.alone, a.batch = true, nil
		}
		close(a.done)
	}
}

func (q *queue) gathered(ctx context.Context, questions []Ask) (rows [][]eft.Row, err error) {
	// Nobody above a goroutine can catch a panic: it would end the process.
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	rows, err = q.of.server.Gather(ctx, q.tenant, questions)
	if err == nil && len(rows) != len(questions) {
		err = errors.New("an answer to another number of questions")
	}
	return rows, err
}

// land is landed for who does not hold mu.
func (q *queue) land(b *batch, well bool) {
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	q.landed(b, well)
}

// landed is told when b is over. Of one that went well all texts are due that did not
// leave. Telling it again does nothing.
func (q *queue) landed(b *batch, well bool) {
	if _, flies := q.flying[b]; !flies {
		return
	}
	delete(q.flying, b)
	if now := time.Now(); well {
		q.of.took(now.Sub(b.departed))
		for _, a := range b.asks {
			if !a.gone {
				a.rider.landed = now
				q.due[a.rider] = struct{}{}
			}
		}
		q.until = now.Add(q.of.patience())
	}
	q.look(context.Background())
}
