package store

import (
	"bytes"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// entryOverhead is about what an entry takes beside its value: key, node, its share of
// the table and of the policy's queues.
const entryOverhead = 200

// memory is the tier in this process. What it holds is never changed, only dropped. It
// runs no goroutine: values do not expire, since equal keys have equal values for ever.
type memory struct {
	cache                   *otter.Cache[Key, []byte]
	hits, misses, evictions atomic.Uint64
}

func newMemory(size int64) (*memory, error) {
	m := &memory{}
	cache, err := otter.New(&otter.Options[Key, []byte]{
		MaximumWeight: uint64(size),
		Weigher: func(_ Key, value []byte) uint32 {
			return uint32(min(len(value)+entryOverhead, math.MaxUint32))
		},
		Executor: func(task func()) { task() },
		OnAtomicDeletion: func(e otter.DeletionEvent[Key, []byte]) {
			if e.WasEvicted() {
				m.evictions.Add(1)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("memory tier: %w", err)
	}
	m.cache = cache
	return m, nil
}

// get appends the value to dst.
func (m *memory) get(key Key, dst []byte) ([]byte, bool) {
	value, ok := m.cache.GetIfPresent(key)
	if !ok {
		m.misses.Add(1)
		return dst, false
	}
	m.hits.Add(1)
	return append(dst, value...), true
}

// set takes value over: nobody may change it any more. A value that it has already
// costs no write.
func (m *memory) set(key Key, value []byte) {
	if old, ok := m.cache.GetEntryQuietly(key); ok && bytes.Equal(old.Value, value) {
		return
	}
	m.cache.Set(key, value)
}

func (m *memory) stats() MemoryStats {
	return MemoryStats{
		Hits: m.hits.Load(), Misses: m.misses.Load(), Evictions: m.evictions.Load(),
		Entries: m.cache.EstimatedSize(), Bytes: m.cache.WeightedSize(),
	}
}
