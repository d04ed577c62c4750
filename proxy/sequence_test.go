package proxy

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// follow goes along a text of n tokens. Own says, for each token, whether it is the
// base's own.
func follow(t *testing.T, w *world, s *Sequence, prompt []eft.Token, n int, own func() bool) []eft.Token {
	t.Helper()
	var generated []eft.Token
	for range n {
		rows, err := s.Rows(t.Context(), generated, nil)
		if err == nil {
			err = w.checkRows(rows, s.Identity(), slices.Concat(prompt, generated), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		choice := 0
		if !own() {
			choice = 1
		}
		generated = append(generated, rows[0].IDs[choice])
	}
	return generated
}

func always() bool { return true }

func TestTheBasesOwnTokensComeInStreams(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	before := w.calls.Load()
	follow(t, w, s, []eft.Token{1}, 100, always)
	s.Close()
	w.checkClosed(t)
	stats := b.Stats()
	if stats.Rows != 100 || stats.Streamed != 98 || stats.Streams != 5 || stats.Unread != 26 {
		t.Errorf("%+v; want 98 of 100 rows from streams of 4, 8, 16, 32 and 64, the last of them cut", stats)
	}
	// Two rows, five streams, and two checks: the first stream and the first row after
	// opened connections.
	if calls := w.calls.Load() - before; calls > 9 {
		t.Errorf("%d requests for 100 rows", calls)
	}
}

func TestATextThatLeadsAsksForNoMoreThanItCanUse(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	s.Lead(10)
	follow(t, w, s, []eft.Token{1}, 10, always)
	s.Close()
	w.checkClosed(t)
	if stats := b.Stats(); stats.Rows != 10 || stats.Streamed != 10 || stats.Streams != 1 || stats.Unread != 0 {
		t.Errorf("%+v; want all rows from one stream, and none made for nothing", stats)
	}
}

func TestATextThatLeadsIsStreamedAtOnce(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	s.Lead(1000)
	follow(t, w, s, []eft.Token{1}, 100, always)
	if stats := b.Stats(); stats.Rows != 100 || stats.Streamed != 100 || stats.Streams != 1 {
		t.Errorf("%+v; want all rows from one stream", stats)
	}
	s.Close()

	// Behind each divergence there is a new one, at the very next row.
	s = b.Open("", []eft.Token{2})
	s.Lead(1000)
	n := 0
	follow(t, w, s, []eft.Token{2}, 20, func() bool { n++; return n%4 != 0 })
	if stats := b.Stats(); stats.Streamed != 120 || stats.Streams != 6 {
		t.Errorf("%+v; want a stream for each four of 20 rows", stats)
	}
	// Another text does not end it, a path does.
	if _, err := s.Rows(t.Context(), []eft.Token{5}, nil); err != nil || b.Stats().Streams != 7 {
		t.Errorf("%+v, %v", b.Stats(), err)
	}
	for _, path := range [][]eft.Token{{7}, nil} {
		if _, err := s.Rows(t.Context(), []eft.Token{5}, path); err != nil || b.Stats().Streams != 7 {
			t.Errorf("%+v, %v", b.Stats(), err)
		}
	}
	s.Close()
	w.checkClosed(t)
}

func TestTextsThatPartFromTheBaseHaveNoStreams(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	follow(t, w, s, []eft.Token{1}, 50, func() bool { return false })
	s.Close()
	if stats := b.Stats(); stats.Streams != 0 || stats.Rows != 50 {
		t.Errorf("%+v", stats)
	}
	w.checkClosed(t)
}

// The figures in pace's comment.
func TestStreamsPayForTheirWaste(t *testing.T) {
	for _, c := range []struct{ agreement, streamedLeast, unreadMost float64 }{
		{0, 0, 0}, {.3, .01, .05}, {.5, .04, .1}, {.7, .18, .25}, {.8, .35, .35}, {.9, .65, .45}, {.95, .82, .48}, {1, .98, .3},
	} {
		w := newWorld("A")
		b := w.base(t)
		r := rand.New(rand.NewPCG(7, 7))
		const texts, length = 40, 200
		for i := range texts {
			prompt := []eft.Token{eft.Token(i)}
			s := b.Open("", prompt)
			follow(t, w, s, prompt, length, func() bool { return r.Float64() < c.agreement })
			s.Close()
		}
		stats := b.Stats()
		streamed, unread := float64(stats.Streamed)/float64(stats.Rows), float64(stats.Unread)/float64(stats.Rows)
		t.Logf("agreement %.2f: %.3f from streams, %.3f tokens for nothing, %.3f streams a row", c.agreement, streamed, unread, float64(stats.Streams)/float64(stats.Rows))
		if streamed < c.streamedLeast || unread > c.unreadMost {
			t.Errorf("agreement %.2f: %.3f of the rows from streams, %.3f tokens a row for nothing", c.agreement, streamed, unread)
		}
		w.checkClosed(t)
	}
}

// Whatever is asked in whatever order, rows are a function of the prefix.
func TestRowsAreAFunctionOfThePrefix(t *testing.T) {
	for seed := range uint64(200) {
		w := newWorld("A")
		r := rand.New(rand.NewPCG(seed, 3))
		w.hooks.next = func(int) error {
			if seed%4 == 0 && r.IntN(10) == 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		b := w.base(t)
		prompt := []eft.Token{3, eft.Token(seed % worldSize)}
		s := b.Open("", prompt)
		var generated []eft.Token
		for range 60 {
			switch r.IntN(20) {
			case 0:
				generated = generated[:r.IntN(len(generated)+1)]
			case 1:
				generated = append(slices.Clone(generated), eft.Token(r.IntN(worldSize)))
			}
			var path []eft.Token
			if r.IntN(6) == 0 {
				path = []eft.Token{eft.Token(r.IntN(worldSize)), eft.Token(r.IntN(worldSize))}
			}
			rows, err := s.Rows(t.Context(), generated, path)
			if err == nil {
				err = w.checkRows(rows, "A", slices.Concat(prompt, generated), path)
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for range 1 + r.IntN(2)*r.IntN(3) { // several: a cache knew the others
				generated = append(generated, own("A", slices.Concat(prompt, generated)))
			}
		}
		s.Close()
		s.Close()
		w.checkClosed(t)
	}
}

func TestTokensOfAPathThatWereTheBasesOwnCount(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	defer s.Close()
	first := own("A", []eft.Token{1})
	second := own("A", []eft.Token{1, first})
	if _, err := s.Rows(t.Context(), nil, []eft.Token{first}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rows(t.Context(), []eft.Token{first, second}, nil); err != nil {
		t.Fatal(err)
	}
	if stats := b.Stats(); stats.Streams != 1 {
		t.Errorf("%+v: two tokens of a path were the base's own", stats)
	}
}

func TestAStreamThatBreaksIsNoFailure(t *testing.T) {
	for name, broken := range map[string]error{
		"cut":       io.ErrUnexpectedEOF,
		"malformed": &Error{Fault: Malformed, Base: "b", Op: "stream"},
		"stalled":   &Error{Fault: TimedOut, Base: "b", Op: "stream"},
		"ended":     io.EOF,
	} {
		w := newWorld("A")
		w.hooks.next = func(row int) error {
			if row == 2 {
				return broken
			}
			return nil
		}
		b := w.base(t)
		s := b.Open("", []eft.Token{1})
		follow(t, w, s, []eft.Token{1}, 60, always)
		s.Close()
		w.checkClosed(t)
		stats := b.Stats()
		if broken == io.EOF && stats.Unread >= limitLeast {
			t.Errorf("%+v: the base itself ended all streams but the last", stats)
		}
		if broken != io.EOF && (stats.Broken != brokenMost || stats.Streams != brokenMost) {
			t.Errorf("%s: %+v; want %d streams tried in a text, and no more", name, stats, brokenMost)
		}
	}
}

func TestAServerThatRefusesStreamsStillGivesRows(t *testing.T) {
	w := newWorld("A")
	w.hooks.proceed = func() error { return &Error{Fault: Refused, Base: "b", Op: "stream", Status: 400} }
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	follow(t, w, s, []eft.Token{1}, 20, always)
	s.Close()
	w.checkClosed(t)

	w.hooks.proceed = func() error { return &Error{Fault: Unreachable, Base: "b", Op: "stream"} }
	s = b.Open("", []eft.Token{1})
	defer s.Close()
	generated := []eft.Token{}
	var err error
	for err == nil && len(generated) < 5 {
		var rows []eft.Row
		if rows, err = s.Rows(t.Context(), generated, nil); err == nil {
			generated = append(generated, rows[0].IDs[0])
		}
	}
	var e *Error
	if !errors.As(err, &e) || e.Fault != Unreachable {
		t.Errorf("got %v after %d rows: nobody answered", err, len(generated))
	}
}

func TestStreamRowsMustKeepTheRules(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	defer s.Close()
	generated := follow(t, w, s, []eft.Token{1}, 4, always)
	w.caps.TopLogprobs = 6 // streams and requests give more than was promised from here on
	if _, err := s.Rows(t.Context(), generated, nil); !faulty(err, Malformed) {
		t.Errorf("got %v: the stream's row and the single one break the rules", err)
	}
	if stats := b.Stats(); stats.Broken != 1 {
		t.Errorf("%+v", stats)
	}
}

func faulty(err error, fault Fault) bool {
	var e *Error
	return errors.As(err, &e) && e.Fault == fault
}

func TestStreamsEndAtTheContext(t *testing.T) {
	w := newWorld("A")
	w.caps.Context = 10
	b := w.base(t)
	s := b.Open("", []eft.Token{1, 2})
	defer s.Close()
	follow(t, w, s, []eft.Token{1, 2}, 8, always)
	if stats := b.Stats(); stats.Streams != 2 || stats.Unread != 0 {
		t.Errorf("%+v; want streams of 4 and 2, which end where the context does", stats)
	}
}

func TestAPathEndsAStream(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	defer s.Close()
	generated := follow(t, w, s, []eft.Token{1}, 4, always)
	if w.open.Load() != 1 {
		t.Fatal("no stream is open")
	}
	rows, err := s.Rows(t.Context(), generated, []eft.Token{7, 8})
	if err == nil {
		err = w.checkRows(rows, "A", slices.Concat([]eft.Token{1}, generated), []eft.Token{7, 8})
	}
	if err != nil || w.open.Load() != 0 {
		t.Errorf("%v, %d streams open", err, w.open.Load())
	}
}

func TestNamedTokens(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", []eft.Token{1})
	defer s.Close()
	if s.Names() != 4 {
		t.Errorf("%d names, want the 4 of the configuration", s.Names())
	}
	names := [][]eft.Token{{5, 3}, nil, {9}}
	named, err := s.Named(t.Context(), []eft.Token{2}, []eft.Token{4, 6}, names)
	if err != nil {
		t.Fatal(err)
	}
	for i, prefix := range [][]eft.Token{{1, 2}, {1, 2, 4}, {1, 2, 4, 6}} {
		want := truth("A", prefix)
		for j, id := range names[i] {
			if named[i][j] != (eft.Scored{ID: id, LogProb: want[id]}) {
				t.Errorf("position %d: %v, want id %d with %v", i, named[i][j], id, want[id])
			}
		}
	}
	calls := w.calls.Load()
	if named, err := s.Named(t.Context(), []eft.Token{2}, nil, [][]eft.Token{nil}); err != nil || len(named) != 1 || w.calls.Load() != calls {
		t.Errorf("no names: %v, %v, and %d requests", named, err, w.calls.Load()-calls)
	}
	for _, wrong := range [][][]eft.Token{{{1, 2, 3, 4, 5}}, {{1}, {2}}} {
		if _, err := s.Named(t.Context(), nil, nil, wrong); err == nil {
			t.Errorf("%v was asked for", wrong)
		}
	}
	if got := b.Stats().Named; got != 2 {
		t.Errorf("%d positions were named, want 2", got)
	}
	w.caps.Dense = true
	dense := w.base(t).Open("", []eft.Token{1})
	defer dense.Close()
	if dense.Names() != 0 {
		t.Error("a dense row has names")
	}
}

func TestWiringMistakesOfTextsAreErrors(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	s := b.Open("", nil)
	if _, err := s.Rows(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "at least one token") {
		t.Errorf("an empty text: %v", err)
	}
	s.Close()
	if _, err := s.Rows(t.Context(), []eft.Token{1}, nil); err == nil || !strings.Contains(err.Error(), "behind its end") {
		t.Errorf("behind Close: %v", err)
	}
	config := w.config()
	config.Want.Vocabulary, config.Tokenizer = nil, nil
	plain, err := connect(t.Context(), config, w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Open("", []eft.Token{1}).Rows(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "without a vocabulary") {
		t.Errorf("no vocabulary: %v", err)
	}
	if err := plain.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A request that is given up ends its stream, wherever it waits; another call goes on.
func TestACancelledRequestEndsItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		w.latency = func() time.Duration { return time.Second }
		b := w.base(t)
		s := b.Open("", []eft.Token{1})
		opening, end := context.WithTimeout(t.Context(), 20*time.Second)
		var generated []eft.Token
		for range 4 {
			rows, err := s.Rows(opening, generated, nil)
			if err != nil {
				t.Fatal(err)
			}
			generated = append(generated, rows[0].IDs[0])
		}
		end() // the request that opened the stream is over; the stream is the text's
		if w.open.Load() != 1 {
			t.Fatal("no stream is open")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		began := time.Now()
		if _, err := s.Rows(ctx, generated, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second/2 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if w.open.Load() != 0 {
			t.Error("the stream is still open")
		}
		rows, err := s.Rows(t.Context(), generated, nil)
		if err == nil {
			err = w.checkRows(rows, "A", slices.Concat([]eft.Token{1}, generated), nil)
		}
		if err != nil {
			t.Error(err)
		}
		s.Close()
		w.checkClosed(t)
	})
}
