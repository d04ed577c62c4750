// The pairs' rows along a text, as far as it is known or guessed. Invariants:
//
//   - text is what was committed and, behind it, what is guessed;
//   - slots[i] has all pairs' rows behind the committed tokens and i guessed ones, so
//     there is at most one slot more than there are guesses;
//   - the slots since borrowed lie in the sequences' memory, where the next call
//     overwrites them: they are copied before it.

package decode

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/graft-gateway/graft/eft"
)

type ahead struct {
	pairs     []PairSequence // nil where the pair has no weight
	active    int            // of pairs
	text      []eft.Token
	committed int // leading tokens of text

	slots    []*slot
	free     []*slot
	borrowed int

	steps    int
	stepping time.Duration
}

// slot is one position's rows, of every pair.
type slot struct {
	rows   []eft.PairRows // in the order of the pairs, zero for one without weight
	scores []float32      // what the rows lie in once they are copied
	held   bool           // somebody outside needs the rows
}

func newAhead(pairs int) ahead { return ahead{pairs: make([]PairSequence, pairs)} }

// generated are the committed tokens.
func (a *ahead) generated() []eft.Token { return a.text[:a.committed:a.committed] }

// guesses are the tokens behind them.
func (a *ahead) guesses() []eft.Token { return a.text[a.committed:len(a.text):len(a.text)] }

// reach has the pairs read on until there is a slot behind i guesses. All slots that
// are missing come from one call, a path of it.
func (a *ahead) reach(ctx context.Context, i int) error {
	if len(a.slots) > i {
		return nil
	}
	a.keep()
	first := len(a.slots)
	for len(a.slots) <= i {
		a.slots = append(a.slots, a.take())
	}
	if a.active == 0 {
		return nil
	}
	began := time.Now()
	if err := a.read(ctx, first, i); err != nil {
		for len(a.slots) > first {
			a.drop()
		}
		return err
	}
	a.steps++
	a.stepping += time.Since(began)
	return nil
}

// read fills slots first … last, all pairs side by side. It returns when all have
// answered; the first failure cancels the others.
func (a *ahead) read(ctx context.Context, first, last int) error {
	if a.active == 1 {
		return a.readOne(ctx, slices.IndexFunc(a.pairs, func(s PairSequence) bool { return s != nil }), first, last)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var pending sync.WaitGroup
	for p := range a.pairs {
		if a.pairs[p] == nil {
			continue
		}
		pending.Go(func() {
			if err := a.readOne(ctx, p, first, last); err != nil {
				cancel(err)
			}
		})
	}
	pending.Wait()
	return context.Cause(ctx)
}

// readOne fills one pair's part of the slots. A panic is an error: above a goroutine
// nobody could catch it, and the base may be at work on another.
func (a *ahead) readOne(ctx context.Context, p, first, last int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("pair %d: panic: %v\n%s", p, v, debug.Stack())
		}
	}()
	from, to := a.committed+first, a.committed+last
	rows, err := a.pairs[p].Rows(ctx, a.text[:from:from], a.text[from:to:to])
	if err != nil {
		return fmt.Errorf("pair %d: %w", p, err)
	}
	if len(rows) != last-first+1 {
		return fmt.Errorf("pair %d: wrong number of rows: %d for a path of %d", p, len(rows), last-first)
	}
	for i, r := range rows {
		a.slots[first+i].rows[p] = r
	}
	return nil
}

// commit takes one token into the text, and lets go of the slot that it was chosen from.
// It says whether that was the first guess: what was read behind it stays then, and is
// of no use otherwise.
func (a *ahead) commit(token eft.Token) bool {
	agreed := len(a.text) > a.committed && a.text[a.committed] == token
	used := len(a.slots)
	if agreed {
		used = min(1, used)
	} else {
		a.text = append(a.text[:a.committed], token)
	}
	a.committed++
	for _, s := range a.slots[:used] {
		a.give(s)
	}
	a.slots = slices.Delete(a.slots, 0, used)
	a.borrowed = max(a.borrowed-used, 0)
	return agreed
}

// forget drops all guesses.
func (a *ahead) forget() {
	a.text = a.text[:a.committed]
	for len(a.slots) > 1 {
		a.drop()
	}
	a.borrowed = min(a.borrowed, len(a.slots))
}

// hold keeps the rows of the first slot until release.
func (a *ahead) hold() *slot {
	s := a.slots[0]
	if a.borrowed == 0 {
		s.keep()
		a.borrowed = 1
	}
	s.held = true
	return s
}

// release ends hold, behind commit.
func (a *ahead) release(s *slot) {
	s.held = false
	a.free = append(a.free, s)
}

// give makes a slot free that nobody holds.
func (a *ahead) give(s *slot) {
	if !s.held {
		a.free = append(a.free, s)
	}
}

// keep copies what the next call would overwrite.
func (a *ahead) keep() {
	for _, s := range a.slots[min(a.borrowed, len(a.slots)):] {
		s.keep()
	}
	a.borrowed = len(a.slots)
}

func (s *slot) keep() {
	s.scores = s.scores[:0]
	size := 0
	for _, r := range s.rows {
		size += len(r.Tuned.Scores) + len(r.Untuned.Scores)
	}
	s.scores = slices.Grow(s.scores, size)
	own := func(r *eft.Row) {
		if !r.Dense() {
			return // small models score the whole vocabulary; the mix says so if one does not
		}
		from := len(s.scores)
		s.scores = append(s.scores, r.Scores...)
		r.Scores = s.scores[from:len(s.scores):len(s.scores)]
	}
	for p := range s.rows {
		own(&s.rows[p].Tuned)
		own(&s.rows[p].Untuned)
	}
}

// take returns an empty slot.
func (a *ahead) take() *slot {
	if n := len(a.free); n > 0 {
		s := a.free[n-1]
		a.free = a.free[:n-1]
		clear(s.rows)
		return s
	}
	return &slot{rows: make([]eft.PairRows, len(a.pairs))}
}

// drop gives the last slot back.
func (a *ahead) drop() {
	a.give(a.slots[len(a.slots)-1])
	a.slots = a.slots[:len(a.slots)-1]
}

func (a *ahead) close() {
	for _, pair := range a.pairs {
		if pair != nil {
			pair.Close()
		}
	}
}
