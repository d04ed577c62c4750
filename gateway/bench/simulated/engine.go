// The engine: one loop of passes. Invariants:
//
//   - a job is in waiting, or in running, or done; only the loop takes it from one to the
//     other, at the begin and at the end of a pass;
//   - a running job has tokens that are not computed, between passes one at least;
//   - what a pass computes is settled at its begin, with what it finds in the cache.

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
	cache   *blocks // of the loop
	running []*Job  // of the loop, by age

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
	jobs := make([]*Job, len(asks))
	for i, ask := range asks {
		jobs[i] = newJob(ctx, ask)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
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
	p := &pass{began: time.Now()}
	e.mu.Lock()
	e.running = append(e.running, e.waiting...)
	e.waiting = nil
	e.mu.Unlock()
	e.running = slices.DeleteFunc(e.running, func(j *Job) bool {
		if !j.gone() {
			return false
		}
		close(j.steps)
		return true
	})
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

// pass computes the rows and waits until the time is over. It returns false if ctx ends
// before.
func (e *Engine) pass(ctx context.Context, p *pass) bool {
	takes := e.law.Takes(p.tokens)
	e.rows.answer(ctx, p.wanted)
	computed := time.Since(p.began)
	over := time.NewTimer(takes - computed)
	defer over.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-over.C:
	}
	e.count(p, takes, computed)
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
func (e *Engine) count(p *pass, takes, computed time.Duration) {
	lasted := time.Since(p.began)
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &e.stats
	s.Passes++
	s.Sequences += int64(len(p.jobs))
	s.TokensComputed += int64(p.tokens)
	s.TokensReused += int64(p.reused)
	s.TokensChosen += int64(chosen(p.due))
	s.ComputeSeconds += computed.Seconds()
	s.LawSeconds += takes.Seconds()
	s.PassSeconds += lasted.Seconds()
	if computed > takes {
		s.Overruns++
		s.OverrunSeconds += (computed - takes).Seconds()
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
