package proxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// passes is a server that computes in passes: what comes while one runs waits for the
// next. A pass takes long, and each prompt in it adds to that.
type passes struct {
	Server // for what no test asks
	pass   time.Duration
	prompt time.Duration
	merged atomic.Int64 // requests of several asks
	fail   func(asks []Ask) error

	mu      sync.Mutex
	waiting []*passAsk
	running bool
}

type passAsk struct {
	prompts int
	done    chan struct{}
}

func (p *passes) ask(ctx context.Context, asks []Ask) ([][]eft.Row, error) {
	if p.fail != nil {
		if err := p.fail(asks); err != nil {
			return nil, err
		}
	}
	a := &passAsk{done: make(chan struct{})}
	rows := make([][]eft.Row, len(asks))
	for i, question := range asks {
		a.prompts += len(question.Path) + 1
		for j := range len(question.Path) + 1 {
			rows[i] = append(rows[i], passRow(slices.Concat(question.Prefix, question.Path[:j])))
		}
	}
	p.mu.Lock()
	p.waiting = append(p.waiting, a)
	if !p.running {
		p.running = true
		go p.run()
	}
	p.mu.Unlock()
	select {
	case <-a.done:
		return rows, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *passes) run() {
	for {
		p.mu.Lock()
		now := p.waiting
		if p.waiting = nil; len(now) == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		prompts := 0
		for _, a := range now {
			prompts += a.prompts
		}
		time.Sleep(p.pass + time.Duration(prompts)*p.prompt) // the bubble's clock
		for _, a := range now {
			close(a.done)
		}
	}
}

func (p *passes) Gather(ctx context.Context, _ string, asks []Ask) ([][]eft.Row, error) {
	p.merged.Add(1)
	return p.ask(ctx, asks)
}

func (p *passes) Size(a Ask) (int, int) { return len(a.Path) + 1, len(a.Prefix) + len(a.Path) }

// passRow says what it is behind.
func passRow(prefix []eft.Token) eft.Row {
	return eft.Row{IDs: slices.Clone(prefix), LogProbs: make([]float32, len(prefix)), Best: len(prefix)}
}

// drive has texts ask round after round for so long, thinking in between, and returns
// the rounds of all.
func drive(t *testing.T, p *passes, texts int, think func(r *rand.Rand) time.Duration, together bool, d time.Duration) int {
	var counts counts
	g := newGather(p, false, &counts)
	var rounds atomic.Int64
	var all sync.WaitGroup
	for i := range texts {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			rider := g.enter("")
			defer rider.leave()
			time.Sleep(time.Duration(r.Int64N(int64(40 * time.Millisecond))))
			prefix := []eft.Token{eft.Token(i)}
			for began := time.Now(); time.Since(began) < d; {
				question := Ask{Prefix: prefix}
				alone := func() ([]eft.Row, error) {
					rows, err := p.ask(t.Context(), []Ask{question})
					return rows[0], err
				}
				var rows []eft.Row
				var err error
				if together {
					rows, err = rider.rows(t.Context(), question, alone)
				} else {
					rows, err = alone()
				}
				if err != nil || len(rows) != 1 || !slices.Equal(rows[0].IDs, prefix) {
					t.Errorf("text %d: %v, %v", i, rows, err)
					return
				}
				rounds.Add(1)
				prefix = append(prefix, eft.Token(len(prefix)%7))
				time.Sleep(think(r))
			}
		})
	}
	all.Wait()
	g.check(t)
	return int(rounds.Load())
}

// check is the invariant of a gather whose texts have all left.
func (g *gather) check(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queues) != 0 {
		t.Errorf("%d queues are left", len(g.queues))
	}
}

func TestTextsInStepShareTheirPasses(t *testing.T) {
	short := func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(time.Millisecond))) }
	for _, c := range []struct {
		name  string
		think func(*rand.Rand) time.Duration
		texts int
		gain  float64 // at least
	}{
		{"alone", short, 1, 1},
		{"two", short, 2, 1.8},
		{"four", short, 4, 1.8},
		{"sixteen", short, 16, 1.5},
		{"sixteen that think up to 8 ms", func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(8 * time.Millisecond))) }, 16, 1.3},
		{"sixteen of which one in ten rounds thinks for 15 ms", func(r *rand.Rand) time.Duration {
			if r.IntN(10) == 0 {
				return 15 * time.Millisecond
			}
			return short(r)
		}, 16, 1.2},
		{"sixteen that think for longer than a pass", func(r *rand.Rand) time.Duration {
			return time.Duration(20+r.Int64N(40)) * time.Millisecond
		}, 16, .95},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := func() *passes {
				return &passes{pass: 30 * time.Millisecond, prompt: 1200 * time.Microsecond}
			}
			const d = 20 * time.Second
			apart := drive(t, server(), c.texts, c.think, false, d)
			together := drive(t, server(), c.texts, c.think, true, d)
			gain := float64(together) / float64(apart)
			t.Logf("%s: %d rounds apart, %d together: %.2f", c.name, apart, together, gain)
			if gain < c.gain {
				t.Errorf("%s: %.2f times the rounds, want %.2f", c.name, gain, c.gain)
			}
		})
	}
}

