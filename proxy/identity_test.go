package proxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// expect asks for a row and compares it with identity's.
func (w *world) expect(t *testing.T, s *Sequence, identity string, prompt, generated []eft.Token) {
	t.Helper()
	rows, err := s.Rows(t.Context(), generated, nil)
	if err == nil {
		err = w.checkRows(rows, identity, slices.Concat(prompt, generated), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// schedule is one interleaving of a row's request with restarts.
type schedule struct {
	begun  bool                                      // the text has rows before
	before func(w *world, op string)                 // a request, with its connection
	after  func(w *world, op string)                 // a request, once it was answered
	now    string                                    // what the server has at last
	says   Fault                                     // of the next row; empty for a row
	checks func(t *testing.T, w *world, stats Stats) // may be nil
}

// schedules are numbered as in identity.go.
func schedules() map[string]schedule {
	return map[string]schedule{
		"1: nothing is dialled": {begun: true, now: "A", checks: func(t *testing.T, w *world, stats Stats) {
			if stats.IdentityChecks != 1 {
				t.Errorf("%+v; want the one check of the connecting", stats)
			}
		}},
		"2: a new connection to the same model": {begun: true, now: "A", before: once("rows", func(w *world) { w.restart("A") }), checks: func(t *testing.T, w *world, stats Stats) {
			if stats.IdentityChecks != 2 || stats.Rows != 2 {
				t.Errorf("%+v; want one further check", stats)
			}
		}},
		"3: another model answers": {begun: true, now: "B", says: Changed, before: once("rows", func(w *world) { w.restart("B") })},
		"3: another model answers the first row of a text": {now: "B",
			before: once("rows", func(w *world) { w.restart("B") })},
		"3: another model comes behind the answer": {begun: true, now: "B", says: Changed,
			before: once("rows", func(w *world) { w.restart("A") }), after: once("rows", func(w *world) { w.restart("B") })},
		"5: another model answers and is gone": {begun: true, now: "A",
			before: once("rows", func(w *world) { w.restart("X") }), after: once("rows", back)},
		"5: another model answers the first row and is gone": {now: "A",
			before: once("rows", func(w *world) { w.restart("X") }), after: once("rows", back)},
		"4: many connections, and checks in time": {begun: true, now: "A", before: once("rows", func(w *world) { w.dials.Add(5) }), checks: func(t *testing.T, w *world, stats Stats) {
			if stats.IdentityChecks != 2 || w.asked.Load() != 2 {
				t.Errorf("%+v; want one check, and no row again", stats)
			}
		}},
		"5: many connections, and no checks in time": {begun: true, now: "A", before: once("rows", func(w *world) { w.dials.Add(5); time.Sleep(restartLeast) }), checks: func(t *testing.T, w *world, stats Stats) {
			if stats.IdentityChecks != 2 || w.asked.Load() != 3 {
				t.Errorf("%+v; want one check, and the row again", stats)
			}
		}},
	}
}

func TestRestartsBetweenARowAndItsProof(t *testing.T) {
	for name, c := range schedules() {
		t.Run(name, func(t *testing.T) { synctest.Test(t, c.run) })
	}
}

func (c schedule) run(t *testing.T) {
	prompt := []eft.Token{1}
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", prompt)
	var generated []eft.Token
	if c.begun {
		w.expect(t, s, "A", prompt, nil)
		generated = []eft.Token{2}
	}
	if c.before != nil {
		w.hooks.before = func(op string) { c.before(w, op) }
	}
	if c.after != nil {
		w.hooks.after = func(op string) { c.after(w, op) }
	}
	if c.says != "" {
		if rows, err := s.Rows(t.Context(), generated, nil); !faulty(err, c.says) {
			t.Errorf("got %v, %v", rows, err)
		}
	} else {
		w.expect(t, s, c.now, prompt, generated)
	}
	if c.checks != nil {
		c.checks(t, w, b.Stats())
	}
	next := b.Open("", prompt) // new answers go on with what is there
	w.expect(t, next, c.now, prompt, nil)
	if got := b.Identity(); got != c.now || next.Identity() != c.now {
		t.Errorf("identity %s, of the text %s; want %s", got, next.Identity(), c.now)
	}
	next.Close()
	s.Close()
	w.checkClosed(t)
}

// back is A again, as soon as a server can be.
func back(w *world) {
	w.down()
	time.Sleep(restartLeast)
	w.restart("A")
}

// once does something in the first request of a kind.
func once(kind string, do func(w *world)) func(w *world, op string) {
	var done sync.Once
	return func(w *world, op string) {
		if op == kind {
			done.Do(func() { do(w) })
		}
	}
}

func TestAnIdentityThatWasToldIsKept(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	defer s.Close()
	if got := s.Identity(); got != "A" {
		t.Errorf("identity %s", got)
	}
	w.restart("B")
	if _, err := s.Rows(t.Context(), nil, nil); !faulty(err, Changed) {
		t.Errorf("got %v: somebody keeps rows under A", err)
	}
}

// Rows are asked for by many while the server is restarted again and again, among two
// models and as fast as can be.
func TestNoWrongRowInAnyInterleaving(t *testing.T) {
	for seed := range uint64(18) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			var guard sync.Mutex
			random := func(n int) time.Duration {
				guard.Lock()
				defer guard.Unlock()
				return time.Duration(r.IntN(n)) * time.Millisecond
			}
			w := newWorld("A")
			w.caps.Batch = seed >= 9 // texts are asked for together
			slow := []int{20, 200, 600}[seed/3%3]
			w.latency = func() time.Duration { return random(slow) }
			b := w.base(t)
			ctx, cancel := context.WithCancel(t.Context())
			var rows, failed atomic.Int64
			var texts sync.WaitGroup
			for range 6 {
				texts.Go(func() {
					for ctx.Err() == nil {
						some, err := oneText(ctx, w, b, random)
						rows.Add(int64(some))
						if err != nil {
							failed.Add(1)
						}
						if errors.Is(err, errWrong) {
							t.Errorf("seed %d: %v", seed, err)
						}
						time.Sleep(random(slow))
					}
				})
			}
			pause := []int{10, 300, 2000}[seed%3]
			for range 40 {
				time.Sleep(random(pause))
				w.down()
				time.Sleep(restartLeast)
				w.restart(string('A' + rune(random(2)/time.Millisecond)))
			}
			time.Sleep(10 * time.Second) // it settles
			before := failed.Load()
			time.Sleep(3 * time.Second)
			cancel()
			texts.Wait()
			if after := failed.Load() - before; after > 6 { // the cancelled ones
				t.Errorf("seed %d: %d texts failed although nothing changes any more", seed, after)
			}
			if rows.Load() == 0 {
				t.Errorf("seed %d: no row at all", seed)
			}
			w.checkClosed(t)
			if stats := b.Stats(); w.caps.Batch != (stats.Gathered > stats.Gatherings) {
				t.Errorf("seed %d: %+v", seed, stats)
			}
		})
	}
}

