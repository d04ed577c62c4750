package onnx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx/synthetic"
)

// deed is something that was done with a text, and the rows that came of it.
type deed struct {
	open   bool        // a new text; what is below comes after
	cut    int         // the length before the tokens
	tokens []eft.Token // read behind it
	rows   [][]float32 // of the last tokens
}

// live reads, guesses, cuts, cancels, moves out and opens again at random, and notes what stays.
func live(t *testing.T, s *Session, random *rand.Rand, most int) (deeds []deed) {
	q, err := s.Open(t.Context())
	if err != nil {
		t.Error(err)
		return nil
	}
	defer func() { q.Close() }()
	words := func(n int) []eft.Token {
		tokens := make([]eft.Token, n)
		for i := range tokens {
			tokens[i] = eft.Token(random.IntN(s.Vocabulary()))
		}
		return tokens
	}
	for range 40 {
		d := deed{cut: q.Len()}
		n := 1
		switch kind := random.IntN(20); {
		case kind < 2:
			n = 20 + random.IntN(most/3) // a prompt
		case kind < 5:
			n = 2 + random.IntN(7) // a path
		case kind < 6:
			d.cut = random.IntN(q.Len() + 1)
		case kind == 6:
			d.open, d.cut = true, 0
			q.Close()
			if q, err = s.Open(t.Context()); err != nil {
				t.Error(err)
				return deeds
			}
		case kind == 7:
			if q, err = q.moveOut(t.Context(), words(random.IntN(most/2)), random); err != nil {
				t.Error(err)
				return deeds
			}
		case kind < 12:
			if err := q.abandon(t.Context(), words(1+random.IntN(2)*random.IntN(40)), most); err != nil {
				t.Error(err)
				return deeds
			}
		}
		if d.cut+n > most {
			d.cut = random.IntN(most / 2)
		}
		if err := q.Truncate(d.cut); err != nil {
			t.Error(err)
			return deeds
		}
		d.tokens = words(n)
		rows, err := q.Extend(t.Context(), d.tokens, 1+random.IntN(n))
		if err != nil {
			t.Error(err)
			return deeds
		}
		d.rows = scores(rows)
		deeds = append(deeds, d)
	}
	return deeds
}

