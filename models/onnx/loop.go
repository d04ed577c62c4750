package onnx

// Whoever finds the session idle leads it: no goroutine of the session's own has to be
// woken for a step, and a text alone never waits for another goroutine. A leader runs
// what waits, its own work and that of others, until its own is finished, and hands the
// lead to somebody who still waits:
//
//	caller A   do → leads: [A's step] → returns         the session was idle
//	caller B        do → waits … told to lead: [B C D]  three steps in one run
//	callers C, D      do → wait …………………… told: finished
//
// Invariants:
//   - busy: exactly one goroutine leads, or one job has been told to and has not begun.
//   - A job is in steps, or in longs, or being run, or finished. Whoever finishes a job
//     other than its own leader's tells it so, once; told has room for one word.
//   - leader is the job that was told to lead and has not begun; it is in steps or longs
//     or finished, and is told nothing else.
//   - A run of several jobs is never stopped. The run options' terminate flag is set only
//     while running is set, and taken back before the next run.

import (
	"context"
	"slices"
	"sync"
)

// job is work for the graph. Every sequence has one and uses it again and again, so
// that a step allocates nothing.
type job struct {
	ctx      context.Context
	piece    func() (more bool, err error) // some part of the work; nil for a sequence's
	sequence *Sequence                     // whose extension it is
	step     bool                          // one token behind others: may run with other steps
	chosen   bool                          // by who puts a run together
	done     bool
	err      error
	told     chan word // capacity 1
}

// word is what a waiting job is told.
type word bool

const (
	finished word = false
	lead     word = true
)

// newJob makes a job of pieces between which others have their turn. No two pieces of a
// session, and no piece and a run, happen at the same time.
func newJob(piece func() (more bool, err error)) job {
	return job{piece: piece, told: make(chan word, 1)}
}

// loop is the queue before a session's graph, and what its leader remembers.
type loop struct {
	session *Session

	mu      sync.Mutex // guards all below
	freed   *sync.Cond // busy has ended
	steps   []*job     // in the order in which they came
	longs   []*job     // all others, those that had a turn behind those that had not
	busy    bool
	leading *job
	leader  *job
	running *job // the one job of a run that may be stopped
	stopped bool // it was told to terminate
	closed  bool
	absent  int // steps of the last run whose texts have not come back

	// Only the leader uses what follows.
	round  int // steps that still go before the longs have a turn
	budget int // tokens that the longs have left of theirs
	batch  batch
	pace   pace
	counts *tally
}

func startLoop(s *Session) *loop {
	l := &loop{session: s, counts: &s.tally}
	l.freed = sync.NewCond(&l.mu)
	return l
}

// do runs a job, with others', and returns when it is finished or, if its context ends
// first, when the graph has let go of it.
func (l *loop) do(j *job) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	j.done, j.err = false, nil
	if j.step {
		l.absent--
		l.steps = append(l.steps, j)
	} else {
		l.longs = append(l.longs, j)
	}
	l.counts.waiting.Add(1)
	if !l.busy {
		l.busy = true
		return l.lead(j)
	}
	l.mu.Unlock()
	var said word
	select {
	case said = <-j.told:
	case <-j.ctx.Done():
		l.cancel(j)
		said = <-j.told
	}
	if said == lead {
		l.mu.Lock()
		l.leader = nil
		return l.lead(j)
	}
	return j.err
}

// cancel takes a job out of the queue, or makes its run end soon. What runs with others
// runs on.
func (l *loop) cancel(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.running == j:
		// A failure to stop the run only means that it ends by itself.
		l.stopped = l.session.native.terminate(true) == nil
	case l.withdraw(j):
		l.finish(j, j.ctx.Err())
	}
}

// withdraw takes a job out of the queue; false if it is not there.
func (l *loop) withdraw(j *job) bool {
	for _, queue := range []*[]*job{&l.steps, &l.longs} {
		if i := slices.Index(*queue, j); i >= 0 {
			*queue = slices.Delete(*queue, i, i+1)
			return true
		}
	}
	return false
}

// finish ends a job that is in no queue.
func (l *loop) finish(j *job, err error) {
	j.err, j.done = err, true
	l.counts.waiting.Add(-1)
	if j != l.leading && j != l.leader {
		j.told <- finished
	}
}

// lead runs what waits until the leader's own job is finished. It is called with mu
// held, and releases it.
func (l *loop) lead(own *job) error {
	l.leading = own
	if own.sequence != nil && !own.step && own.ctx.Done() != nil {
		l.mu.Unlock()
		leave := l.watch(own)
		defer leave()
		l.mu.Lock()
	}
	for !own.done {
		if own.ctx.Err() != nil && l.withdraw(own) {
			l.finish(own, own.ctx.Err())
			break
		}
		l.turn()
	}
	l.leading = nil
	err := own.err
	l.pass()
	l.mu.Unlock()
	return err
}

// watch cancels the leader's own job when its context ends, which the leader cannot see
// while it is in a run.
func (l *loop) watch(own *job) (leave func()) {
	gone := make(chan struct{})
	stop := context.AfterFunc(own.ctx, func() {
		defer close(gone)
		l.cancel(own)
	})
	return func() {
		if !stop() {
			<-gone
		}
	}
}

// pass hands the lead to somebody who waits.
func (l *loop) pass() {
	switch {
	case len(l.steps) > 0:
		l.leader = l.steps[0]
	case len(l.longs) > 0:
		l.leader = l.longs[0]
	default:
		l.busy = false
		l.freed.Broadcast()
		return
	}
	l.leader.told <- lead
}

func (l *loop) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// close refuses what waits and returns when the last run has ended.
func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, queue := range []*[]*job{&l.steps, &l.longs} {
		for _, j := range *queue {
			l.finish(j, ErrClosed)
		}
		*queue = nil
	}
	for l.busy {
		l.freed.Wait()
	}
}
