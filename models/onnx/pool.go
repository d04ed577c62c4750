package onnx

// Invariants:
//   - The pool owns every cache of its session. seats[r] of a cache is the seat whose
//     cache and row are that cache and r, and live counts them.
//   - Caches without a live seat are at most idleBytes; kept counts them. So is the
//     scratch memory while there is no seat.
//   - A cache has widest rows at most, and at most growBytes if it has more than one.
//   - Seats are leased, moved and run on by whoever leads the loop; they are given back
//     by anybody. So a run's rows stay where they are, for their sequences are busy.

import (
	"fmt"
	"slices"
	"sync"
)

// firstCapacity is a pool's smallest cache, in tokens.
const firstCapacity = 256

// idleBytes bounds what a pool keeps for sequences to come.
const idleBytes = 64 << 20

// growBytes bounds the caches that several sequences share.
const growBytes = 1 << 30

// mostRows is how many steps one run may take.
const mostRows = 32

// pool owns a session's caches and lends their rows.
type pool struct {
	smallest int       // capacities grow by factor from here to the context
	factor   int       // more is wasted on short texts, less splits steps over more runs
	widest   int       // rows of a cache
	stats    *counters // count what is lent: all but the idle

	mu      sync.Mutex // guards all below, and the place of every seat
	scratch gathering  // a run's; freed by others only while there is no seat, and so no run
	classes map[int][]*cache
	kept    int // bytes of caches without a live seat
	leased  int // seats
	closed  bool
}

func newPool(stats *counters) pool {
	return pool{smallest: firstCapacity, factor: 2, widest: 1, stats: stats, classes: make(map[int][]*cache)}
}

// capacity is the size of cache for so many tokens.
func (p *pool) capacity(tokens, context int) int {
	capacity := p.smallest
	for capacity < tokens {
		capacity *= p.factor
	}
	return min(capacity, context)
}

// lease lends a row for so many tokens. Only whoever leads the loop may call it, for
// other rows may have to move.
func (s *Session) lease(tokens int) (*seat, error) {
	p := &s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	capacity := p.capacity(tokens, s.options.Context)
	c, err := p.vacancy(s, capacity)
	if err != nil {
		return nil, err
	}
	if c.live == 0 {
		p.kept -= c.bytes()
		c.current = 0
	}
	seat := &seat{cache: c, row: slices.Index(c.seats, nil)}
	c.seats[seat.row] = seat
	c.live++
	p.leased++
	p.stats.leased.Add(1)
	return seat, nil
}

// vacancy finds the fullest cache with a free row, so that few caches serve all, or
// makes one: a cache of twice the rows that takes over those of a full one, while it is
// not too large, or else one of a single row. A cache without live seats counts as kept.
func (p *pool) vacancy(s *Session, capacity int) (*cache, error) {
	var best, narrow *cache
	for _, c := range p.classes[capacity] {
		if c.live < c.batch && (best == nil || c.live > best.live) {
			best = c
		}
		if 2*c.batch <= p.widest && 2*c.bytes() <= growBytes {
			narrow = c
		}
	}
	if best != nil {
		return best, nil
	}
	if narrow != nil {
		return p.resize(s, narrow, 2*narrow.batch)
	}
	c, err := s.newCache(1, capacity)
	if err != nil {
		return nil, err
	}
	p.classes[capacity] = append(p.classes[capacity], c)
	p.kept += c.bytes()
	return c, nil
}

// resize moves the live rows of a cache to one of so many rows, close together and in
// their order, and frees the first.
func (p *pool) resize(s *Session, c *cache, batch int) (*cache, error) {
	to, err := s.newCache(batch, c.capacity)
	if err != nil {
		return nil, err
	}
	for _, seat := range c.seats {
		if seat == nil {
			continue
		}
		if err := s.move(to, 0, to.live, c, seat.row, seat.used, seat.used); err != nil {
			to.free()
			return nil, err
		}
		to.seats[to.live] = seat
		to.live++
	}
	for row, seat := range to.seats[:to.live] {
		seat.cache, seat.row = to, row
	}
	list := p.classes[c.capacity]
	list[slices.Index(list, c)] = to
	c.free()
	return to, nil
}

// narrow moves the rows of a cache together when few of many are left. Only whoever
// leads the loop may call it.
func (p *pool) narrow(s *Session, c *cache) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || c.batch <= 4 || 4*c.live > c.batch || c.live == 0 {
		return nil
	}
	batch := 2
	for batch < 2*c.live {
		batch *= 2
	}
	_, err := p.resize(s, c, batch)
	return err
}

// giveBack ends a lease.
func (p *pool) giveBack(seat *seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return // which freed all
	}
	c := seat.cache
	c.seats[seat.row] = nil
	c.live--
	p.leased--
	p.stats.leased.Add(-1)
	if p.leased == 0 && p.scratch.bytes() > idleBytes {
		p.scratch.free()
	}
	if c.live > 0 {
		return
	}
	if p.kept+c.bytes() <= idleBytes {
		p.kept += c.bytes()
		return
	}
	list := p.classes[c.capacity]
	i := slices.Index(list, c)
	p.classes[c.capacity] = slices.Delete(list, i, i+1)
	c.free()
}

// close frees every cache, leased or not: the session's runs have ended.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.stats.leased.Add(-int64(p.leased))
	p.leased, p.kept = 0, 0
	for _, list := range p.classes {
		for _, c := range list {
			c.free()
		}
	}
	clear(p.classes)
	p.scratch.free()
}

// forget frees the caches that nobody uses: their manner is to change.
func (p *pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scratch.free()
	for capacity, list := range p.classes {
		p.classes[capacity] = slices.DeleteFunc(list, func(c *cache) bool {
			if c.live == 0 {
				p.kept -= c.bytes()
				c.free()
			}
			return c.live == 0
		})
	}
}

// check verifies the pool's books: see the invariants.
func (p *pool) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept, leased := 0, 0
	for capacity, list := range p.classes {
		for i, c := range list {
			if c.capacity != capacity || slices.Contains(list[:i], c) || c.batch > 1 && (c.batch > p.widest || c.bytes() > growBytes) {
				return fmt.Errorf("onnx: a cache of %d times %d tokens is among those of %d", c.batch, c.capacity, capacity)
			}
			live := 0
			for row, seat := range c.seats {
				if seat == nil {
					continue
				}
				live++
				if seat.cache != c || seat.row != row || seat.used > c.capacity {
					return fmt.Errorf("onnx: row %d of a cache of %d tokens is leased to a seat in row %d with %d tokens", row, c.capacity, seat.row, seat.used)
				}
			}
			if live != c.live || len(c.seats) != c.batch {
				return fmt.Errorf("onnx: a cache counts %d live rows, %d of %d are", c.live, live, c.batch)
			}
			leased += live
			if live == 0 {
				kept += c.bytes()
			}
		}
	}
	if p.leased == 0 && p.scratch.bytes() > idleBytes {
		return fmt.Errorf("onnx: %d bytes of scratch memory are kept for nobody, at most %d may", p.scratch.bytes(), idleBytes)
	}
	if kept != p.kept || kept > idleBytes || leased != p.leased {
		return fmt.Errorf("onnx: the pool counts %d idle bytes of %d, at most %d, and %d seats of %d", p.kept, kept, idleBytes, p.leased, leased)
	}
	return nil
}
