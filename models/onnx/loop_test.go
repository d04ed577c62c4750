package onnx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// until waits for a state of the loop that is bound to come.
func until(l *loop, state func() bool) {
	for {
		l.mu.Lock()
		ok := state()
		l.mu.Unlock()
		if ok {
			return
		}
		runtime.Gosched()
	}
}

// waiting is how many jobs are in the queue. The loop must be locked.
func (l *loop) waiting() int { return len(l.steps) + len(l.longs) }

// occupy keeps the loop busy until the function returned is called.
func occupy(t *testing.T, l *loop) (leave func()) {
	t.Helper()
	door, left := make(chan struct{}), make(chan error, 1)
	j := newJob(func() (bool, error) { <-door; return false, nil })
	j.ctx = context.Background()
	go func() { left <- l.do(&j) }()
	until(l, func() bool { return l.running == &j })
	return func() {
		close(door)
		if err := <-left; err != nil {
			t.Error(err)
		}
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	want := readExpected(t)
	s := openModel(t, "gqa", Options{Provider: CPU})
	q := openSequence(t, s)
	read(t, q, want.Prompt[:5], 5)
	leave := occupy(t, s.loop)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := q.Extend(ctx, []eft.Token{60, 61}, 1)
		failed <- err
	}()
	until(s.loop, func() bool { return s.loop.waiting() == 1 })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) { // while the loop is still busy
		t.Error(err)
	}
	leave()
	if q.Len() != 5 {
		t.Errorf("%d tokens, want 5", q.Len())
	}
	rows := lend(read(t, q, want.Prompt[5:], 100))
	if d := farthest(t, rows, want.Prefill[5:]); d > 2e-5 {
		t.Errorf("%g away after a cancelled wait", d)
	}
}

// TestCancelledWhileRunning stops a run of 4,000 tokens, which takes hundreds of
// milliseconds, as soon as it is seen running.
func TestCancelledWhileRunning(t *testing.T) {
	want := readExpected(t)
	for _, name := range []string{"long", "long-gqa"} {
		s := openModel(t, name, Options{Provider: CPU, Context: 4096, Chunk: 4096})
		q := openSequence(t, s)
		read(t, q, want.Prompt[:5], 5)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := q.Extend(ctx, walk(4000, 64), 1)
			failed <- err
		}()
		until(s.loop, func() bool { return s.loop.running == &q.job })
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if q.Len() != 5 {
			t.Errorf("%s: %d tokens, want 5", name, q.Len())
		}
		rows := lend(read(t, q, want.Prompt[5:], 100))
		if d := farthest(t, rows, want.Prefill[5:]); d > 2e-5 {
			t.Errorf("%s: %g away after a cancelled run", name, d)
		}
	}
}

// endsAfter is a context that ends when it was asked n times.
type endsAfter struct {
	context.Context
	n int
}

