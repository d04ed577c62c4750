package onnx

import (
	"unsafe"

	"github.com/graft-gateway/graft/eft"
)

// frame is the scratch memory of a run of up to batch rows of up to width new
// tokens: what goes in besides the cache, and the logits. It belongs to whoever
// runs the session.
type frame struct {
	layout  *layout
	batch   int
	width   int
	plain   bool     // its mask is all ones: of one row without holes
	feeds   []memory // of each of layout.inputs
	logits  memory   // where keys and values are
	rows    memory   // logits that were fetched from a device; without one, nothing
	tensors []tensor // of each of layout.inputs, and logits
}

// newFrame allocates the scratch memory for a session with this context. A plain one is
// for one row whose past has no holes.
func (s *Session) newFrame(batch, width int, plain bool) (*frame, error) {
	l := s.layout
	f := &frame{layout: l, batch: batch, width: width, plain: plain}
	for _, in := range l.inputs {
		elements := 1
		switch in.role {
		case roleIDs, rolePositions:
			elements = batch * width
		case roleMask:
			elements = batch * (roundUp(s.options.Context) + width)
		case roleLast:
			elements = batch
		}
		m, err := s.native.staging(elements * in.port.Type.Size())
		if err != nil {
			f.free()
			return nil, err
		}
		f.feeds = append(f.feeds, m)
		if in.role == roleMask && plain {
			// One row has a token everywhere up to its end: any prefix of ones will do.
			fill(&m, in.port.Type, 0, elements, 1)
		}
		f.add(s, in.port, false)
	}
	rows := width
	if l.last {
		rows = 1
	}
	var err error
	size := batch * rows * l.vocab * l.logits.Type.Size()
	if f.logits, err = s.native.alloc(size, s.onDevice()); err == nil && s.onDevice() {
		f.rows, err = s.native.staging(size)
	}
	if err != nil {
		f.free()
		return nil, err
	}
	f.add(s, l.logits, true)
	return f, nil
}

// add makes the tensor of a port.
func (f *frame) add(s *Session, p Port, output bool) {
	var t tensor
	describe(&t, s.nameOf(p.Name), p.Type, output)
	f.tensors = append(f.tensors, t)
}

// free gives the memory back; it is idempotent.
func (f *frame) free() {
	for i := range f.feeds {
		f.feeds[i].free()
	}
	f.logits.free()
	f.rows.free()
}

// set puts the tokens of a run in place: len(past) rows of equal width, row i
// beginning after past[i] tokens. held is how many tokens the past is laid out for: the
// longest, or more where rows have holes behind their tokens. rows is how many rows of
// logits are wanted from the end of each; the number that the graph gives is returned.
func (f *frame) set(past []int, held int, tokens []eft.Token, rows int) int {
	l, batch := f.layout, len(past)
	width := len(tokens) / batch
	given := width
	for i := range l.inputs {
		kind, m, t := l.inputs[i].port.Type, &f.feeds[i], &f.tensors[i]
		rank := len(l.inputs[i].port.Dims)
		switch l.inputs[i].role {
		case roleIDs:
			for j, id := range tokens {
				put(m, kind, j, int64(id))
			}
			place(t, kind, m, 0, batch, width)
		case roleMask:
			f.mask(m, kind, past, width, held)
			place(t, kind, m, 0, batch, held+width)
		case rolePositions:
			f.positions(m, t, kind, rank, past, width)
		case roleLast:
			for j, n := range past {
				put(m, kind, j, int64(n+width-1))
			}
			place(t, kind, m, 0, batch)
		case roleKeep:
			given = max(1, rows)
			number(m, t, kind, rank, int64(given))
		case roleBranch:
			number(m, t, kind, rank, int64(min(held, 1)))
		case roleTotal:
			number(m, t, kind, rank, int64(held+width))
		case rolePast:
			number(m, t, kind, rank, int64(held))
		}
	}
	if l.last {
		given = 1
	}
	if logits := &f.tensors[len(l.inputs)]; len(l.logits.Dims) == 2 {
		place(logits, l.logits.Type, &f.logits, 0, batch, l.vocab)
	} else {
		place(logits, l.logits.Type, &f.logits, 0, batch, given, l.vocab)
	}
	return given
}

