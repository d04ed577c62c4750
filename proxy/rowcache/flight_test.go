package rowcache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// gate lets a base answer when it is told to, and tells who waits at it.
type gate struct {
	answer chan error
	left   int
}

func (g *gate) before(ctx context.Context) error {
	select {
	case err := <-g.answer:
		return err
	case <-ctx.Done():
		g.left++
		return ctx.Err()
	}
}

// asker is a text that asks for one row, and what it got.
type asker struct {
	cancel context.CancelFunc
	base   *base
	err    error
	done   bool
}

// ask lets n texts ask for the same row, one after the other, each with a base of its
// own behind the same gate.
func ask(t *testing.T, c *Cache, g *gate, n int) []*asker {
	t.Helper()
	var all []*asker
	for range n {
		ctx, cancel := context.WithCancel(t.Context())
		a := &asker{cancel: cancel, base: &base{scope: truncated, before: g.before}}
		all = append(all, a)
		go func() {
			s := c.Open(truncated, []eft.Token{1}, a.base.open([]eft.Token{1}))
			defer s.Close()
			rows, err := s.Rows(ctx, nil, []eft.Token{2, 3})
			if a.err = err; err == nil {
				same(t, truncated, []eft.Token{1}, nil, []eft.Token{2, 3}, rows)
			}
			a.done = true
		}()
		synctest.Wait()
	}
	return all
}

func calls(all []*asker) (calls, closed int) {
	for _, a := range all {
		_, ended, n, _, _ := a.base.counts()
		calls, closed = calls+n, closed+ended
	}
	return calls, closed
}

func TestTextsThatAskTheSameShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := New(newTier(), secret), &gate{answer: make(chan error)}
		all := ask(t, c, g, 5)
		g.answer <- nil
		synctest.Wait()
		for i, a := range all {
			if !a.done || a.err != nil {
				t.Errorf("text %d: done %v, %v", i, a.done, a.err)
			}
		}
		if n, closed := calls(all); n != 1 || closed != 1 {
			t.Errorf("%d calls, %d sources closed", n, closed)
		}
		if s := c.Stats(); s.Calls != 1 || s.Asked != 3 || s.Shared != 12 {
			t.Errorf("%+v", s)
		}
		idle(t, c)
	})
}

func TestWhoLeavesTakesNothingFromTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := New(newTier(), secret), &gate{answer: make(chan error)}
		all := ask(t, c, g, 4)
		// The one who began it leaves, and one who waits.
		all[0].cancel()
		all[2].cancel()
		synctest.Wait()
		if !all[0].done || !errors.Is(all[0].err, context.Canceled) || !all[2].done || g.left != 0 {
			t.Fatalf("%+v %+v, %d calls ended", all[0], all[2], g.left)
		}
		if _, closed := calls(all); closed != 0 {
			t.Error("the source was closed while others wait for it")
		}
		g.answer <- nil
		synctest.Wait()
		if all[1].err != nil || all[3].err != nil || !all[3].done {
			t.Errorf("%v %v", all[1].err, all[3].err)
		}
		if n, closed := calls(all); n != 1 || closed != 1 {
			t.Errorf("%d calls, %d sources closed", n, closed)
		}
		idle(t, c)
	})
}

func TestWhatNobodyWaitsForIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := New(newTier(), secret), &gate{answer: make(chan error)}
		all := ask(t, c, g, 3)
		for i, a := range all {
			if g.left != 0 {
				t.Errorf("cancelled with %d waiting", len(all)-i)
			}
			a.cancel()
			synctest.Wait()
		}
		if n, closed := calls(all); g.left != 1 || n != 1 || closed != 1 {
			t.Errorf("%d left the base, %d calls, %d closed", g.left, n, closed)
		}
		idle(t, c)
		// The next one asks anew.
		again := ask(t, c, g, 1)
		g.answer <- nil
		synctest.Wait()
		if again[0].err != nil || !again[0].done {
			t.Error(again[0].err)
		}
	})
}

