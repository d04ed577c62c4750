package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Bandwidth is how fast this machine's memory was read, in bytes a second: the best
// pass of several over memory that no cache holds. What else runs on the machine takes
// of it, so it is measured beside what is compared with it.
type Bandwidth struct {
	OneThread  float64 `json:"one_thread_bytes_per_second"`
	AllThreads float64 `json:"all_threads_bytes_per_second"`
	Threads    int     `json:"threads"`
	Bytes      int64   `json:"bytes"` // read in a pass
}

// Best is the faster of both: what a computation can read at most, however many threads
// it has.
func (b Bandwidth) Best() float64 { return max(b.OneThread, b.AllThreads) }

// bandwidthBytes is what a pass reads unless it is said: several times the largest cache of
// any processor that is not a server's largest.
const bandwidthBytes = 256 << 20

// Reader holds the memory that passes read.
type Reader struct {
	memory  []byte
	threads int
	best    Bandwidth
}

// NewReader takes so much memory, 0 for as much as is needed on most machines, and fills
// it: memory that was never written is one page of zeros to the system.
func NewReader(size int) *Reader {
	if size <= 0 {
		size = bandwidthBytes
	}
	r := &Reader{memory: make([]byte, size), threads: runtime.GOMAXPROCS(0)}
	// No byte may be the one that is sought: 0.
	random := rand.NewPCG(1, 2)
	const odd = 0x0101010101010101
	for rest := r.memory; len(rest) >= 8; rest = rest[8:] {
		binary.LittleEndian.PutUint64(rest, random.Uint64()|odd)
	}
	for i := size - size%8; i < size; i++ {
		r.memory[i] = 1
	}
	return r
}

// Pass reads the memory once with one thread and once with all, each in two ways, and
// returns the best of all passes so far.
func (r *Reader) Pass(ctx context.Context) (Bandwidth, error) {
	r.best.Threads, r.best.Bytes = r.threads, int64(len(r.memory))
	for _, way := range []func([]byte) bool{along, woven} {
		for _, threads := range []int{1, r.threads} {
			if err := ctx.Err(); err != nil {
				return Bandwidth{}, err
			}
			speed := r.read(way, threads)
			if threads == 1 {
				r.best.OneThread = max(r.best.OneThread, speed)
			}
			if threads == r.threads {
				r.best.AllThreads = max(r.best.AllThreads, speed)
			}
		}
	}
	return r.best, nil
}

// read is the bytes a second of one pass by so many threads, each of which has a part.
func (r *Reader) read(way func([]byte) bool, threads int) float64 {
	part := (len(r.memory) + threads - 1) / threads
	var working sync.WaitGroup
	begin := time.Now()
	for mine := range slices.Chunk(r.memory, part) {
		working.Go(func() {
			if way(mine) {
				panic("bench: the memory holds what it was filled without")
			}
		})
	}
	working.Wait()
	return float64(len(r.memory)) / time.Since(begin).Seconds()
}

// along looks for a byte that is not there, with the processor's widest instructions.
func along(memory []byte) bool { return bytes.IndexByte(memory, 0) >= 0 }

// woven does so in several places by turns, a page each: memory serves one reader faster
// that reads in several places.
func woven(memory []byte) bool {
	const places, page = 4, 4096
	found := false
	part := len(memory) / places &^ (page - 1)
	for at := 0; at < part; at += page {
		for i := range places {
			found = found || along(memory[i*part+at:][:page])
		}
	}
	return found || along(memory[places*part:])
}