// abandon reads tokens with a context that ends at some time, and takes them back.
func (q *Sequence) abandon(ctx context.Context, tokens []eft.Token, most int) error {
	length := q.Len()
	if length+len(tokens) > most {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	go cancel()
	if _, err := q.Extend(ctx, tokens, 1); err != nil {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	return q.Truncate(length)
}

// moveOut takes all keys and values to another sequence, which has read and dropped
// rubbish, in pieces of some size, and closes this one. The first attempt may be cancelled.
func (q *Sequence) moveOut(ctx context.Context, rubbish []eft.Token, random *rand.Rand) (*Sequence, error) {
	to, err := q.session.Open(ctx)
	if err != nil {
		return q, err
	}
	if _, err := to.Extend(ctx, rubbish, 0); err != nil {
		return to, err
	}
	if err := to.Truncate(0); err != nil {
		return to, err
	}
	n, size := q.Len(), 1+random.IntN(20)
	var pieces [][]byte
	for at := 0; at < n; at += size {
		piece, err := q.Export(ctx, at, min(at+size, n), nil)
		if err != nil {
			return to, err
		}
		pieces = append(pieces, piece)
	}
	short, cancel := context.WithCancel(ctx)
	go cancel()
	if err := to.ImportAll(short, n, pieces...); err != nil {
		if !errors.Is(err, context.Canceled) {
			return to, err
		}
		if err := to.ImportAll(ctx, n, pieces...); err != nil {
			return to, err
		}
	}
	return to, q.Close()
}

// repeat does the same alone, and compares every row to the bit.
func repeat(t *testing.T, s *Session, deeds []deed) {
	q := openSequence(t, s)
	for i, d := range deeds {
		if d.open {
			q = openSequence(t, s)
		}
		if err := q.Truncate(d.cut); err != nil {
			t.Fatal(err)
		}
		rows, err := q.Extend(t.Context(), d.tokens, len(d.rows))
		if err != nil {
			t.Fatal(err)
		}
		for k := range rows {
			if !same(rows[k].Scores, d.rows[k]) {
				t.Fatalf("deed %d, %d tokens after %d: row %d is another than alone", i, len(d.tokens), d.cut, k)
			}
		}
	}
}

// TestAnyScheduleGivesTheRowsOfTextsAlone lets texts step, read, cut, cancel, move and
// close as chance has it, all at once, and then each by itself.
func TestAnyScheduleGivesTheRowsOfTextsAlone(t *testing.T) {
	const texts = 24
	folder := func(layout synthetic.Layout) Source {
		shape := synthetic.Shape{Layout: layout, Vocabulary: 300, Width: 128, Layers: 2, Heads: 2, KeyHeads: 1, Hidden: 200, Context: 600, Seed: 1}
		dir := t.TempDir()
		if err := shape.Write(dir); err != nil {
			t.Fatal(err)
		}
		return Source{Path: filepath.Join(dir, synthetic.File)}
	}
	for _, c := range []struct {
		name     string
		src      Source
		smallest int
		most     int // tokens of a text
	}{
		{"gqa", model("gqa"), 4, 120}, {"plain", model("plain"), 4, 120},
		{"long-gqa", model("long-gqa"), 16, 500}, {"long", model("long"), 256, 500}, {"keep", model("keep"), 64, 120},
		{"wide-gqa", folder(synthetic.Grouped), 64, 500}, {"wide", folder(synthetic.Grown), 64, 500},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s/seed=%d", c.name, seed), func(t *testing.T) {
				before := testEnv.Counts()
				o := Options{Provider: CPU, Chunk: 32, Context: c.most + 8}
				s := openSource(t, c.src, o)
				if !s.together {
					t.Fatal("its steps run alone")
				}
				s.pool.smallest = c.smallest
				deeds := make([][]deed, texts)
				var all sync.WaitGroup
				for i := range deeds {
					all.Go(func() { deeds[i] = live(t, s, rand.New(rand.NewPCG(seed, uint64(i))), c.most) })
				}
				all.Wait()
				if err := s.Check(); err != nil {
					t.Error(err)
				}
				if tally := s.Tally(); tally.Waiting != 0 || tally.StepRuns >= tally.Steps {
					t.Errorf("%+v", tally)
				}
				if now := testEnv.Counts(); now.Leased != before.Leased {
					t.Errorf("%d caches are leased, %d were before", now.Leased, before.Leased)
				}
				alone := openSource(t, c.src, o)
				for i := range deeds {
					repeat(t, alone, deeds[i])
				}
			})
		}
	}
}

