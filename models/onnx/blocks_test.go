package onnx

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx/synthetic"
)

// exportable are all models of testdata that are not there to be refused, by name.
func exportable(t testing.TB) map[string]Source {
	t.Helper()
	all := make(map[string]Source)
	for _, pattern := range []string{"testdata/*/model.onnx", "testdata/layouts/*.onnx"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if slices.Contains([]string{"half", "double", "padded"}, filepath.Base(filepath.Dir(path))) {
				continue
			}
			all[path] = Source{Path: path}
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d models", len(all))
	}
	return all
}

// export is Export of all that the sequence has.
func export(t testing.TB, q *Sequence, from, to int) []byte {
	t.Helper()
	block, err := q.Export(t.Context(), from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := (to - from) * q.session.TokenBytes(); len(block) != want {
		t.Fatalf("%d bytes of tokens %d to %d, want %d", len(block), from, to, want)
	}
	return block
}

func importAll(t testing.TB, q *Sequence, tokens int, pieces ...[]byte) {
	t.Helper()
	if err := q.ImportAll(t.Context(), tokens, pieces...); err != nil {
		t.Fatal(err)
	}
	if err := q.session.Check(); err != nil {
		t.Error(err)
	}
}

// TestImportedSequencesGoOnAsTheirOriginal has, of every model there is, sequences
// that got their past in different ways compute the same steps as the one that read it.
func TestImportedSequencesGoOnAsTheirOriginal(t *testing.T) {
	const past = 12
	for name, src := range exportable(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openSource(t, src, Options{Provider: CPU, Context: 128, Chunk: 50})
			s.pool.smallest = 4 // so that every import changes the capacity
			length := min(past, s.Context()-2)
			text := walk(length+2, s.Vocabulary())
			original := openSequence(t, s)
			read(t, original, text[:length], length)
			whole := export(t, original, 0, length)
			halves := [][]byte{export(t, original, 0, length/2), export(t, original, length/2, length)}
			uneven := [][]byte{export(t, original, 0, length-1), export(t, original, length-1, length)}
			if length%2 != 0 {
				t.Fatal("odd")
			}
			want := read(t, original, text[length:], 1, 1)
			other := openSource(t, src, Options{Provider: CPU, Context: 64, Chunk: 50})
			for way, fill := range map[string]func(q *Sequence){
				"at once":        func(q *Sequence) { importAll(t, q, length, whole) },
				"in halves":      func(q *Sequence) { importAll(t, q, length/2, halves[0]); importAll(t, q, length/2, halves[1]) },
				"in two pieces":  func(q *Sequence) { importAll(t, q, length, halves...) },
				"in uneven ones": func(q *Sequence) { importAll(t, q, length, uneven...) },
				"after its own":  func(q *Sequence) { read(t, q, text[:length/2], length/2); importAll(t, q, length/2, halves[1]) },
				"after a guess":  func(q *Sequence) { wrong(t, q, text[:length/2]); importAll(t, q, length/2, halves[1]) },
				"cut and filled": func(q *Sequence) { importAll(t, q, length, whole); cut(t, q, 3); read(t, q, text[3:length], 100) },
				"after nothing": func(q *Sequence) {
					importAll(t, q, length, whole)
					cut(t, q, 0)
					importAll(t, q, length/2, halves[0])
					read(t, q, text[length/2:length], 100)
				},
			} {
				for where, session := range map[string]*Session{"here": s, "there": other} {
					q := openSequence(t, session)
					fill(q)
					if q.Len() != length {
						t.Fatalf("%s %s: %d tokens, want %d", way, where, q.Len(), length)
					}
					computed := way == "after its own" || way == "after a guess" || way == "cut and filled" || way == "after nothing"
					got := read(t, q, text[length:], 1, 1)
					for i := range want {
						// Tokens that are read in other groups have other last bits.
						if !computed && !same(got[i], want[i]) {
							t.Errorf("%s, %s: row %d is another", way, where, i)
						}
						if d := compare("", [][]float64{logProbs(got[i])}, [][]float64{logProbs(want[i])}); d.LogProb > 0.05 && !roundsMuch(s) {
							t.Errorf("%s, %s: row %d is %g away", way, where, i, d.LogProb)
						}
					}
					if !computed && !bytes.Equal(export(t, q, 0, length), whole) {
						t.Errorf("%s, %s: another block comes out than went in", way, where)
					}
				}
			}
		})
	}
}

