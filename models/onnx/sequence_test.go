package onnx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// scores copies rows, which are only lent.
func scores(rows []eft.Row) [][]float32 {
	var all [][]float32
	for _, r := range rows {
		all = append(all, slices.Clone(r.Scores))
	}
	return all
}

// read extends a sequence by groups of tokens of the sizes given, the last size
// again and again, and returns all rows.
func read(t testing.TB, q *Sequence, tokens []eft.Token, sizes ...int) [][]float32 {
	t.Helper()
	var all [][]float32
	for len(tokens) > 0 {
		n := min(sizes[0], len(tokens))
		rows, err := q.Extend(t.Context(), tokens[:n], n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, scores(rows)...)
		tokens = tokens[n:]
		if len(sizes) > 1 {
			sizes = sizes[1:]
		}
	}
	if err := q.session.Check(); err != nil {
		t.Error(err)
	}
	return all
}

func TestTruncatedSequencesGoOnAsIfNothingHadBeen(t *testing.T) {
	want := readExpected(t)
	text := append(slices.Clone(want.Prompt), want.Steps...)
	for _, export := range exports {
		t.Run(export.name, func(t *testing.T) {
			q := openSequence(t, openModel(t, export.name, Options{Provider: CPU}))
			read(t, q, text, len(text))
			for _, cut := range []int{17, 16, 12, 13, 3, 1, 0} {
				n := min(cut, q.Len())
				if err := q.Truncate(n); err != nil {
					t.Fatal(err)
				}
				read(t, q, []eft.Token{60, 61, 62}, 2) // a wrong guess
				if err := q.Truncate(n); err != nil {
					t.Fatal(err)
				}
				rows := lend(read(t, q, text[n:], 3, 1, 1, 100))
				if d := farthest(t, rows, want.Whole[n:]); d > export.near {
					t.Errorf("cut to %d: %g away", n, d)
				}
				if q.Len() != len(text) {
					t.Errorf("%d tokens, want %d", q.Len(), len(text))
				}
			}
		})
	}
}

// lend makes rows of scores.
func lend(all [][]float32) []eft.Row {
	var rows []eft.Row
	for _, s := range all {
		rows = append(rows, eft.Row{Scores: s})
	}
	return rows
}

func TestOnlyTheRowsAskedForAreGiven(t *testing.T) {
	want := readExpected(t)
	for _, chunk := range []int{1, 2, 5, 0} {
		q := openSequence(t, openModel(t, "gqa", Options{Provider: CPU, Chunk: chunk}))
		for last := range len(want.Prompt) + 1 {
			if err := q.Truncate(0); err != nil {
				t.Fatal(err)
			}
			rows, err := q.Extend(t.Context(), want.Prompt, last)
			if err != nil {
				t.Fatal(err)
			}
			if d := farthest(t, rows, want.Prefill[len(want.Prompt)-last:]); d > 2e-5 {
				t.Errorf("chunks of %d, %d rows: %g away", chunk, last, d)
			}
		}
	}
}

// TestCachesGrow crosses several capacities in every kind of step, and compares
// with one cache that had room from the start.
func TestCachesGrow(t *testing.T) {
	text := walk(700, 64)
	for _, name := range []string{"long", "long-gqa"} {
		want := read(t, openSequence(t, openModel(t, name, Options{Provider: CPU, Context: 1000, Chunk: 1000})), text, 700)
		for _, sizes := range [][]int{{700}, {2}, {250, 7}, {3, 64}, {511, 2}} {
			s := openModel(t, name, Options{Provider: CPU, Context: 1000, Chunk: 100, ExactShapes: true})
			s.pool.smallest = 16
			got := read(t, openSequence(t, s), text, sizes...)
			for i := range want {
				if !same(got[i], want[i]) {
					t.Fatalf("%s in groups of %v: row %d is another", name, sizes, i)
				}
			}
		}
	}
}

