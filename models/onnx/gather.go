package onnx

// Graphs of plain operators make present from past and new tokens, so past must be one
// tensor [batch, …, tokens, …] in which all rows have the same number of tokens. Rows of
// different length are therefore gathered into one before a run, and what is new in them
// is put back behind each row's own:
//
//	row 0:  a a a a a a a · ·│N      past: held tokens a row, holes (·) are masked
//	row 1:  b b b · · · · · ·│N      N: the new token, which present has behind the past
//
// Invariants:
//   - Holes hold zeros: a masked value is multiplied by zero, and what is no number
//     would come through.
//   - A row's tokens stand at their own places and held is a multiple of holeStep, so
//     that kernels sum a row in the same order whatever the others' lengths are. That
//     this holds is tried when the graph is opened, for the kernels decide it.
//   - Runs of several tokens have one row and no holes.

import (
	"errors"
	"unsafe"

	"github.com/graft-gateway/graft/eft"
)

// holeStep is what the tokens of gathered pasts are rounded up to: as many as the widest
// vectors have numbers.
const holeStep = 16

func roundUp(tokens int) int { return (tokens + holeStep - 1) / holeStep * holeStep }

// gatherBytes bounds the pasts of one run of several rows.
const gatherBytes = 256 << 20

// gathering is the scratch memory of gathered runs.
type gathering struct {
	past, present memory
	binding       binding
	tensors       []tensor
}

func (g *gathering) bytes() int { return g.past.size + g.present.size }

// free gives the memory back; it is idempotent, and g can be used again.
func (g *gathering) free() {
	g.past.free()
	g.present.free()
	g.binding.free()
	*g = gathering{}
}

// reserve makes room for so many tokens of past and present.
func (g *gathering) reserve(s *Session, past, present int) (err error) {
	if g.tensors == nil {
		g.tensors = s.cacheTensors()
		if g.binding, err = s.native.newBinding(); err != nil {
			return err
		}
	}
	for _, side := range []struct {
		m      *memory
		tokens int
	}{{&g.past, past}, {&g.present, present}} {
		// Every slot begins on a cache line.
		need := side.tokens*s.TokenBytes() + 64*len(s.layout.slots)
		if side.m.data != nil && side.m.size >= need {
			continue
		}
		side.m.free()
		if *side.m, err = s.native.alloc(need+need/4, s.onDevice()); err != nil {
			*side.m = memory{}
			return err
		}
	}
	return nil
}

// runGathered computes len(past) rows, each with a seat of its own, over a past that is
// laid out for held tokens a row.
func (s *Session) runGathered(f *frame, seats []*seat, past []int, held int, tokens []eft.Token, rows int) (given int, err error) {
	g, l := &s.pool.scratch, s.layout
	batch, width := len(past), len(tokens)/len(past)
	if err := g.reserve(s, batch*held, batch*(held+width)); err != nil {
		return 0, err
	}
	from, to := 0, 0
	for i := range l.slots {
		placeSlot(&g.tensors[2*i], l, i, &g.past, from, batch, held)
		placeSlot(&g.tensors[2*i+1], l, i, &g.present, to, batch, held+width)
		size := l.slots[i].size() * l.kv.Size()
		for r, seat := range seats {
			if err := s.gatherRow(i, g.past.at(from+r*held*size), seat, past[r], held); err != nil {
				return 0, errors.Join(err, s.native.settle())
			}
		}
		from += (batch*held*size + 63) / 64 * 64
		to += (batch*(held+width)*size + 63) / 64 * 64
	}
	given = f.set(past, held, tokens, rows)
	if err := s.native.settle(); err != nil {
		return 0, err
	}
	if err := g.binding.bind(f.tensors); err != nil {
		return 0, err
	}
	if err := g.binding.bind(g.tensors); err != nil {
		return 0, err
	}
	if err := s.start(g.binding); err != nil {
		return 0, err
	}
	return given, s.putBack(seats, past, held, width)
}

// putBack copies what a run has added to every row behind the row's own past.
func (s *Session) putBack(seats []*seat, past []int, held, width int) error {
	g, l, batch := &s.pool.scratch, s.layout, len(past)
	to := 0
	for i := range l.slots {
		size := l.slots[i].size() * l.kv.Size()
		token := l.slots[i].token() * l.kv.Size()
		for r, seat := range seats {
			c := seat.cache
			err := s.native.shift(unsafe.Add(c.at(0, i, seat.row), past[r]*token), c.capacity*token,
				g.present.at(to+r*(held+width)*size+held*token), (held+width)*token, width*token, l.slots[i].rows())
			if err != nil {
				return errors.Join(err, s.native.settle())
			}
		}
		to += (batch*(held+width)*size + 63) / 64 * 64
	}
	return s.native.settle()
}

// gatherRow copies the past of one row of a slot, and clears the holes behind it.
func (s *Session) gatherRow(slot int, dst unsafe.Pointer, seat *seat, past, held int) error {
	l := &s.layout.slots[slot]
	token := l.token() * s.layout.kv.Size()
	src, pitch := seat.cache.at(0, slot, seat.row), seat.cache.capacity*token
	err := s.native.shift(dst, held*token, src, pitch, past*token, l.rows())
	if err == nil && held > past {
		err = s.native.blank(unsafe.Add(dst, past*token), held*token, (held-past)*token, l.rows())
	}
	return err
}