func TestErrorsOfTheBaseAreSharedAndCancellationIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := New(newTier(), secret), &gate{answer: make(chan error)}
		all := ask(t, c, g, 3)
		g.answer <- errFault
		synctest.Wait()
		for i, a := range all {
			if !a.done || a.err != errFault {
				t.Errorf("text %d: %v", i, a.err)
			}
		}
		if n, _ := calls(all); n != 1 {
			t.Errorf("%d calls", n)
		}
		// A base that says it was cancelled when nobody left: each of the others asks
		// for itself.
		all = ask(t, c, g, 3)
		g.answer <- fmt.Errorf("inside: %w", context.Canceled)
		synctest.Wait()
		g.answer <- nil
		synctest.Wait()
		if !errors.Is(all[0].err, context.Canceled) || all[1].err != nil || all[2].err != nil || !all[2].done {
			t.Errorf("%v %v %v", all[0].err, all[1].err, all[2].err)
		}
		if n, _ := calls(all); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
		idle(t, c)
	})
}

func TestATextGoesOnAfterItLeftACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := New(newTier(), secret), &gate{answer: make(chan error)}
		b := &base{scope: truncated, before: g.before}
		s := c.Open(truncated, nil, b.open(nil))
		other := &base{scope: truncated, before: g.before}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { // keeps the first call alive
			waiter := c.Open(truncated, nil, other.open(nil))
			defer waiter.Close()
			time.Sleep(time.Millisecond)
			if _, err := waiter.Rows(t.Context(), nil, nil); err != nil {
				t.Error(err)
			}
		}()
		if _, err := s.Rows(ctx, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		// Another row of the same source waits for its turn.
		go func() { g.answer <- nil; g.answer <- nil }()
		rows, err := s.Rows(t.Context(), []eft.Token{4}, nil)
		if err != nil {
			t.Fatal(err)
		}
		same(t, truncated, nil, []eft.Token{4}, nil, rows)
		s.Close()
		synctest.Wait()
		if opened, closed, calls, _, _ := b.counts(); opened != 1 || closed != 1 || calls != 2 {
			t.Errorf("opened %d, closed %d, %d calls", opened, closed, calls)
		}
		if other.opened != 0 {
			t.Error("the waiter opened its source")
		}
		idle(t, c)
	})
}

func TestEqualQuestionsForNamesShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := New(newTier(), secret), &gate{answer: make(chan error)}
		b := &base{scope: truncated, before: g.before}
		var done atomic.Int32
		for range 4 {
			go func() {
				s := c.Open(truncated, nil, b.open(nil))
				defer s.Close()
				if _, err := s.Rows(t.Context(), nil, nil); err != nil {
					t.Error(err)
				}
				named, err := s.Named(t.Context(), nil, nil, [][]eft.Token{{250, 251}})
				if err != nil || named[0][1].LogProb != truth(nil)[251] {
					t.Errorf("%v, %v", named, err)
				}
				done.Add(1)
			}()
		}
		synctest.Wait()
		g.answer <- nil // the rows
		synctest.Wait()
		g.answer <- nil // the names
		synctest.Wait()
		if _, _, calls, _, names := b.counts(); done.Load() != 4 || calls != 1 || names != 1 {
			t.Errorf("%d done, %d calls, %d for names", done.Load(), calls, names)
		}
		idle(t, c)
	})
}

func TestAKeyIsRememberedUntilManyOthersEnded(t *testing.T) {
	f := newFlights()
	c := New(newTier(), secret)
	key := func(i int) []eft.Token { return []eft.Token{eft.Token(i)} }
	s := c.Open(truncated, nil, nil)
	for i := range 2*recentKeys + 10 {
		s.locate(key(i), nil)
		if f.recent[s.keys[0]] != 0 {
			t.Fatal("remembered before it ended")
		}
		f.remember(s.keys)
		if f.recent[s.keys[0]] != 1 {
			t.Fatal("not remembered")
		}
	}
	if len(f.recent) != recentKeys || len(f.ring) != recentKeys {
		t.Errorf("%d keys remembered", len(f.recent))
	}
	s.locate(key(recentKeys+9), nil)
	if f.recent[s.keys[0]] != 0 {
		t.Error("remembered too long")
	}
}