func (c *endsAfter) Err() error {
	if c.n--; c.n < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestCancelledBetweenChunks(t *testing.T) {
	want := readExpected(t)
	for _, name := range []string{"gqa", "plain"} {
		s := openModel(t, name, Options{Provider: CPU, Chunk: 2})
		q := openSequence(t, s)
		read(t, q, want.Prompt[:3], 3)
		for n := range 12 {
			ctx := &endsAfter{Context: t.Context(), n: n}
			if _, err := q.Extend(ctx, walk(40, 64), 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if q.Len() != 3 {
				t.Fatalf("%s: %d tokens, want 3", name, q.Len())
			}
		}
		rows := lend(read(t, q, want.Prompt[3:], 100))
		if d := farthest(t, rows, want.Prefill[3:]); d > 2e-5 {
			t.Errorf("%s: %g away after cancelled chunks", name, d)
		}
	}
}

// TestWaitersTakeTurns lines jobs up while the loop is busy: they run in the
// order in which they came, and one with several pieces goes to the end of the
// queue after each.
func TestWaitersTakeTurns(t *testing.T) {
	s := openModel(t, "gqa", Options{Provider: CPU})
	leave := occupy(t, s.loop)
	var order []string // written by whoever leads
	var waiters sync.WaitGroup
	for i, pieces := range []int{1, 3, 1, 2} {
		left := pieces
		j := newJob(func() (bool, error) {
			order = append(order, fmt.Sprintf("%c%d", 'a'+i, pieces-left+1))
			left--
			return left > 0, nil
		})
		j.ctx = context.Background()
		waiters.Go(func() {
			if err := s.loop.do(&j); err != nil {
				t.Error(err)
			}
		})
		until(s.loop, func() bool { return s.loop.waiting() == i+1 })
	}
	leave()
	waiters.Wait()
	if want := []string{"a1", "b1", "c1", "d1", "b2", "d2", "b3"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// TestSequencesDoNotMix runs 64 sequences at once, each with its own text, own
// groups, detours and cancellations; rows must be those of the text alone.
func TestSequencesDoNotMix(t *testing.T) {
	for _, name := range []string{"gqa", "plain", "plain-fp16"} {
		s := openModel(t, name, Options{Provider: CPU, Chunk: 8, ExactShapes: true})
		s.pool.smallest = 16
		text := walk(64+60, 64)
		var alone [64][][]float32
		for i := range alone {
			q := openSequence(t, s)
			alone[i] = read(t, q, text[i:i+60], 60)
		}
		var all sync.WaitGroup
		for i := range alone {
			all.Go(func() {
				q, err := s.Open(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer q.Close()
				wander(t, q, text[i:i+60], alone[i], i)
			})
		}
		all.Wait()
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
}

// wander reads a text in groups of 1 + i%5 tokens, with a wrong guess and an
// Extend that is cancelled at some time before each.
func wander(t *testing.T, q *Sequence, text []eft.Token, want [][]float32, i int) {
	for at := 0; at < len(text); {
		if _, err := q.Extend(t.Context(), []eft.Token{eft.Token(i), 1}, 2); err != nil {
			t.Error(err)
			return
		}
		if err := q.Truncate(at); err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := q.Extend(ctx, walk(30, 64), 1); err == nil {
			if err := q.Truncate(at); err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		n := min(1+i%5, len(text)-at)
		rows, err := q.Extend(t.Context(), text[at:at+n], n)
		if err != nil {
			t.Error(err)
			return
		}
		for k := range rows {
			if !same(rows[k].Scores, want[at+k]) {
				t.Errorf("sequence %d: row %d is another than alone", i, at+k)
				return
			}
		}
		at += n
	}
}

func TestClosingASession(t *testing.T) {
	s := openModel(t, "gqa", Options{Provider: CPU})
	q := openSequence(t, s)
	read(t, q, []eft.Token{1, 2, 3}, 3)
	leave := occupy(t, s.loop)
	refused := make(chan error)
	go func() {
		_, err := q.Extend(t.Context(), []eft.Token{4}, 1)
		refused <- err
	}()
	until(s.loop, func() bool { return s.loop.waiting() == 1 })
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	if err := <-refused; !errors.Is(err, ErrClosed) { // while a run is under way
		t.Error(err)
	}
	leave()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := q.Extend(t.Context(), []eft.Token{4}, 1); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := s.Open(t.Context()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// TestClosingBetweenPieces closes a session while a job has pieces left.
func TestClosingBetweenPieces(t *testing.T) {
	s := openModel(t, "gqa", Options{Provider: CPU})
	begun, closing := make(chan struct{}), make(chan struct{})
	j := newJob(func() (bool, error) { close(begun); <-closing; return true, nil })
	j.ctx = context.Background()
	failed := make(chan error)
	go func() { failed <- s.loop.do(&j) }()
	<-begun
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	until(s.loop, func() bool { return s.loop.closed })
	close(closing)
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