// roundsMuch says whether rows depend on the grouping of tokens visibly.
func roundsMuch(s *Session) bool {
	return slices.ContainsFunc(s.Facts().Notes, func(n string) bool { return bytes.Contains([]byte(n), []byte("eight bits")) })
}

func cut(t testing.TB, q *Sequence, n int) {
	t.Helper()
	if err := q.Truncate(n); err != nil {
		t.Fatal(err)
	}
}

// wrong reads tokens, and others behind them that are taken back.
func wrong(t testing.TB, q *Sequence, tokens []eft.Token) {
	t.Helper()
	read(t, q, tokens, len(tokens))
	read(t, q, []eft.Token{9, 8, 7}, 3)
	cut(t, q, len(tokens))
}

// A block is rows of tokens that follow each other, slot after slot.
func TestBlocksAreCutByTokens(t *testing.T) {
	for name, src := range exportable(t) {
		s := openSource(t, src, Options{Provider: CPU, Context: 128})
		q := openSequence(t, s)
		read(t, q, walk(9, s.Vocabulary()), 9)
		whole, first, rest := export(t, q, 0, 9), export(t, q, 0, 4), export(t, q, 4, 9)
		var joined []byte
		for i := range s.layout.slots {
			slot := &s.layout.slots[i]
			for range slot.rows() {
				token := slot.token() * s.layout.kv.Size()
				joined = append(append(joined, first[:4*token]...), rest[:5*token]...)
				first, rest = first[4*token:], rest[5*token:]
			}
		}
		if !bytes.Equal(joined, whole) {
			t.Errorf("%s: parts do not make up the whole", name)
		}
	}
}

func TestImportRefusesAndLeavesTheSequenceAsItWas(t *testing.T) {
	for _, export := range exports {
		s := openModel(t, export.name, Options{Provider: CPU, Context: 16})
		text := walk(10, 64)
		q, twin := openSequence(t, s), openSequence(t, s)
		read(t, q, text[:8], 8)
		read(t, twin, text[:8], 8)
		token := s.TokenBytes()
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		var tooLong *ContextError
		var bad *BlockError
		for _, c := range []struct {
			name   string
			ctx    context.Context
			tokens int
			pieces [][]byte
			is     func(error) bool
		}{
			{"too few bytes", t.Context(), 3, [][]byte{make([]byte, 3*token-1)}, func(err error) bool {
				return errors.As(err, &bad) && *bad == BlockError{Tokens: 3, Bytes: 3*token - 1, Want: 3 * token}
			}},
			{"too many bytes", t.Context(), 3, [][]byte{make([]byte, 4*token)}, func(err error) bool { return errors.As(err, &bad) }},
			{"a second piece that is too short", t.Context(), 4, [][]byte{make([]byte, 2*token), make([]byte, token)}, func(err error) bool { return errors.As(err, &bad) }},
			{"an empty piece", t.Context(), 2, [][]byte{make([]byte, 2*token), nil}, func(err error) bool { return err != nil }},
			{"a token in two pieces", t.Context(), 2, [][]byte{make([]byte, token+1), make([]byte, token-1)}, func(err error) bool { return err != nil }},
			{"more than the context", t.Context(), 9, [][]byte{make([]byte, 9*token)}, func(err error) bool {
				return errors.As(err, &tooLong) && *tooLong == ContextError{Tokens: 17, Context: 16}
			}},
			{"pieces that exceed the context together", t.Context(), 10, [][]byte{make([]byte, 5*token), make([]byte, 5*token)}, func(err error) bool { return errors.As(err, &tooLong) }},
			{"a negative number", t.Context(), -1, [][]byte{nil}, func(err error) bool { return err != nil }},
			{"a context that has ended", cancelled, 1, [][]byte{make([]byte, token)}, func(err error) bool { return errors.Is(err, context.Canceled) }},
		} {
			if err := q.ImportAll(c.ctx, c.tokens, c.pieces...); !c.is(err) {
				t.Errorf("%s, %s: %v", export.name, c.name, err)
			}
			if q.Len() != 8 {
				t.Errorf("%s, %s: %d tokens", export.name, c.name, q.Len())
			}
		}
		got, want := read(t, q, text[8:], 1), read(t, twin, text[8:], 1)
		for i := range want {
			if !same(got[i], want[i]) {
				t.Errorf("%s: row %d is another after refusals", export.name, i)
			}
		}
	}
}

