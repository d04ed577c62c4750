package onnx

import (
	"runtime"
	"slices"
	"time"
)

// turn runs once. A round is all steps that wait when it begins, and then longs, one
// piece of each in turn, until they have had as many tokens as the pace allows; so a
// step waits for one piece at most before it, and a long job for one round of steps. mu
// is held before and after, and released during the run.
func (l *loop) turn() {
	if l.round == 0 && (l.budget <= 0 || len(l.longs) == 0) {
		l.linger()
		l.round = len(l.steps)
		l.budget = l.pace.allowance(l.session.options.Chunk, l.round > 0)
	}
	if l.round > 0 && len(l.steps) > 0 {
		l.runSteps()
		return
	}
	l.round = 0
	if len(l.longs) > 0 {
		l.runLong()
		return
	}
	l.budget = 0
}

// linger lets those go on whose steps have just been run, for a small part of the time
// that a run takes: most of them are back at once, and without it two halves of them
// would for ever take turns in runs of half the size. mu is released meanwhile.
func (l *loop) linger() {
	if l.absent <= 0 || len(l.steps) == 0 {
		return
	}
	start, patience := time.Now(), l.pace.patience()
	for l.absent > 0 && time.Since(start) < patience {
		l.mu.Unlock()
		runtime.Gosched()
		l.mu.Lock()
	}
	l.absent = 0
}

// runSteps runs the first step and those that can be run with it.
func (l *loop) runSteps() {
	s, b := l.session, &l.batch
	l.assemble()
	if len(b.jobs) == 0 {
		return
	}
	l.round = max(0, l.round-len(b.jobs))
	l.mu.Unlock()
	start := time.Now()
	s.runBatch(b)
	took := time.Since(start)
	l.mu.Lock()
	l.pace.stepped(len(b.past), took)
	l.counts.stepped(len(b.jobs), len(b.past))
	for i, j := range b.jobs {
		l.finish(j, b.errs[i])
	}
	l.absent = len(b.jobs)
	clear(b.jobs)
}

// runLong runs one piece of the first of the longs; what is left of it goes to the end
// of the queue.
func (l *loop) runLong() {
	j := l.longs[0]
	l.longs = slices.Delete(l.longs, 0, 1)
	err, more, tokens := j.ctx.Err(), false, 0
	if err == nil {
		l.running, l.absent = j, 0
		limit := l.pace.limit
		l.mu.Unlock()
		start := time.Now()
		if j.piece != nil {
			more, err = j.piece()
		} else {
			tokens, more, err = j.sequence.advance(limit)
		}
		took := time.Since(start)
		l.mu.Lock()
		l.running = nil
		l.pace.read(tokens, took)
		l.counts.read(tokens)
		l.budget -= tokens
		if j.piece != nil {
			l.budget = 0
		}
	}
	if l.stopped {
		l.stopped = false
		if e := l.session.native.terminate(false); e != nil && err == nil {
			err = e
		}
	}
	if cause := j.ctx.Err(); cause != nil && (err != nil || more) {
		err = cause
	}
	if err == nil && more && l.closed {
		err = ErrClosed
	}
	if err == nil && more {
		l.longs = append(l.longs, j)
		return
	}
	l.finish(j, err)
}
