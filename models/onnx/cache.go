package onnx

// Invariants:
//   - A cache is owned by its session's pool, which frees it, and leased to one
//     sequence at a time; only the session's goroutine runs on it.
//   - Tensor i of a region begins at offset i; a shared cache lays a row's
//     tokens out with room for capacity, a growing one without gaps.
//   - What lies beyond a sequence's length is rubbish and is never read.

import (
	"fmt"
	"sync"
)

// cache is memory for the keys and values of batch rows of up to capacity tokens.
type cache struct {
	batch    int
	capacity int
	regions  []memory // one (shared) or two (grow)
	current  int      // the region that holds the past
	offsets  []int
	binding  binding
	tensors  []tensor // past and present of every slot
}

// newCache allocates a cache. Shared buffers are bound here, once.
func (s *Session) newCache(batch, capacity int) (*cache, error) {
	c := &cache{batch: batch, capacity: capacity}
	size := 0
	for i := range s.layout.slots {
		c.offsets = append(c.offsets, size)
		bytes := batch * capacity * s.layout.slots[i].size() * s.layout.kv.Size()
		// Vectors are read from the start of a tensor: keep it on a cache line.
		size += (bytes + 63) / 64 * 64
	}
	regions := 1
	if s.layout.strategy == Grow {
		regions = 2
	}
	for range regions {
		m, err := s.native.alloc(size, s.onDevice())
		if err != nil {
			c.free()
			return nil, fmt.Errorf("memory for %d tokens of cache (%d bytes): %w", capacity, size, err)
		}
		c.regions = append(c.regions, m)
	}
	var err error
	if c.binding, err = s.native.newBinding(); err != nil {
		c.free()
		return nil, err
	}
	c.tensors = make([]tensor, 2*len(s.layout.slots))
	for i := range s.layout.slots {
		describe(&c.tensors[2*i], s.names[2*i], s.layout.kv, false)
		describe(&c.tensors[2*i+1], s.names[2*i+1], s.layout.kv, true)
	}
	if s.layout.strategy == Shared {
		if err := c.bind(s.layout, capacity, capacity); err != nil {
			c.free()
			return nil, err
		}
	}
	return c, nil
}

// free gives the cache's memory back; it is idempotent.
func (c *cache) free() {
	c.binding.free()
	for i := range c.regions {
		c.regions[i].free()
	}
}

// bind binds every slot's past and present, shaped for so many tokens.
func (c *cache) bind(l *layout, past, present int) error {
	from, to := &c.regions[c.current], &c.regions[c.next()]
	var room [mostRank]int
	for i := range l.slots {
		slot := &l.slots[i]
		shape := room[:copy(room[:], slot.dims)]
		shape[slot.batch] = c.batch
		shape[slot.tokens] = past
		place(&c.tensors[2*i], l.kv, from, c.offsets[i], shape...)
		shape[slot.tokens] = present
		place(&c.tensors[2*i+1], l.kv, to, c.offsets[i], shape...)
	}
	return c.binding.bind(c.tensors)
}

// next is the region that a run writes.
func (c *cache) next() int { return (c.current + 1) % len(c.regions) }

// move copies the first keep of held tokens of one row into dst, which may be
// another region of the same cache. Both sides are laid out as their strategy wants.
func (s *Session) move(dst *cache, region int, src *cache, held, keep int) error {
	for i := range s.layout.slots {
		slot := &s.layout.slots[i]
		token := slot.token() * s.layout.kv.Size()
		from, to := held, keep
		if s.layout.strategy == Shared {
			from, to = src.capacity, dst.capacity
		}
		err := s.native.copyRows(s.onDevice(), dst.regions[region].at(dst.offsets[i]), to*token,
			src.regions[src.current].at(src.offsets[i]), from*token, keep*token, slot.rows())
		if err != nil {
			return err
		}
	}
	return nil
}

// firstCapacity is a pool's smallest cache, in tokens.
const firstCapacity = 256

// idleBytes bounds what a pool keeps for sequences to come.
const idleBytes = 64 << 20

// pool owns a session's caches and lends those of one row.
type pool struct {
	smallest int       // capacities double from here to the context
	stats    *counters // count what is lent: all but the idle

	mu   sync.Mutex // guards all below
	idle map[int][]*cache
	kept int // bytes of idle
	all  map[*cache]struct{}
}

func newPool(stats *counters) pool {
	return pool{smallest: firstCapacity, stats: stats, idle: make(map[int][]*cache), all: make(map[*cache]struct{})}
}

// capacity is the size of cache for so many tokens.
func (p *pool) capacity(tokens, context int) int {
	capacity := p.smallest
	for capacity < tokens {
		capacity *= 2
	}
	return min(capacity, context)
}

// add makes a cache that the pool owns.
func (p *pool) add(s *Session, batch, capacity int) (*cache, error) {
	c, err := s.newCache(batch, capacity)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[c] = struct{}{}
	p.stats.leased.Add(1)
	return c, nil
}

// drop frees a cache, unless the session was closed and has freed it.
func (p *pool) drop(c *cache) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ours := p.all[c]; ours {
		delete(p.all, c)
		p.stats.leased.Add(-1)
		c.free()
	}
}

// lease lends a cache of one row for so many tokens.
func (s *Session) lease(tokens int) (*cache, error) {
	capacity := s.pool.capacity(tokens, s.options.Context)
	if c := s.pool.take(capacity); c != nil {
		return c, nil
	}
	return s.pool.add(s, 1, capacity)
}

// take lends an idle cache of this capacity; nil if there is none.
func (p *pool) take(capacity int) *cache {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[capacity]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	p.idle[capacity] = list[:len(list)-1]
	p.kept -= c.bytes()
	p.stats.leased.Add(1)
	return c
}

// giveBack ends a lease.
func (p *pool) giveBack(c *cache) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ours := p.all[c]; !ours {
		return // the session was closed and freed it
	}
	p.stats.leased.Add(-1)
	if p.kept+c.bytes() > idleBytes {
		delete(p.all, c)
		c.free()
		return
	}
	c.current = 0
	p.idle[c.capacity] = append(p.idle[c.capacity], c)
	p.kept += c.bytes()
}

// close frees every cache, leased or not: the session's runs have ended.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.leased.Add(-int64(len(p.all)))
	for _, idle := range p.idle {
		p.stats.leased.Add(int64(len(idle)))
	}
	for c := range p.all {
		c.free()
	}
	clear(p.all)
	clear(p.idle)
	p.kept = 0
}

// check verifies the pool's books: every idle cache is owned, once, under its
// capacity, and kept is their size and within its bound.
func (p *pool) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept, seen := 0, make(map[*cache]bool)
	for capacity, list := range p.idle {
		for _, c := range list {
			if _, ours := p.all[c]; !ours || seen[c] || c.capacity != capacity || c.batch != 1 {
				return fmt.Errorf("onnx: a cache of %d tokens is idle among those of %d: owned %v, seen before %v", c.capacity, capacity, ours, seen[c])
			}
			seen[c] = true
			kept += c.bytes()
		}
	}
	if kept != p.kept || kept > idleBytes {
		return fmt.Errorf("onnx: the pool counts %d idle bytes of %d, at most %d", p.kept, kept, idleBytes)
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