// TestAFailedRunHarmsOnlyTheGuilty runs steps together, one of them at a position that
// the graph has no table for.
func TestAFailedRunHarmsOnlyTheGuilty(t *testing.T) {
	for _, name := range []string{"gqa", "plain"} {
		s := openModel(t, name, Options{Provider: CPU, Context: 200})
		var texts []*Sequence
		var want [][]float32
		for _, n := range []int{100, 128, 110, 70} {
			q := openSequence(t, s)
			read(t, q, walk(n, 64), n)
			if n < 128 {
				want = append(want, read(t, q, []eft.Token{7}, 1)...)
				if err := q.Truncate(n); err != nil {
					t.Fatal(err)
				}
			} else {
				want = append(want, nil)
			}
			texts = append(texts, q)
		}
		leave := occupy(t, s.loop)
		failed := make([]error, len(texts))
		rows := make([][]float32, len(texts))
		var all sync.WaitGroup
		for i, q := range texts {
			all.Go(func() {
				got, err := q.Extend(t.Context(), []eft.Token{7}, 1)
				if failed[i] = err; err == nil {
					rows[i] = scores(got)[0]
				}
			})
		}
		until(s.loop, func() bool { return s.loop.waiting() == len(texts) })
		leave()
		all.Wait()
		for i := range texts {
			if guilty := want[i] == nil; guilty != (failed[i] != nil) || !guilty && !same(rows[i], want[i]) {
				t.Errorf("%s: text %d: %v", name, i, failed[i])
			}
		}
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestLongPromptsHoldUpNobody reads two long prompts while one text steps, and other
// work of one piece comes.
func TestLongPromptsHoldUpNobody(t *testing.T) {
	const chunk = 64
	s := openModel(t, "long-gqa", Options{Provider: CPU, Context: 4096, Chunk: chunk})
	step := openSequence(t, s)
	read(t, step, walk(10, 64), 10)
	leave := occupy(t, s.loop)
	before := s.Tally()
	var long, rest sync.WaitGroup
	for range 2 {
		q := openSequence(t, s)
		long.Go(func() {
			if _, err := q.Extend(t.Context(), walk(2000, 64), 1); err != nil {
				t.Error(err)
			}
		})
	}
	until(s.loop, func() bool { return s.loop.waiting() == 2 })
	short := newJob(func() (bool, error) {
		// Each of the long ones came before it, and has had one piece.
		if n := s.Tally().PromptTokens - before.PromptTokens; n > 2*(chunk+1) {
			t.Errorf("work of one piece waited for %d tokens of long prompts", n)
		}
		return false, nil
	})
	short.ctx = t.Context()
	rest.Go(func() {
		if err := s.loop.do(&short); err != nil {
			t.Error(err)
		}
	})
	until(s.loop, func() bool { return s.loop.waiting() == 3 })
	done := make(chan struct{})
	var steps int64
	rest.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := step.Extend(t.Context(), []eft.Token{eft.Token(steps % 64)}, 1); err != nil {
				t.Error(err)
				return
			}
			steps++
		}
	})
	until(s.loop, func() bool { return s.loop.waiting() == 4 })
	leave()
	long.Wait()
	close(done)
	rest.Wait()
	if pieces := s.Tally().PromptRuns - before.PromptRuns; steps < pieces/4 {
		t.Errorf("%d steps beside %d pieces of prompts", steps, pieces)
	}
}

// TestCachesGiveWayWhenTextsEnd opens many texts, ends most, and lets the others step.
func TestCachesGiveWayWhenTextsEnd(t *testing.T) {
	s := openModel(t, "gqa", Options{Provider: CPU})
	var texts []*Sequence
	for i := range 40 {
		q := openSequence(t, s)
		read(t, q, walk(10+i, 64), 10+i)
		texts = append(texts, q)
	}
	wide := testEnv.Counts().Bytes
	for _, q := range texts[3:] {
		q.Close()
	}
	for _, q := range texts[:3] {
		want := read(t, q, []eft.Token{9}, 1)
		if err := q.Truncate(q.Len() - 1); err != nil {
			t.Fatal(err)
		}
		if got := read(t, q, []eft.Token{9}, 1); !same(got[0], want[0]) {
			t.Error("a text that was moved goes on otherwise")
		}
	}
	if now := testEnv.Counts().Bytes; now >= wide {
		t.Errorf("%d bytes for 3 texts, %d for 40", now, wide)
	}
	for _, q := range texts {
		if q.seat != nil && q.seat.cache.batch > 8 {
			t.Errorf("3 texts are in a cache of %d rows", q.seat.cache.batch)
		}
	}
}

func TestPacesFollowWhatRunsTake(t *testing.T) {
	var p pace
	if got := p.allowance(256, true); got != 256 {
		t.Errorf("%d tokens before anything is known, want all", got)
	}
	for range 100 {
		p.stepped(1, 1000)
		p.stepped(9, 2000)
		p.read(64, 64*100)
		p.read(2, 1e9) // says nothing
	}
	// Four runs of 2 µs are worth 80 tokens at 100 ns; a row more costs 125 ns of 875.
	if got := p.allowance(256, true); got != 80 {
		t.Errorf("%d tokens beside steps, want 80", got)
	}
	if got := p.gap(); got != 7 {
		t.Errorf("a gap of %d, want 7", got)
	}
	if a, b := p.allowance(256, false), p.allowance(256, false); a != 80 || b != 256 {
		t.Errorf("%d, then %d tokens after the last steps, want 80, then 256", a, b)
	}
	p.fixed = true
	if got := p.allowance(256, true); got != 256 {
		t.Errorf("%d tokens where prompts are cut in one way, want 256", got)
	}
}
