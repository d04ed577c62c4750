// The engine: one loop of passes. Invariants:
//
//   - a job is in waiting, or in running, or done; only the loop takes it from one to the
//     other, at the begin and at the end of a pass;
//   - a running job has tokens that are not computed, between passes one at least;
//   - what a pass computes is settled at its begin, with what it finds in the cache;
//   - passes follow the law's clock, not the machine's: where something waits at the end
//     of a pass, the next begins then, however late the machine notices:
//
//	law      |----- a -----|----- b -----|
//	machine      rows of a   ↑ late    rows of b
//
//     A pass whose rows came late ends when they came. What comes behind a pass's begin is
//     not in it.

package simulated

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Engine computes answers in passes. It is safe for concurrent use.
type Engine struct {
	law     Law
	most    int // tokens of a pass
	context int
	rows    *rows
	cache   *blocks   // of the loop
	running []*Job    // of the loop, by age
	ended   time.Time // of the loop: the end of the last pass by the law

	mu      sync.Mutex // guards what follows
	waiting []*Job
	stats   Stats
	closed  bool
	wake    chan struct{} // holds one; filled when something waits

	stop context.CancelFunc
	done chan struct{} // closed when the loop has ended
}

// NewEngine starts the loop. It ends with Close.
func NewEngine(c Config) *Engine {
	ctx, stop := context.WithCancel(context.Background())
	e := &Engine{
		law: c.Law, most: c.Batch, context: c.Context, rows: newRows(c.Open), cache: newBlocks(cachedBlocks),
		wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}),
	}
	if e.most == 0 {
		e.most = defaultBatch
	}
	go e.loop(ctx)
	return e
}

// Close ends the loop, all jobs with it, and the model's sequences.
func (e *Engine) Close() {
	e.stop()
	<-e.done
}

// Submit asks for answers. All of them are in the same pass first, unless they are too
// long for it. Jobs whose ctx is done leave with the next pass.
func (e *Engine) Submit(ctx context.Context, asks ...Ask) []*Job {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now() // under the lock, so that waiting is in order
	jobs := make([]*Job, len(asks))
	for i, ask := range asks {
		jobs[i] = newJob(ctx, ask, now)
	}
	if e.closed {
		for _, j := range jobs {
			j.finish(Step{Err: context.Canceled})
		}
		return jobs
	}
	e.waiting = append(e.waiting, jobs...)
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return jobs
}

// Stats returns what was counted so far.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

// loop is the engine's goroutine; it ends with ctx.
func (e *Engine) loop(ctx context.Context) {
	defer close(e.done)
	defer e.rows.close()
	defer e.abandon()
	for {
		p := e.begin()
		if p.tokens == 0 { // nothing runs
			select {
			case <-ctx.Done():
				return
			case <-e.wake:
			}
			continue
		}
		if !e.pass(ctx, p) {
			return
		}
	}
}

// pass is what one computes.
type pass struct {
	began  time.Time
	tokens int
	reused int
	jobs   []*Job // that have tokens in it
	due    []*Job // whose rows it brings
	wanted []*wanted
}

// begin drops who left, takes in who waits, and settles what the pass computes.
func (e *Engine) begin() *pass {
	p := &pass{began: e.ended}
	e.running = present(e.running)
	e.mu.Lock()
	e.waiting = present(e.waiting)
	if len(e.running) == 0 && len(e.waiting) > 0 && e.waiting[0].came.After(e.ended) {
		p.began = e.waiting[0].came
	}
	late := slices.IndexFunc(e.waiting, func(j *Job) bool { return j.came.After(p.began) })
	if late < 0 {
		late = len(e.waiting)
	}
	e.running = append(e.running, e.waiting[:late]...)
	e.waiting = slices.Delete(e.waiting, 0, late)
	e.mu.Unlock()
	for _, j := range e.running {
		if p.tokens == e.most {
			break
		}
		if !j.admitted {
			j.admitted = true
			j.cached = e.cache.cached(j.ask.Salt, j.tokens, j.ask.From-1)
			j.computed = j.cached
			p.reused += j.cached
		}
		take := min(len(j.tokens)-j.computed, e.most-p.tokens)
		p.tokens, j.computed = p.tokens+take, j.computed+take
		e.cache.fill(j.ask.Salt, j.tokens[:j.computed])
		p.jobs = append(p.jobs, j)
		if j.complete() {
			p.due = append(p.due, j)
			p.wanted = append(p.wanted, &wanted{tokens: j.tokens, from: j.from()})
		}
	}
	return p
}

// present are the jobs that somebody waits for. The others end.
func present(jobs []*Job) []*Job {
	return slices.DeleteFunc(jobs, func(j *Job) bool {
		gone := j.gone()
		if gone {
			close(j.steps)
		}
		return gone
	})
}

// pass computes the rows and waits until the time is over. It returns false if ctx ends
// before.
func (e *Engine) pass(ctx context.Context, p *pass) bool {
	e.ended = p.began.Add(e.law.Takes(p.tokens))
	begun := time.Now()
	e.rows.answer(ctx, p.wanted)
	computed := time.Now()
	over := time.NewTimer(e.ended.Sub(computed))
	defer over.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-over.C:
	}
	overrun := computed.Sub(e.ended)
	if overrun > 0 {
		e.ended = computed
	}
	e.count(p, computed.Sub(begun), max(0, overrun), time.Since(e.ended))
	for i, j := range p.due {
		if !j.advance(p.wanted[i], e.context) {
			e.running = slices.DeleteFunc(e.running, func(other *Job) bool { return other == j })
		}
	}
	return true
}

// abandon ends all jobs.
func (e *Engine) abandon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, j := range slices.Concat(e.running, e.waiting) {
		j.finish(Step{Err: context.Canceled})
	}
	e.running, e.waiting = nil, nil
}

// count adds a pass to the statistics.
func (e *Engine) count(p *pass, computed, overrun, late time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &e.stats
	s.Passes++
	s.Sequences += int64(len(p.jobs))
	s.TokensComputed += int64(p.tokens)
	s.TokensReused += int64(p.reused)
	s.TokensChosen += int64(chosen(p.due))
	s.BusySeconds += e.ended.Sub(p.began).Seconds()
	s.ComputeSeconds += computed.Seconds()
	s.LateSeconds += late.Seconds()
	if overrun > 0 {
		s.Overruns++
		s.OverrunSeconds += overrun.Seconds()
	}
}

// chosen is how many of the jobs get a token.
func chosen(due []*Job) int {
	n := 0
	for _, j := range due {
		if j.ask.Tokens > 0 {
			n++
		}
	}
	return n
}