// mask writes where the rows of a batch have tokens. A shared cache has the new ones
// right behind a row's past; elsewhere they stand behind the longest, and holes between.
func (f *frame) mask(m *memory, kind ElementType, past []int, width, held int) {
	if f.plain {
		return
	}
	for i, n := range past {
		at := i * (held + width)
		if f.layout.strategy == Shared {
			fill(m, kind, at, n+width, 1)
			fill(m, kind, at+n+width, held-n, 0)
			continue
		}
		fill(m, kind, at, n, 1)
		fill(m, kind, at+n, held-n, 0)
		fill(m, kind, at+held, width, 1)
	}
}

// positions writes where in its row every token stands; without a dimension for
// the batch all rows stand alike.
func (f *frame) positions(m *memory, t *tensor, kind ElementType, rank int, past []int, width int) {
	if rank == 1 {
		past = past[:1]
	}
	for i, n := range past {
		for j := range width {
			put(m, kind, i*width+j, int64(n+j))
		}
	}
	if rank == 1 {
		place(t, kind, m, 0, width)
		return
	}
	place(t, kind, m, 0, len(past), width)
}

// number writes a single number, shaped [] or [1].
func number(m *memory, t *tensor, kind ElementType, rank int, v int64) {
	put(m, kind, 0, v)
	if rank == 0 {
		place(t, kind, m, 0)
		return
	}
	place(t, kind, m, 0, 1)
}

// fetch brings n rows of the logits from row i on to where read finds them; they have
// arrived after arrive. Without a device they are there already.
func (f *frame) fetch(i, n int) error {
	if n == 0 || !f.logits.onDevice() {
		return nil
	}
	row := f.layout.vocab * f.layout.logits.Type.Size()
	return f.logits.native.download(f.rows.at(i*row), row, f.logits.at(i*row), row, row, n)
}

// arrive waits for the rows that were fetched.
func (f *frame) arrive() error { return f.logits.native.settle() }

// read copies row i of the logits, counted over all rows given, to dst.
func (f *frame) read(dst []float32, i int) {
	from := &f.logits
	if from.onDevice() {
		from = &f.rows
	}
	at := from.at(i * f.layout.vocab * f.layout.logits.Type.Size())
	if f.layout.logits.Type == Float16 {
		widen(dst, unsafe.Slice((*uint16)(at), f.layout.vocab))
		return
	}
	copy(dst, unsafe.Slice((*float32)(at), f.layout.vocab))
}

// put writes element i of a tensor of whole numbers, or of a mask.
func put(m *memory, kind ElementType, i int, v int64) {
	switch kind {
	case Int32:
		*(*int32)(m.at(4 * i)) = int32(v)
	case Int64:
		*(*int64)(m.at(8 * i)) = v
	case Bool:
		*(*uint8)(m.at(i)) = uint8(v)
	case Float32:
		*(*float32)(m.at(4 * i)) = float32(v)
	case Float16:
		// A mask has no other numbers than 0 and 1.
		const one = 0x3c00
		*(*uint16)(m.at(2 * i)) = uint16(v) * one
	}
}

// fill writes n elements of a tensor from element i on. Masks of whole numbers, which
// nearly all are, take a long word at a time.
func fill(m *memory, kind ElementType, i, n int, v int64) {
	switch kind {
	case Int64:
		spread(unsafe.Slice((*int64)(m.at(8*i)), n), v)
	case Int32:
		spread(unsafe.Slice((*int32)(m.at(4*i)), n), int32(v))
	default:
		for j := i; j < i+n; j++ {
			put(m, kind, j, v)
		}
	}
}

func spread[T int32 | int64](dst []T, v T) {
	for i := range dst {
		dst[i] = v
	}
}