// side is n texts of one world that have rows already and whose server is slow enough
// for them to wait for each other.
func side(t *testing.T, w *world, n int) (*Base, []*Sequence) {
	t.Helper()
	w.caps.Batch, w.caps.Stream = true, false
	b := w.base(t)
	var texts []*Sequence
	for i := range n {
		s := b.Open("", []eft.Token{eft.Token(i)})
		w.expect(t, s, "A", []eft.Token{eft.Token(i)}, nil)
		texts = append(texts, s)
	}
	return b, texts
}

// askAll has all texts ask for the rows behind one token more, one millisecond behind each
// other, and returns their errors.
func askAll(t *testing.T, w *world, texts []*Sequence, token eft.Token, ctx func(i int) context.Context) []error {
	errs := make([]error, len(texts))
	var all sync.WaitGroup
	for i, s := range texts {
		all.Go(func() {
			time.Sleep(time.Duration(i) * time.Millisecond)
			generated := append(slices.Clone(s.prefix[s.prompt:]), token)
			rows, err := s.Rows(ctx(i), generated, []eft.Token{3})
			if err == nil {
				err = w.checkRows(rows, "A", slices.Concat(s.prefix[:s.prompt], generated), []eft.Token{3})
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errs
}

func TestOneBadTextHurtsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		w.latency = func() time.Duration { return 50 * time.Millisecond }
		b, texts := side(t, w, 5)
		bad := func(a Ask) bool { return a.Prefix[0] == 4 }
		w.hooks.gather = func(asks []Ask) error {
			if slices.ContainsFunc(asks, bad) {
				return &Error{Fault: Failed, Base: "b", Op: "rows", Status: 500}
			}
			return nil
		}
		ctx := func(int) context.Context { return t.Context() }
		for i, err := range askAll(t, w, texts, 1, ctx) {
			if err != nil {
				t.Errorf("text %d: %v", i, err)
			}
		}
		if stats := b.Stats(); stats.Gatherings != 0 {
			t.Errorf("%+v", stats)
		}
		texts[4].Close()
		for range 3 {
			for i, err := range askAll(t, w, texts[:4], 2, ctx) {
				if err != nil {
					t.Errorf("text %d: %v", i, err)
				}
			}
		}
		if stats := b.Stats(); stats.Gatherings == 0 {
			t.Errorf("%+v; want texts to go together again", stats)
		}
		for _, s := range texts {
			s.Close()
		}
		b.watch.last().gather.check(t)
		w.checkClosed(t)
	})
}

func TestAServerThatDoesNotAnswerIsNotAskedAgainByEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		w.latency = func() time.Duration { return 50 * time.Millisecond }
		_, texts := side(t, w, 4)
		w.hooks.gather = func([]Ask) error { return &Error{Fault: TimedOut, Base: "b", Op: "rows", Phase: FirstByte} }
		before := w.calls.Load()
		late := 0
		for _, err := range askAll(t, w, texts, 1, func(int) context.Context { return t.Context() }) {
			if faulty(err, TimedOut) {
				late++
			}
		}
		if got := w.calls.Load() - before; late != 3 || got != 1 {
			t.Errorf("%d texts failed, %d requests; want the first text's alone and no other", late, got)
		}
		for _, s := range texts {
			s.Close()
		}
	})
}

func TestAPanicOfAGatheringIsNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		w.latency = func() time.Duration { return 50 * time.Millisecond }
		_, texts := side(t, w, 3)
		w.hooks.gather = func([]Ask) error { panic("a bug") }
		for i, err := range askAll(t, w, texts, 1, func(int) context.Context { return t.Context() }) {
			if err != nil {
				t.Errorf("text %d: %v", i, err)
			}
		}
		for _, s := range texts {
			s.Close()
		}
	})
}

func TestWhoLeavesAGatheringCancelsItForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		w.latency = func() time.Duration { return 50 * time.Millisecond }
		b, texts := side(t, w, 4)
		// They ask at 0, 1, 2 and 3 ms; the first's ask takes 100 ms, the others' the next 100.
		patience := []time.Duration{time.Hour, 50 * time.Millisecond, 150 * time.Millisecond, time.Hour}
		errs := askAll(t, w, texts, 1, func(i int) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), patience[i])
			t.Cleanup(cancel)
			return ctx
		})
		for i, err := range errs {
			if left := patience[i] < time.Hour; left != errors.Is(err, context.DeadlineExceeded) || !left && err != nil {
				t.Errorf("text %d: %v", i, err)
			}
		}
		// All of a gathering leave: its request ends, and nobody is due or held.
		w.latency = func() time.Duration { return time.Hour }
		began := time.Now()
		errs = askAll(t, w, texts, 2, func(i int) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			t.Cleanup(cancel)
			return ctx
		})
		if took := time.Since(began); took > time.Minute+10*time.Millisecond || slices.Contains(errs, nil) {
			t.Errorf("%v after %v", errs, took)
		}
		synctest.Wait()
		w.latency = nil
		began = time.Now()
		for i, err := range askAll(t, w, texts[:1], 2, func(int) context.Context { return t.Context() }) {
			if err != nil {
				t.Errorf("text %d: %v", i, err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("a lone text was held for %v", took)
		}
		for _, s := range texts {
			s.Close()
		}
		b.watch.last().gather.check(t)
	})
}

func TestALoneTextAndQuickServersAreNeverHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		think := func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(20 * time.Millisecond))) }
		for name, c := range map[string]struct {
			texts int
			pass  time.Duration
		}{
			"one text":      {1, 30 * time.Millisecond},
			"quick servers": {8, time.Millisecond},
		} {
			server := &passes{pass: c.pass}
			apart := drive(t, &passes{pass: c.pass}, c.texts, think, false, 5*time.Second)
			together := drive(t, server, c.texts, think, true, 5*time.Second)
			if apart != together || server.merged.Load() != 0 {
				t.Errorf("%s: %d rounds, %d where they can be held, %d requests of several", name, apart, together, server.merged.Load())
			}
		}
	})
}

func TestALongPromptKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		w.latency = func() time.Duration { return 50 * time.Millisecond }
		b, texts := side(t, w, 2)
		var asked []int // tokens of each ask of several
		w.hooks.gather = func(asks []Ask) error {
			for _, a := range asks {
				asked = append(asked, len(a.Prefix))
			}
			return nil
		}
		long := b.Open("", make([]eft.Token, 500))
		texts = append(texts, long, b.Open("", []eft.Token{9}))
		for token := range eft.Token(2) {
			for i, err := range askAll(t, w, texts, token, func(int) context.Context { return t.Context() }) {
				if err != nil {
					t.Errorf("text %d: %v", i, err)
				}
			}
			if has := slices.Max(asked) > 400; has != (token == 1) {
				t.Errorf("round %d: %v tokens went together", token, asked)
			}
		}
		for _, s := range texts {
			s.Close()
		}
		b.watch.last().gather.check(t)
		w.checkClosed(t)
	})
}

func TestStuckRequestsHoldNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		var latency atomic.Int64
		latency.Store(int64(50 * time.Millisecond))
		w.latency = func() time.Duration { return time.Duration(latency.Load()) }
		b, texts := side(t, w, 3)
		latency.Store(int64(time.Hour))
		var stuck sync.WaitGroup
		stuck.Go(func() {
			_, _ = texts[0].Rows(t.Context(), []eft.Token{1}, nil) // in two hours
		})
		time.Sleep(time.Millisecond)
		latency.Store(int64(50 * time.Millisecond))
		began := time.Now()
		for i, err := range askAll(t, w, texts[1:], 1, func(int) context.Context { return t.Context() }) {
			if err != nil {
				t.Errorf("text %d: %v", i, err)
			}
		}
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("texts were held for %v by a request that does not come back", took)
		}
		stuck.Wait()
		if call := b.watch.last().gather.call; call > 200*time.Millisecond {
			t.Errorf("calls are said to take %v by one that hung", call)
		}
	})
}

func TestRequestsAreBounded(t *testing.T) {
	asks := func(n, ids int) (out []*ask) {
		for range n {
			out = append(out, &ask{Ask: Ask{Prefix: make([]eft.Token, ids)}})
		}
		return out
	}
	for name, c := range map[string]struct{ asks, ids, want int }{
		"one, however large": {1, gatherIDs * 2, 1},
		"large ones":         {9, gatherIDs / 4, 4},
		"too many":           {100, 1, gatherAsks},
	} {
		q := &queue{of: newGather(&passes{}, false, nil)}
		if got := q.fit(asks(c.asks, c.ids)); got != c.want {
			t.Errorf("%s: %d in a request, want %d", name, got, c.want)
		}
	}
}
