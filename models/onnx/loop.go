package onnx

// Invariants:
//   - A job is in waiting, or running, or with its sequence: never in two places.
//   - Whoever takes it out of the first two sends exactly one finished.
//   - The run options' terminate flag is set only while a job is running, and
//     taken back before the next one runs.

import (
	"context"
	"sync"
)

// job is work for the graph, done in pieces between which others have their
// turn. Every sequence has one and uses it again and again, so that a step
// allocates nothing.
type job struct {
	ctx      context.Context
	piece    func() (more bool, err error) // runs on the loop's goroutine
	err      error
	finished chan struct{} // capacity 1
}

func newJob(piece func() (more bool, err error)) job {
	return job{piece: piece, finished: make(chan struct{}, 1)}
}

// loop is the queue before a session's graph, and the goroutine that serves it.
// The goroutine ends when close is called.
type loop struct {
	session *Session

	mu      sync.Mutex // guards all below
	wake    *sync.Cond // something waits, or closed
	waiting []*job
	running *job
	stopped bool // the running job was told to terminate
	closed  bool

	ended chan struct{}
}

func startLoop(s *Session) *loop {
	l := &loop{session: s, ended: make(chan struct{})}
	l.wake = sync.NewCond(&l.mu)
	go l.serve()
	return l
}

// do queues a job and waits until it is finished, or until its context ends
// and the graph has let go of it.
func (l *loop) do(j *job) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.waiting = append(l.waiting, j)
	l.wake.Signal()
	l.mu.Unlock()
	select {
	case <-j.finished:
	case <-j.ctx.Done():
		l.cancel(j)
		<-j.finished
	}
	return j.err
}

// cancel takes a job out of the queue, or makes its run end soon.
func (l *loop) cancel(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running == j {
		// A failure to stop the run only means that it ends by itself.
		l.stopped = l.session.native.terminate(true) == nil
		return
	}
	for i, w := range l.waiting {
		if w == j {
			copy(l.waiting[i:], l.waiting[i+1:])
			l.waiting = l.waiting[:len(l.waiting)-1]
			j.err = j.ctx.Err()
			j.finished <- struct{}{}
			return
		}
	}
}

// serve runs one piece of the first job at a time; what is left of a job goes to
// the end of the queue.
func (l *loop) serve() {
	defer close(l.ended)
	for {
		j := l.next()
		if j == nil {
			return
		}
		more, err := false, j.ctx.Err()
		if err == nil {
			more, err = j.piece()
		}
		l.settle(j, more, err)
	}
}

// next waits for a job; nil when the loop is closed.
func (l *loop) next() *job {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.wake.Wait()
	}
	if l.closed {
		return nil
	}
	j := l.waiting[0]
	copy(l.waiting, l.waiting[1:])
	l.waiting = l.waiting[:len(l.waiting)-1]
	l.running = j
	return j
}

// settle puts a job back into the queue, or finishes it.
func (l *loop) settle(j *job, more bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = nil
	if l.stopped {
		l.stopped = false
		if e := l.session.native.terminate(false); e != nil && err == nil {
			err = e
		}
	}
	if cause := j.ctx.Err(); cause != nil && (err != nil || more) {
		err = cause
	}
	if err == nil && more && !l.closed {
		l.waiting = append(l.waiting, j)
		return
	}
	if err == nil && more {
		err = ErrClosed
	}
	j.err = err
	j.finished <- struct{}{}
}

func (l *loop) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// close refuses what waits and returns when the last run has ended.
func (l *loop) close() {
	l.mu.Lock()
	l.closed = true
	for _, j := range l.waiting {
		j.err = ErrClosed
		j.finished <- struct{}{}
	}
	l.waiting = nil
	l.wake.Signal()
	l.mu.Unlock()
	<-l.ended
}
