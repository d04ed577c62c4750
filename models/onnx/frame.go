package onnx

import (
	"unsafe"

	"github.com/graft-gateway/graft/eft"
)

// frame is the scratch memory of a run of up to batch rows of up to width new
// tokens: what goes in besides the cache, and the logits. It belongs to whoever
// runs the session.
type frame struct {
	layout    *layout
	batch     int
	width     int
	ids       memory
	mask      memory
	positions memory
	keep      memory
	logits    memory
	tensors   []tensor
	logit     int // index of logits in tensors
}

// newFrame allocates the scratch memory for a session with this context.
func (s *Session) newFrame(batch, width int) (*frame, error) {
	l := s.layout
	f := &frame{layout: l, batch: batch, width: width}
	add := func(m *memory, p *Port, elements int, output bool) error {
		if p == nil {
			return nil
		}
		var err error
		if *m, err = s.native.alloc(elements*p.Type.Size(), false); err != nil {
			return err
		}
		var t tensor
		describe(&t, s.nameOf(p.Name), p.Type, output)
		f.tensors = append(f.tensors, t)
		return nil
	}
	err := add(&f.ids, &l.ids, batch*width, false)
	if err == nil {
		err = add(&f.mask, l.mask, batch*(s.options.Context+width), false)
	}
	if err == nil {
		err = add(&f.positions, l.positions, batch*width, false)
	}
	if err == nil {
		err = add(&f.keep, l.keep, 1, false)
	}
	if err == nil {
		f.logit = len(f.tensors)
		err = add(&f.logits, &l.logits, batch*width*l.vocab, true)
	}
	if err != nil {
		f.free()
		return nil, err
	}
	if l.mask != nil && batch == 1 {
		// One row has a token everywhere up to its end: any prefix of ones will do.
		fill(&f.mask, l.mask.Type, 0, f.mask.size/l.mask.Type.Size(), 1)
	}
	return f, nil
}

// free gives the memory back; it is idempotent.
func (f *frame) free() {
	for _, m := range []*memory{&f.ids, &f.mask, &f.positions, &f.keep, &f.logits} {
		m.free()
	}
}

// set puts the tokens of a run in place: len(past) rows of equal width, row i
// beginning after past[i] tokens. rows is how many rows of logits are wanted
// from the end of each; the number that the graph gives is returned.
func (f *frame) set(past []int, tokens []eft.Token, rows int) int {
	l, batch := f.layout, len(past)
	width, longest := len(tokens)/batch, 0
	for _, n := range past {
		longest = max(longest, n)
	}
	for i, id := range tokens {
		put(&f.ids, l.ids.Type, i, int64(id))
	}
	if l.positions != nil {
		for i := range tokens {
			put(&f.positions, l.positions.Type, i, int64(past[i/width]+i%width))
		}
	}
	total := longest + width
	if l.mask != nil && f.batch > 1 {
		for i, n := range past {
			fill(&f.mask, l.mask.Type, i*total, n+width, 1)
			fill(&f.mask, l.mask.Type, i*total+n+width, longest-n, 0)
		}
	}
	given := width
	if l.keep != nil {
		given = max(1, rows)
		put(&f.keep, l.keep.Type, 0, int64(given))
	}
	f.shape(batch, width, total, given)
	return given
}

// shape describes the memory in the order in which newFrame made it.
func (f *frame) shape(batch, width, total, given int) {
	l, t := f.layout, f.tensors
	place(&t[0], l.ids.Type, &f.ids, 0, batch, width)
	i := 1
	if l.mask != nil {
		place(&t[i], l.mask.Type, &f.mask, 0, batch, total)
		i++
	}
	if l.positions != nil {
		place(&t[i], l.positions.Type, &f.positions, 0, batch, width)
		i++
	}
	if l.keep != nil {
		if len(l.keep.Dims) == 0 {
			place(&t[i], l.keep.Type, &f.keep, 0)
		} else {
			place(&t[i], l.keep.Type, &f.keep, 0, 1)
		}
	}
	place(&t[f.logit], l.logits.Type, &f.logits, 0, batch, given, l.vocab)
}

// read copies row i of the logits, counted over all rows given, to dst.
func (f *frame) read(dst []float32, i int) {
	at := f.logits.at(i * f.layout.vocab * f.layout.logits.Type.Size())
	if f.layout.logits.Type == Float16 {
		widen(dst, unsafe.Slice((*uint16)(at), f.layout.vocab))
		return
	}
	copy(dst, unsafe.Slice((*float32)(at), f.layout.vocab))
}

// put writes element i of an integer tensor.
func put(m *memory, kind ElementType, i int, v int64) {
	if kind == Int32 {
		*(*int32)(m.at(4 * i)) = int32(v)
		return
	}
	*(*int64)(m.at(8 * i)) = v
}

// fill writes n elements of an integer tensor from element i on.
func fill(m *memory, kind ElementType, i, n int, v int64) {
	for j := i; j < i+n; j++ {
		put(m, kind, j, v)
	}
}
