package tokenizer

import (
	"hash/maphash"
	"strings"
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

type cacheEntry struct {
	piece string
	ids   []eft.Token
}

const (
	cacheSlots = 1 << 15
	// cacheLongest bounds the entries; longer pieces seldom come again.
	cacheLongest = 48
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
	if e := slot.Load(); e != nil && e.piece == piece {
		return e.ids, true
	}
	return nil, false
}

// put keeps copies of piece, which may be part of a large text, and ids.
func (c *cache) put(slot *atomic.Pointer[cacheEntry], piece string, ids []eft.Token) {
	if slot != nil {
		slot.Store(&cacheEntry{piece: strings.Clone(piece), ids: append([]eft.Token(nil), ids...)})
	}
}