func TestExportRefuses(t *testing.T) {
	s := openModel(t, "gqa", Options{Provider: CPU})
	q := openSequence(t, s)
	read(t, q, walk(8, 64), 8)
	dst := []byte{1, 2, 3}
	for _, c := range [][2]int{{-1, 2}, {3, 2}, {0, 9}} {
		if got, err := q.Export(t.Context(), c[0], c[1], dst); err == nil || !bytes.Equal(got, dst) {
			t.Errorf("%v: %v %v", c, got, err)
		}
	}
	if got, err := q.Export(t.Context(), 4, 4, dst); err != nil || !bytes.Equal(got, dst) {
		t.Errorf("of no token: %v %v", got, err)
	}
	got, err := q.Export(t.Context(), 0, 1, dst)
	if err != nil || len(got) != 3+s.TokenBytes() || !bytes.Equal(got[:3], dst) {
		t.Errorf("appended: %d bytes, %v", len(got), err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Export(t.Context(), 0, 1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := q.Import(t.Context(), 1, make([]byte, s.TokenBytes())); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestExportAllocatesNothingButItsBytes(t *testing.T) {
	for _, name := range []string{"long", "long-gqa"} {
		q := openSequence(t, openModel(t, name, Options{Provider: CPU, Context: 1000}))
		read(t, q, walk(128, 64), 128)
		dst := export(t, q, 0, 128)
		if n := testing.AllocsPerRun(20, func() {
			var err error
			if dst, err = q.Export(t.Context(), 64, 128, dst[:0]); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
	}
}

func TestLayoutFingerprintsTellSessionsApart(t *testing.T) {
	open := func(name string, o Options) string {
		o.Provider = CPU
		return openModel(t, name, o).LayoutFingerprint()
	}
	first := open("gqa", Options{})
	if len(first) != 64 {
		t.Fatalf("%q", first)
	}
	if again := open("gqa", Options{Context: 100, Threads: 2}); again != first {
		t.Error("another context, or the number of threads, makes another fingerprint")
	}
	seen := map[string]string{first: "gqa"}
	for what, f := range map[string]string{
		"exact":      open("gqa", Options{ExactShapes: true}),
		"plain":      open("plain", Options{}),
		"plain-fp16": open("plain-fp16", Options{}),
		"transposed": openLayout(t, "transposed", Options{}).LayoutFingerprint(),
		"lengths":    openLayout(t, "lengths", Options{}).LayoutFingerprint(),
	} {
		if other, taken := seen[f]; taken {
			t.Errorf("%s and %s have one fingerprint", what, other)
		}
		seen[f] = what
	}
}

// Weights that differ in one number make other bytes, and another fingerprint, though
// name, size and shapes are the same.
func TestLayoutFingerprintsTellWeightsApart(t *testing.T) {
	data, err := os.ReadFile(model("gqa").Path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	write := func() {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	first := openSource(t, Source{Path: path}, Options{Provider: CPU, Context: 128}).LayoutFingerprint()
	for at := len(data) / 2; at < len(data); at++ {
		data[at] ^= 1
		write()
		s, err := OpenSession(testEnv, Source{Path: path}, Options{Provider: CPU, Context: 128})
		data[at] ^= 1
		if err != nil {
			continue // it was no weight
		}
		if s.LayoutFingerprint() == first {
			t.Error("a changed weight does not show")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no byte can be changed")
}

// TestBlocksMoveBesideRuns has texts read, leave, come back and go on all at once.
func TestBlocksMoveBesideRuns(t *testing.T) {
	for _, name := range []string{"long", "long-gqa"} {
		for _, pretend := range []bool{false, true} {
			s := openModel(t, name, Options{Provider: CPU, Context: 1000, pretend: pretend})
			s.pool.smallest = 16
			want := read(t, openSequence(t, s), walk(40, 64), 20, 1)
			var group sync.WaitGroup
			for range 6 {
				group.Go(func() {
					if err := goBackAndForth(t.Context(), s, walk(40, 64), want[39]); err != nil {
						t.Errorf("%s, device %v: %v", name, pretend, err)
					}
				})
			}
			group.Wait()
			if err := s.Check(); err != nil {
				t.Error(err)
			}
		}
	}
}

// goBackAndForth reads a text in two sequences, of which the second gets what the first
// has read.
func goBackAndForth(ctx context.Context, s *Session, text []eft.Token, want []float32) error {
	for range 5 {
		one, err := s.Open(ctx)
		if err != nil {
			return err
		}
		defer one.Close()
		if _, err := one.Extend(ctx, text[:20], 1); err != nil {
			return err
		}
		block, err := one.Export(ctx, 0, 20, nil)
		if err != nil {
			return err
		}
		other, err := s.Open(ctx)
		if err != nil {
			return err
		}
		defer other.Close()
		if err := other.ImportAll(ctx, 20, block); err != nil {
			return err
		}
		for i := 20; i < len(text); i++ {
			rows, err := other.Extend(ctx, text[i:i+1], 1)
			if err != nil {
				return err
			}
			if i == len(text)-1 && !same(rows[0].Scores, want) {
				return errors.New("the last row is another")
			}
		}
	}
	return nil
}

// BenchmarkExport takes blocks out of the cache of a model whose tokens take 44 KiB, as
// those of one with a billion parameters do, and compares with copying the same bytes.
func BenchmarkExport(b *testing.B) {
	const tokens = 64
	for _, layout := range []synthetic.Layout{synthetic.Grouped, synthetic.Grown} {
		shape := synthetic.Shape{Layout: layout, Vocabulary: 64, Width: 256, Layers: 22, Heads: 4, KeyHeads: 4, Hidden: 16, Context: 2048, Seed: 1}
		folder := b.TempDir()
		if err := shape.Write(folder); err != nil {
			b.Fatal(err)
		}
		q := openSequence(b, openSource(b, Source{Path: filepath.Join(folder, synthetic.File)}, Options{Provider: CPU, Context: 2048}))
		if _, err := q.Extend(b.Context(), walk(1024, 64), 1); err != nil {
			b.Fatal(err)
		}
		dst, from := export(b, q, 0, tokens), 0
		for _, way := range []struct {
			name string
			do   func() error
		}{
			{"export", func() (err error) { dst, err = q.Export(b.Context(), from, from+tokens, dst[:0]); return err }},
			{"import", func() error { return errors.Join(q.Truncate(512), q.Import(b.Context(), tokens, dst)) }},
		} {
			b.Run(string(layout)+"/"+way.name, func(b *testing.B) {
				b.SetBytes(int64(len(dst)))
				b.ReportAllocs()
				for b.Loop() {
					if err := way.do(); err != nil {
						b.Fatal(err)
					}
					if from += tokens; from >= 512 {
						from = 0
					}
				}
			})
		}
		all := bytes.Repeat(dst, 8) // as much memory as is exported from
		b.Run(string(layout)+"/copy", func(b *testing.B) {
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				copy(dst, all[from/tokens*len(dst):])
				if from += tokens; from >= 512 {
					from = 0
				}
			}
		})
	}
}