var errWrong = errors.New("wrong row")

// oneText goes along a text and compares all of its rows with its model's.
func oneText(ctx context.Context, w *world, b *Base, random func(int) time.Duration) (rows int, err error) {
	prompt := []eft.Token{eft.Token(random(worldSize) / time.Millisecond)}
	s := b.Open("", prompt)
	defer s.Close()
	var generated []eft.Token
	for range 12 {
		var path []eft.Token
		if random(4) == 0 {
			path = []eft.Token{3, 4}
		}
		got, err := s.Rows(ctx, generated, path)
		if err != nil {
			return rows, err
		}
		if err := w.checkRows(got, s.Identity(), slices.Concat(prompt, generated), path); err != nil {
			return rows, errors.Join(errWrong, err)
		}
		rows += len(got)
		generated = append(generated, got[0].IDs[min(int(random(8)/time.Millisecond)/7, 1)])
	}
	return rows, nil
}

// A server that closes its connections leaves no proof, but for restarts that are
// further apart than a request takes there is no need of one.
func TestServersThatKeepNoConnections(t *testing.T) {
	w := newWorld("A")
	w.closing = true
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	follow(t, w, s, []eft.Token{1}, 30, always)
	stats := b.Stats()
	if stats.Rows != 30 || stats.IdentityChecks > 30 {
		t.Errorf("%+v; want a check or two for each request", stats)
	}
	w.restart("B")
	if _, err := s.Rows(t.Context(), []eft.Token{9}, nil); !faulty(err, Changed) {
		t.Errorf("got %v", err)
	}
	s.Close()
	s = b.Open("", []eft.Token{1})
	w.expect(t, s, "B", []eft.Token{1}, nil)
	s.Close()
	w.checkClosed(t)
}

func TestOneCheckServesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		w.latency = func() time.Duration { return time.Second }
		b := w.base(t)
		warm := []*Sequence{b.Open("", []eft.Token{1}), b.Open("", []eft.Token{2}), b.Open("", []eft.Token{3})}
		ask := func() {
			var all sync.WaitGroup
			for i, s := range warm {
				all.Go(func() {
					if _, err := s.Rows(t.Context(), nil, nil); err != nil {
						t.Errorf("text %d: %v", i, err)
					}
				})
			}
			all.Wait()
		}
		ask()
		before := b.Stats()
		ask() // over the connections that are there
		if after := b.Stats(); after.IdentityChecks != before.IdentityChecks {
			t.Errorf("%d checks without a new connection", after.IdentityChecks-before.IdentityChecks)
		}
		before = b.Stats()
		time.Sleep(identityAge)
		ask()
		if after := b.Stats(); after.IdentityChecks != before.IdentityChecks+1 {
			t.Errorf("%d checks for what grew stale, want 1 for all", after.IdentityChecks-before.IdentityChecks)
		}
		for _, s := range warm {
			s.Close()
		}
	})
}

func TestACheckEndsWhenNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		b := w.base(t)
		w.latency = func() time.Duration { return time.Hour }
		b.watch.doubt()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := b.Open("", []eft.Token{1})
		defer s.Close()
		began := time.Now()
		if _, err := s.Rows(ctx, nil, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		synctest.Wait()
		w.latency = nil // whoever comes now must not wait for the check that was given up
		w.expect(t, s, "A", []eft.Token{1}, nil)
		if time.Since(began) != time.Minute {
			t.Errorf("it took %v", time.Since(began))
		}
	})
}

func TestAModelThatDoesNotFitIsRefusedUntilItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		b := w.base(t)
		old := b.Open("", []eft.Token{1})
		defer old.Close()
		w.expect(t, old, "A", []eft.Token{1}, nil)

		w.restart("B")
		w.words = everything()
		fails := func(s *Sequence) {
			t.Helper()
			_, err := s.Rows(t.Context(), []eft.Token{2}, nil)
			if !faulty(err, Changed) || !strings.Contains(err.Error(), "vocabulary is another one") {
				t.Errorf("got %v", err)
			}
		}
		fails(old)
		calls := w.calls.Load()
		for range 5 {
			fails(old)
			fresh := b.Open("", []eft.Token{1})
			fails(fresh)
			fresh.Close()
		}
		if got := w.calls.Load() - calls; got != 0 {
			t.Errorf("%d requests right behind a refusal", got)
		}
		if b.Identity() != "A" || b.Stats().Refusals != 1 || b.Check(t.Context()) == nil {
			t.Errorf("identity %s, %+v", b.Identity(), b.Stats())
		}

		w.restart("C")
		w.words = alphabet()
		time.Sleep(refusalAge)
		fresh := b.Open("", []eft.Token{1})
		w.expect(t, fresh, "C", []eft.Token{1}, nil)
		fresh.Close()
		if _, err := old.Rows(t.Context(), []eft.Token{2}, nil); !faulty(err, Changed) {
			t.Errorf("a text of A goes on with C: %v", err)
		}
		if stats := b.Stats(); stats.Changes != 1 || b.Identity() != "C" || b.Caps().Identity != "C" {
			t.Errorf("%+v, identity %s", stats, b.Identity())
		}
	})
}

func TestWhatWasPromisedIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Caps)
		says   string
	}{
		"less context":             {func(c *Caps) { c.Context = 10 }, "its context is 10 tokens now, and was 100 tokens"},
		"a context that is silent": {func(c *Caps) { c.Context = 0 }, "its context is unknown now"},
		"fewer log-probs":          {func(c *Caps) { c.TopLogprobs = 4 }, "gives 4 log-probs, and 5 are wanted"},
		"more log-probs":           {func(c *Caps) { c.TopLogprobs = 6 }, "the 6 best log-probs now, and gave 5; --cap raises it"},
		"other rows":               {func(c *Caps) { c.Dense = true }, "its rows are dense now, and were truncated"},
		"fewer names":              {func(c *Caps) { c.Names = 3 }, "asked for 3 tokens by id now, and could for 8"},
		"fewer ids":                {func(c *Caps) { c.VocabSize = 39 }, "scores 39 ids, and the vocabulary has 40"},
		"fewer names than it had, but as many as are used": {func(c *Caps) { c.Names = 4 }, ""},
		"more context": {func(c *Caps) { c.Context = 200 }, ""},
		"no streams":   {func(c *Caps) { c.Stream = false }, ""},
	} {
		w := newWorld("A")
		w.caps.Context, w.caps.CapFlag, w.caps.VocabSize = 100, "--cap", 64
		b := w.base(t)
		c.change(&w.caps)
		w.restart("B")
		s := b.Open("", []eft.Token{1})
		_, err := s.Rows(t.Context(), nil, nil)
		if (c.says == "") != (err == nil) || err != nil && (!faulty(err, Changed) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
		s.Close()
	}
}

func TestAServerThatChangesAllTheTimeIsRefused(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	w.hooks.identify = func(string) (string, error) { return "never the same", nil }
	s := b.Open("", []eft.Token{1})
	defer s.Close()
	w.restart("A")
	if _, err := s.Rows(t.Context(), nil, nil); !faulty(err, Changed) || !strings.Contains(err.Error(), "each time that it is asked") {
		t.Errorf("got %v", err)
	}
}

// Servers under whose address the old model is not known any more say so in their words.
func TestAnIdentityThatCannotBeToldIsAnotherModel(t *testing.T) {
	for _, said := range []error{errors.New("no such model"), &Error{Fault: Refused, Base: "b", Op: "identify", Status: 404}} {
		w := newWorld("A")
		b := w.base(t)
		w.hooks.identify = func(identity string) (string, error) {
			if w.hooks.recognise == nil { // as long as nobody has recognised it anew
				return "", said
			}
			return identity, nil
		}
		w.hooks.before = func(op string) {
			if op == "recognise" {
				w.hooks.recognise = func() error { return nil }
			}
		}
		w.restart("B")
		s := b.Open("", []eft.Token{1})
		w.expect(t, s, "B", []eft.Token{1}, nil)
		s.Close()
		if got := b.Stats().Changes; got != 1 {
			t.Errorf("%d changes", got)
		}
	}
}

func TestAServerThatCannotBeAskedFailsRowsAndNoMore(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	away := &Error{Fault: Unreachable, Base: "b", Op: "identify"}
	w.hooks.identify = func(string) (string, error) { return "", away }
	s := b.Open("", []eft.Token{1})
	defer s.Close()
	w.restart("A")
	if _, err := s.Rows(t.Context(), nil, nil); !faulty(err, Unreachable) {
		t.Errorf("got %v", err)
	}
	w.hooks.identify = func(string) (string, error) { panic("a bug") }
	if _, err := s.Rows(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "panic: a bug") {
		t.Errorf("got %v", err)
	}
	w.hooks.identify = nil
	w.expect(t, s, "A", []eft.Token{1}, nil)
}