func TestExtendRefuses(t *testing.T) {
	s := openModel(t, "gqa", Options{Provider: CPU, Context: 8})
	q := openSequence(t, s)
	read(t, q, []eft.Token{1, 2, 3}, 3)
	var tooLong *ContextError
	var unknown *TokenError
	for _, c := range []struct {
		name   string
		tokens []eft.Token
		last   int
		is     func(error) bool
	}{
		{"more than the context", make([]eft.Token, 6), 1, func(err error) bool {
			return errors.As(err, &tooLong) && *tooLong == ContextError{Tokens: 9, Context: 8}
		}},
		{"a negative token", []eft.Token{5, -1}, 1, func(err error) bool {
			return errors.As(err, &unknown) && *unknown == TokenError{Token: -1, Vocabulary: 64}
		}},
		{"a token beyond the vocabulary", []eft.Token{64}, 1, func(err error) bool { return errors.As(err, &unknown) }},
		{"more rows than tokens", []eft.Token{5}, 2, func(err error) bool { return err != nil }},
		{"a negative number of rows", []eft.Token{5}, -1, func(err error) bool { return err != nil }},
	} {
		rows, err := q.Extend(t.Context(), c.tokens, c.last)
		if rows != nil || !c.is(err) {
			t.Errorf("%s: %v, %v", c.name, rows, err)
		}
		if q.Len() != 3 {
			t.Errorf("%s: the sequence has %d tokens, want 3", c.name, q.Len())
		}
	}
	if rows, err := q.Extend(t.Context(), nil, 0); rows != nil || err != nil {
		t.Errorf("no tokens: %v, %v", rows, err)
	}
	for _, n := range []int{-1, 4} {
		if err := q.Truncate(n); err == nil {
			t.Errorf("3 tokens were truncated to %d", n)
		}
	}
	read(t, q, []eft.Token{4, 5, 6, 7, 8}, 1) // up to the context
}

// TestFailedRunsLeaveTheSequence goes beyond the 128 positions that a graph has a
// table for: the run fails, and nothing else.
func TestFailedRunsLeaveTheSequence(t *testing.T) {
	text := walk(128, 64)
	q := openSequence(t, openModel(t, "plain", Options{Provider: CPU, Context: 200}))
	want := read(t, q, text, 128)
	for range 3 {
		if rows, err := q.Extend(t.Context(), []eft.Token{1, 2}, 1); err == nil {
			t.Fatalf("rows at a position that is not there: %v", rows)
		}
		if q.Len() != 128 {
			t.Errorf("%d tokens after a failure", q.Len())
		}
	}
	if err := q.Truncate(64); err != nil {
		t.Fatal(err)
	}
	for i, row := range read(t, q, text[64:], 64) {
		if !same(row, want[64+i]) {
			t.Fatalf("row %d is another after a failure", 64+i)
		}
	}
}

func TestClosedSequencesRefuse(t *testing.T) {
	s := openModel(t, "gqa", Options{Provider: CPU})
	q := openSequence(t, s)
	read(t, q, []eft.Token{1, 2, 3}, 3)
	for range 2 {
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.Extend(t.Context(), []eft.Token{1}, 1); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := q.Truncate(0); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Open(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestStepsAllocateNothing(t *testing.T) {
	for _, name := range []string{"gqa", "plain", "plain-fp16"} {
		q := openSequence(t, openModel(t, name, Options{Provider: CPU}))
		read(t, q, walk(20, 64), 20)
		ctx, token := t.Context(), []eft.Token{7}
		allocated := testing.AllocsPerRun(50, func() {
			if _, err := q.Extend(ctx, token, 1); err != nil {
				t.Error(err)
			}
		})
		if allocated > 0 {
			t.Errorf("%s: %v allocations a step", name, allocated)
		}
	}
}

// BenchmarkStep times a step of one token after 40 and after 1,000, alone and
// with ExactShapes, on the embedded family's large and small base.
func BenchmarkStep(b *testing.B) {
	for _, name := range []string{"base", "small"} {
		for _, exact := range []bool{false, true} {
			for _, length := range []int{40, 1000} {
				b.Run(fmt.Sprintf("%s/exact=%v/after=%d", name, exact, length), func(b *testing.B) {
					s, err := OpenSession(testEnv, member(name), Options{Provider: CPU, Context: 2048, ExactShapes: exact})
					if err != nil {
						b.Fatal(err)
					}
					defer s.Close()
					q := openSequence(b, s)
					text := walk(length, s.Vocabulary())
					read(b, q, text, length)
					b.ReportAllocs()
					for b.Loop() {
						if err := q.Truncate(length); err != nil {
							b.Fatal(err)
						}
						if _, err := q.Extend(b.Context(), text[:1], 1); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
