package llamacpp

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// continuation reads the base's own greedy tokens. One goroutine uses it at a time,
// but for giveWay.
//
// Invariants: events is nil once it has ended, and the slot's turn is given back then.
// count is how many tokens came, all of them in order and without a gap.
type continuation struct {
	rows   rows
	slot   *slot
	prompt []eft.Token
	limit  int

	mu     sync.Mutex // guards what follows; held while an event is waited for
	events *proxy.Events
	count  int
	read   time.Time // when the last row was
	err    error     // what Next returns from now on
}

// turnTokens is how long a stream is in a slot that several texts share: the others wait
// for its end, and each turn costs evaluating a prefix again.
const turnTokens = 32

// Continue streams up to limit tokens, as far as the slot's context goes.
func (t *text) Continue(ctx context.Context, prefix []eft.Token, limit int) (proxy.Continuation, error) {
	limit = max(1, min(limit, t.server.room(len(prefix))))
	q := newQuestion(t.server.caps.Model, prefix, limit, t.server.rows.asked())
	q.Stream = true
	if err := t.enter(ctx, &q, prefix); err != nil {
		return nil, err
	}
	if t.server.pool.shared(t.slot) {
		limit = min(limit, turnTokens)
		q.Predict = limit
	}
	events, err := t.server.client.Stream(ctx, "/completion", q)
	if err != nil {
		t.slot.leave()
		return nil, err
	}
	t.stream = &continuation{rows: t.server.rows, slot: t.slot, events: events, prompt: prefix, limit: limit, read: time.Now()}
	t.slot.stream.Store(t.stream)
	return t.stream, nil
}

// Next returns the next row and its token. A token that leaves a character open comes
// without a row, and nothing comes of it before the character is whole; the count of
// tokens tells then that some are missing, and the continuation ends before them.
func (c *continuation) Next() (eft.Row, eft.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return eft.Row{}, 0, c.err
	}
	row, id, err := c.next()
	if err == nil {
		c.count, c.read = c.count+1, time.Now()
		return row, id, nil
	}
	c.end(err)
	return eft.Row{}, 0, err
}

func (c *continuation) next() (eft.Row, eft.Token, error) {
	if c.count == c.limit {
		return eft.Row{}, 0, io.EOF
	}
	for {
		data, err := c.events.Next()
		if err != nil {
			return eft.Row{}, 0, err
		}
		a, err := c.rows.decode(data)
		if err != nil {
			return eft.Row{}, 0, err
		}
		if err := c.rows.checkPrompt(a, c.prompt); err != nil {
			return eft.Row{}, 0, err
		}
		switch {
		case a.Stop:
			return eft.Row{}, 0, io.EOF
		case len(a.Positions) == 0:
			continue // progress, or text that was held back
		case len(a.Positions) > 1 || a.Predicted == 0:
			return eft.Row{}, 0, c.rows.found("an event tells of %d tokens, and that %d were generated", len(a.Positions), a.Predicted)
		case a.Predicted != c.count+1:
			return eft.Row{}, 0, io.EOF
		}
		row, err := c.rows.read(a.Positions[0])
		if err != nil {
			return eft.Row{}, 0, err
		}
		return row, *a.Positions[0].ID, nil
	}
}

// Close ends the stream at the server.
func (c *continuation) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(io.EOF)
}

// idleMost is for how long a stream may be left unread while others wait for its slot.
const idleMost = 100 * time.Millisecond

// giveWay ends a stream that nobody reads. It is called by who waits for its slot, for
// whom the stream's own text may be waiting in turn.
func (c *continuation) giveWay() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if time.Since(c.read) >= idleMost {
		c.end(io.EOF)
	}
}

func (c *continuation) end(err error) {
	if c.events == nil {
		return
	}
	c.events.Close()
	c.events, c.err = nil, err
	c.slot.stream.Store(nil)
	c.slot.leave()
}
