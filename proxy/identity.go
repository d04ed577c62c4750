// Whose rows are these? A server may be restarted with another model at any time, and
// its rows look the same. All that can be seen of it is a new connection, and what
// [Server.Identify] says over some connection. Taken for granted: behind the address
// is one process at a time (or several with one model), a process keeps its model, a
// connection ends with its process, and the next process answers restartLeast later at
// the earliest.
//
//	count(t)   connections opened until t
//	check(a)   Identify, begun at count a, that said the identity I, by a process Q
//
// Invariants:
//
//   - V(a): what is asked behind the end of check(a), over one of its first a
//     connections, is answered by Q. For such a connection ends in a process that still
//     lives, as Q did when the check ended, and that was there before the check began:
//     a later process than Q would have had to be dialled later.
//   - a row is handed out only if a process with the identity I made it, where I is what
//     its sequence was begun with;
//   - one check at most runs, for all who wait; it ends early when nobody waits.
//
// A row is asked for behind check(v), at the time s. What can happen until it is there,
// and later:
//
//	 1. nothing is dialled: V(v) proves the row.
//	 2. one connection is opened, v+1, by this request or by another. check(v+1) follows
//	    and sees no further one: Q answered it over a connection that is not newer than
//	    the row's, and lived when the row's was opened, if that is v+1. So Q made the row,
//	    or V(v) proves it.
//	 3. the same, but the server is restarted with another model X before the row's
//	    request or behind it. The check asks X: what made the row is X, or gone. The row
//	    is dropped. Rows that are asked for behind a restart cannot be older.
//	 4. several are opened, and checks say I, the first of them less than restartLeast
//	    behind s and each other less than that behind the one before: X, had it made the
//	    row, would have ended behind s, and no I could have been back in time.
//	 5. several are opened, and checks are further apart: I → X → I is possible within,
//	    the row being X's. It is asked for again, with connections that are there by now.
//	 6. the check itself sees connections opened, each time that it is tried: the server
//	    keeps none. 5 would be the same again, so the row is taken: I was there before and
//	    behind it.
//
// So a wrong row takes two restarts within one request, with a server that keeps no
// connections or with 5 rowTries times in a row. A stream's rows come over one
// connection: what proves its first row proves them all.
//
// Proxies before a server keep their connections when it is restarted. So what is known
// grows stale by age as well.

package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// identityAge is for how long an identity is believed without new connections.
	identityAge = 15 * time.Second
	// refusalAge is for how long a server that cannot be taken is not asked again.
	refusalAge = 3 * time.Second
	// restartLeast is less than a server takes to be replaced by another that answers.
	restartLeast = 250 * time.Millisecond
	// A check is repeated until no connection is opened by it, so many times.
	identityTries = 3
)

// watch knows which model the server has.
type watch struct {
	base        string
	connections dialer
	recognise   func(context.Context) (*model, error)
	log         *slog.Logger
	counts      *counts

	mu      sync.Mutex // guards what follows
	known   known      // by the last check that ended well; its model is nil before the first
	at      time.Time  // when that was; zero for long ago
	refusal error      // why the server's model of now is not taken; nil if it is
	again   time.Time  // when it is asked again
	check   *check     // under way; nil for none
}

// known is what a check found.
type known struct {
	model *model
	count uint64 // of connections, when the check began
	alone bool   // no connection was opened meanwhile
	// steady is the end of the first of the checks, up to this one, that ended well and
	// less than restartLeast behind each other.
	steady time.Time
}

// check is one that is under way.
type check struct {
	cancel  context.CancelFunc
	waiters int           // guarded by watch.mu
	done    chan struct{} // closed when err is set
	err     error
}

// last is the model that was there when it was last asked for.
func (w *watch) last() *model {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known.model
}

// gone says why m is not the model any more, as far as is known; nil if it is.
func (w *watch) gone(m *model) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.refusal != nil:
		return w.refusal
	case w.known.model == m:
		return nil
	}
	return &Error{Fault: Changed, Base: w.base, Op: "identity",
		Message: fmt.Sprintf("the text was begun with the model %s, and the server has %s now", m.caps.Identity, w.known.model.caps.Identity)}
}

// doubt makes what is known stale.
func (w *watch) doubt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.again = time.Time{}, time.Time{}
}

func (w *watch) doubted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at.IsZero()
}

// settle returns what is known by a check that began behind all connections that are
// open now, and waits for one where there was none.
func (w *watch) settle(ctx context.Context) (known, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for count := w.connections.Dials(); ; {
		now := time.Now()
		switch {
		case w.refusal != nil && now.Before(w.again):
			return known{}, w.refusal
		case w.refusal == nil && w.known.model != nil && w.known.count >= count && now.Sub(w.at) < identityAge:
			return w.known, nil
		}
		if err := w.wait(ctx); err != nil {
			return known{}, err
		}
	}
}

