package onnx

// Invariants:
//   - A cache is owned by its session's pool, which makes, moves and frees it; only
//     whoever leads the session's loop runs on it or moves a row.
//   - Row r of tensor i begins at offsets[i] + r·(bytes of a row). A spaced cache lays
//     a row's tokens out with room for capacity, a dense one (which has one row and two
//     regions) without gaps.
//   - What lies at or beyond a seat's used tokens is rubbish and is never read; a run
//     over neighbours may write the one token behind them.

import (
	"fmt"
	"unsafe"
)

// cache is memory for the keys and values of batch texts of up to capacity tokens.
type cache struct {
	layout   *layout
	batch    int
	capacity int
	spaced   bool
	regions  []memory // one, or two (dense)
	current  int      // the region that holds the past
	offsets  []int
	seats    []*seat // whose each row is; nil: nobody's
	live     int     // seats taken

	tensors  []tensor         // past and present of every slot
	bindings map[span]binding // of runs of rows that were run together
	wanted   []*job           // scratch of whoever puts a run together: by row
}

// span is a stretch of a cache's rows: [first, first+rows).
type span struct{ first, rows int }

// seat is where a sequence's keys and values are. The pool may move it while no run
// is under way.
type seat struct {
	cache *cache
	row   int
	used  int // tokens laid down; ≥ the sequence's length
}

// mostBindings bounds what a cache keeps for stretches that come again.
const mostBindings = 64

// newCache allocates a cache.
func (s *Session) newCache(batch, capacity int) (*cache, error) {
	c := &cache{
		layout: s.layout, batch: batch, capacity: capacity, spaced: s.manner != dense,
		seats: make([]*seat, batch), wanted: make([]*job, batch), bindings: make(map[span]binding),
	}
	size := 0
	for i := range s.layout.slots {
		c.offsets = append(c.offsets, size)
		// Vectors are read from the start of a tensor: keep it on a cache line.
		size += (batch*c.rowBytes(i) + 63) / 64 * 64
	}
	regions := 1
	if !c.spaced {
		regions = 2
	}
	for range regions {
		m, err := s.native.alloc(size, s.onDevice())
		if err != nil {
			c.free()
			return nil, fmt.Errorf("memory for %d times %d tokens of cache (%d bytes): %w", batch, capacity, size, err)
		}
		c.regions = append(c.regions, m)
	}
	c.tensors = s.cacheTensors()
	return c, nil
}

// cacheTensors makes the tensors of every slot's past and present.
func (s *Session) cacheTensors() []tensor {
	tensors := make([]tensor, 2*len(s.layout.slots))
	for i := range s.layout.slots {
		describe(&tensors[2*i], s.names[2*i], s.layout.kv, false)
		describe(&tensors[2*i+1], s.names[2*i+1], s.layout.kv, true)
	}
	return tensors
}

// free gives the cache's memory back; it is idempotent.
func (c *cache) free() {
	c.unbind()
	for i := range c.regions {
		c.regions[i].free()
	}
}

// unbind frees the bindings that are kept.
func (c *cache) unbind() {
	for key, b := range c.bindings {
		b.free()
		delete(c.bindings, key)
	}
}

// rowBytes is the size of one row of a slot.
func (c *cache) rowBytes(slot int) int {
	return c.capacity * c.layout.slots[slot].size() * c.layout.kv.Size()
}

// at is where a row of a slot begins.
func (c *cache) at(region, slot, row int) unsafe.Pointer {
	return c.regions[region].at(c.offsets[slot] + row*c.rowBytes(slot))
}

// bind finds or makes the binding of a stretch of rows of a shared cache.
func (c *cache) bind(s *Session, rows span) (binding, error) {
	if b, ok := c.bindings[rows]; ok {
		return b, nil
	}
	if len(c.bindings) >= mostBindings {
		c.unbind()
	}
	b, err := s.native.newBinding()
	if err != nil {
		return binding{}, err
	}
	for i := range c.layout.slots {
		offset := c.offsets[i] + rows.first*c.rowBytes(i)
		placeSlot(&c.tensors[2*i], c.layout, i, &c.regions[0], offset, rows.rows, c.capacity)
		placeSlot(&c.tensors[2*i+1], c.layout, i, &c.regions[0], offset, rows.rows, c.capacity)
	}
	if err := b.bind(c.tensors); err != nil {
		b.free()
		return binding{}, err
	}
	c.bindings[rows] = b
	return b, nil
}

// bindDense binds the one row of a dense cache, shaped for so many tokens.
func (c *cache) bindDense(s *Session, past, present int) (binding, error) {
	b, ok := c.bindings[span{}]
	if !ok {
		var err error
		if b, err = s.native.newBinding(); err != nil {
			return binding{}, err
		}
		c.bindings[span{}] = b
	}
	from, to := &c.regions[c.current], &c.regions[c.next()]
	for i := range c.layout.slots {
		placeSlot(&c.tensors[2*i], c.layout, i, from, c.offsets[i], 1, past)
		placeSlot(&c.tensors[2*i+1], c.layout, i, to, c.offsets[i], 1, present)
	}
	return b, b.bind(c.tensors)
}

// placeSlot points a tensor at so many rows of so many tokens of a slot.
func placeSlot(t *tensor, l *layout, slot int, m *memory, offset, rows, tokens int) {
	var room [mostRank]int
	shape := room[:copy(room[:], l.slots[slot].dims)]
	shape[l.slots[slot].batch] = rows
	shape[l.slots[slot].tokens] = tokens
	place(t, l.kv, m, offset, shape...)
}

// next is the region that a run writes.
func (c *cache) next() int { return (c.current + 1) % len(c.regions) }

// stride is how many tokens apart the rows of a slot are laid out for a seat that holds
// so many.
func (c *cache) stride(held int) int {
	if c.spaced {
		return c.capacity
	}
	return held
}

// move copies the first keep of held tokens of one row to another row, which may be in
// another region of the same cache.
func (s *Session) move(dst *cache, region, row int, src *cache, from, held, keep int) error {
	for i := range s.layout.slots {
		slot := &s.layout.slots[i]
		token := slot.token() * s.layout.kv.Size()
		err := s.native.copyRows(s.onDevice(), dst.at(region, i, row), dst.stride(keep)*token,
			src.at(src.current, i, from), src.stride(held)*token, keep*token, slot.rows())
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cache) bytes() int {
	n := 0
	for i := range c.regions {
		n += c.regions[i].size
	}
	return n
}
