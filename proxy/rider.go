package proxy

import (
	"context"
	"slices"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// rider is a text's place in a queue. The text's goroutine uses it.
type rider struct {
	queue  *queue
	landed time.Time // when its last rows came; zero once it was told as a delay
}

// ask is a question that waits or is under way.
type ask struct {
	Ask
	rider *rider
	batch *batch
	done  chan struct{} // closed when what follows is set
	alone bool          // ask it yourself, as batch
	gone  bool          // nobody waits for it
	rows  []eft.Row
	err   error
}

// enter takes a place for a text.
func (g *gather) enter(tenant string) *rider {
	if !g.tenant {
		tenant = ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.queues[tenant]
	if q == nil {
		q = &queue{of: g, tenant: tenant, flying: map[*batch]struct{}{}, due: map[*rider]struct{}{}}
		g.queues[tenant] = q
	}
	q.riders++
	return &rider{queue: q}
}

// company says that other texts have places here, too.
func (r *rider) company() bool {
	g := r.queue.of
	g.mu.Lock()
	defer g.mu.Unlock()
	return r.queue.riders > 1
}

// leave gives the place back. It is called once.
func (r *rider) leave() {
	r.stray()
	q, g := r.queue, r.queue.of
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.riders--; q.riders == 0 {
		if q.timer != nil {
			q.timer.Stop()
		}
		delete(g.queues, q.tenant)
	}
}

// stray says that the text asks for something else next: nobody need wait for it.
func (r *rider) stray() {
	q := r.queue
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	r.landed = time.Time{}
	if _, was := q.due[r]; was {
		delete(q.due, r)
		q.look(context.Background())
	}
}

// rows asks together with others, or by alone if there are none. Ctx ends what others do
// not wait for.
func (r *rider) rows(ctx context.Context, question Ask, alone func() ([]eft.Row, error)) ([]eft.Row, error) {
	q, g := r.queue, r.queue.of
	// The request may outlive who leaves it.
	a := &ask{Ask: Ask{slices.Clone(question.Prefix), slices.Clone(question.Path)}, rider: r, done: make(chan struct{})}
	g.mu.Lock()
	if !r.landed.IsZero() {
		if q.riders > 1 {
			g.delay(time.Since(r.landed))
		}
		r.landed = time.Time{}
	}
	delete(q.due, r)
	q.waiting = append(q.waiting, a)
	q.look(ctx)
	g.mu.Unlock()
	select {
	case <-a.done:
	case <-ctx.Done():
		return nil, q.quit(ctx, a)
	}
	if !a.alone {
		return a.rows, a.err
	}
	if a.batch == nil {
		return alone()
	}
	defer func() { q.land(a.batch, false) }() // should alone panic
	rows, err := alone()
	q.land(a.batch, err == nil)
	return rows, err
}