// current is settle for one who will ask the server nothing, and so would not meet a new
// connection: what is known stands while a connection from before the check is open, for
// it ends in the process that answered, or for as long as no other could have come up.
func (w *watch) current(ctx context.Context) (known, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		now := time.Now()
		age := now.Sub(w.at)
		switch {
		case w.refusal != nil && now.Before(w.again):
			return known{}, w.refusal
		case w.refusal == nil && w.known.model != nil && (age < restartLeast || age < identityAge && w.connections.Alive(w.known.count)):
			return w.known, nil
		}
		if err := w.wait(ctx); err != nil {
			return known{}, err
		}
	}
}

// wait joins the check that is under way, or begins one. It is called with w.mu held.
func (w *watch) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := w.check
	if c == nil {
		detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
		c = &check{cancel: cancel, done: make(chan struct{})}
		w.check = c
		go w.run(detached, c, w.known, w.refusal != nil) // ends with the requests that it makes
	}
	c.waiters++
	w.mu.Unlock()
	var err error
	select {
	case <-c.done:
		err = c.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	w.mu.Lock()
	if c.waiters--; c.waiters == 0 {
		c.cancel()
		if w.check == c {
			w.check = nil // whoever comes now must not wait for what was cancelled
		}
	}
	return err
}

// run is a check's goroutine.
func (w *watch) run(ctx context.Context, c *check, before known, refused bool) {
	found, err := w.find(ctx, before, refused)
	w.mu.Lock()
	defer w.mu.Unlock()
	defer close(c.done)
	c.err = err
	if w.check != c {
		return // nobody waits for it: it was cancelled
	}
	w.check = nil
	var no *refusedError
	switch {
	case err == nil:
		if before.model != nil && found.model != before.model {
			w.counts.changes.Add(1)
			w.log.Warn("the base's server has another model, which is taken", "base", w.base,
				"was", before.model.caps.Identity, "is", found.model.caps.Identity)
		}
		now := time.Now()
		if found.steady = before.steady; found.model != before.model || now.Sub(w.at) >= restartLeast {
			found.steady = now
		}
		w.known, w.at, w.refusal = found, now, nil
	case !errors.As(err, &no):
	case before.model == nil:
		c.err = no.cause
	default:
		w.counts.refusals.Add(1)
		w.refusal, w.again = w.unfit(no.cause), time.Now().Add(refusalAge)
		c.err = w.refusal
		w.log.Error("the base's server has another model, which cannot be taken", "base", w.base, "error", no.cause)
	}
}

// refusedError is why what the server has now cannot be taken.
type refusedError struct{ cause error }

func (e *refusedError) Error() string { return e.cause.Error() }

// unfit is what texts get while the server's model is refused.
func (w *watch) unfit(cause error) error {
	var e *Error
	if errors.As(cause, &e) {
		return cause // the server did not answer: that says more
	}
	return &Error{Fault: Changed, Base: w.base, Op: "identity",
		Message: "the server has another model now, which cannot take the place of the one before", Err: cause}
}

// find asks the server which model it has, and recognises it where it is another one
// than before.
func (w *watch) find(ctx context.Context, before known, refused bool) (found known, err error) {
	// Nobody above a goroutine can catch a panic: it would end the process.
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	m, tries := before.model, identityTries
	if refused {
		m = nil
	}
	if m != nil && !before.alone {
		tries = 1 // a server that keeps no connections would open one each time
	}
	for recognised := 0; recognised <= identityTries; {
		if m == nil {
			recognised++
			if m, err = w.recognise(ctx); err != nil {
				return known{}, &refusedError{err}
			}
		}
		count := w.connections.Dials()
		w.counts.checks.Add(1)
		identity, err := m.server.Identify(ctx)
		var e *Error
		switch {
		case err == nil:
		case ctx.Err() != nil, unanswered(err), errors.As(err, &e) && e.Fault == Failed, recognised > 0:
			return known{}, err
		default: // the server has no such model any more, or is of another kind
			m, tries = nil, identityTries
			continue
		}
		alone := w.connections.Dials() == count
		if tries--; identity != m.caps.Identity {
			m, tries = nil, identityTries
		} else if alone || tries < 1 {
			return known{model: m, count: count, alone: alone}, nil
		}
	}
	return known{}, &refusedError{errors.New("the server has another model each time that it is asked")}
}

// verdict is what is known of rows that were asked for.
type verdict int

const (
	proven    verdict = iota // they are the model's
	ambiguous                // they may be another's
	disproved                // the server has another model now
)

// judge tells whose the rows are that were asked for behind asked, at the time at, and
// have come.
func (w *watch) judge(ctx context.Context, asked known, at time.Time) (verdict, error) {
	if w.connections.Dials() == asked.count && !w.doubted() {
		return proven, nil
	}
	now, err := w.settle(ctx)
	switch {
	case err != nil:
		return ambiguous, err
	case now.model != asked.model:
		return disproved, nil
	case now.alone && now.count > asked.count+1 && now.steady.Sub(at) >= restartLeast:
		return ambiguous, nil
	}
	return proven, nil
}
