package tokenizer

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/graft-gateway/graft/eft"
)

// cache remembers the ids of short pieces.
//
// Invariants: it has a fixed number of slots; a piece can lie in one slot only
// and takes it from whoever lies there; an entry never changes after it was
// stored. So it is bounded, needs no lock, and what it forgets or misses can
// cost time but never change an id.
type cache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cacheEntry]
}

// cacheEntry has 64 bytes, a cache line, and no pointers for the garbage
// collector to follow.
type cacheEntry struct {
	length, count uint8
	piece         [cacheLongest]byte
	ids           [cacheMost]eft.Token
}

const (
	cacheSlots = 1 << 15
	// cacheLongest and cacheMost bound the entries; longer pieces seldom come
	// again.
	cacheLongest = 38
	cacheMost    = 6
)

func newCache() *cache {
	return &cache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[cacheEntry], cacheSlots)}
}

// slot is where piece lies, nil if it is too long to be kept.
func (c *cache) slot(piece string) *atomic.Pointer[cacheEntry] {
	if len(piece) > cacheLongest {
		return nil
	}
	return &c.slots[maphash.String(c.seed, piece)%cacheSlots]
}

// get returns what lies in slot if it is piece's.
func (c *cache) get(slot *atomic.Pointer[cacheEntry], piece string) ([]eft.Token, bool) {
	if slot == nil {
		return nil, false
	}
	if e := slot.Load(); e != nil && string(e.piece[:e.length]) == piece {
		return e.ids[:e.count], true
	}
	return nil, false
}

// put keeps copies of piece and ids, unless they are too many.
func (c *cache) put(slot *atomic.Pointer[cacheEntry], piece string, ids []eft.Token) {
	if slot == nil || len(ids) > cacheMost {
		return
	}
	e := &cacheEntry{length: uint8(len(piece)), count: uint8(len(ids))}
	copy(e.piece[:], piece)
	copy(e.ids[:], ids)
	slot.Store(e)
}
