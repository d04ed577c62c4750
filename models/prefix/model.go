package prefix

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/chain"
)

const (
	// exports is how many texts of a model may be kept at once; what comes beyond is
	// not kept.
	exports = 16
	// mostAsked is how many blocks the shared tier is asked for in one round trip.
	mostAsked = 256
	// A trial of the shared tier reads so many blocks, and waits as long for them to be
	// written.
	trialBlocks = 2
	trialReads  = 3
	trialTime   = 2 * time.Second
	trialTTL    = 10 * time.Second
	trialPause  = 5 * time.Millisecond
	// faultPause is what it waits for a tier that failed to be well again.
	faultPause = 50 * time.Millisecond
)

// Model keeps the prompts of one model.
type Model struct {
	cache    *Cache
	identity Identity
	block    int // tokens

	flights flights
	costs   costs
	places  chan struct{} // what runs in the background
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup

	memoryHits, sharedHits, misses, broken   atomic.Uint64
	memoryTokens, sharedTokens, computed     atomic.Uint64
	memoryBytes, sharedBytes                 atomic.Uint64
	bypassed, late, waited, stored, unstored atomic.Uint64
}

// Stats are a model's counts. Blocks are looked up one by one, up to the first that
// neither tier has; the rest of a prompt counts as one, but not when it is missed.
type Stats struct {
	MemoryHits, SharedHits     uint64 // blocks
	Misses                     uint64 // texts of which a block was in neither tier
	MemoryTokens, SharedTokens uint64 // that need not be computed
	MemoryBytes, SharedBytes   uint64
	Computed                   uint64 // tokens of prompts
	Broken                     uint64 // values that are not what they should be
	Bypassed                   uint64 // texts that did not ask the shared tier, since it does not pay or failed
	Late                       uint64 // texts for which it failed or was too slow
	Waited                     uint64 // texts that waited for another to compute what they share
	Stored, Dropped            uint64 // blocks that were kept, and that were not since there was too much to do
	Costs                      Costs
}

// Model begins to keep a model's prompts.
func (c *Cache) Model(id Identity) *Model {
	m := &Model{cache: c, identity: id, block: blockTokens(id.TokenBytes), places: make(chan struct{}, exports)}
	m.flights.byKey = map[chain.Key]*flight{}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// Name is the model's.
func (m *Model) Name() string { return m.identity.Name }

// Block is how many tokens a block has.
func (m *Model) Block() int { return m.block }

// Close ends what runs in the background. Texts must be closed before.
func (m *Model) Close() {
	m.cancel()
	m.work.Wait()
}

// Check verifies the model's books; an error is a defect of this package.
func (m *Model) Check() error { return m.flights.check() }

// Stats returns the counts.
func (m *Model) Stats() Stats {
	return Stats{
		MemoryHits: m.memoryHits.Load(), SharedHits: m.sharedHits.Load(), Misses: m.misses.Load(),
		MemoryTokens: m.memoryTokens.Load(), SharedTokens: m.sharedTokens.Load(), Computed: m.computed.Load(),
		MemoryBytes: m.memoryBytes.Load(), SharedBytes: m.sharedBytes.Load(),
		Broken: m.broken.Load(), Bypassed: m.bypassed.Load(), Late: m.late.Load(), Waited: m.waited.Load(),
		Stored: m.stored.Load(), Dropped: m.unstored.Load(), Costs: m.costs.read(),
	}
}

// pieces cuts a prompt.
func (m *Model) pieces(tenant string, prompt []eft.Token) pieces {
	end, n := cut(len(prompt), m.block)
	p := pieces{keys: make([]chain.Key, n), block: m.block, end: end}
	if n == 0 {
		return p
	}
	id := m.identity
	c := chain.Start(m.cache.options.Secret, "keys and values", magic, tenant, id.Weights, id.Vocabulary, id.Layout,
		strconv.Itoa(id.Context), strconv.Itoa(id.TokenBytes), strconv.Itoa(m.block))
	for i := range p.keys {
		c.Append(prompt[p.until(i):p.until(i+1)]...)
		p.keys[i] = c.Key()
	}
	return p
}

// size is how many bytes the value of so many tokens has.
func (m *Model) size(tokens int) int { return headerSize + tokens*m.identity.TokenBytes }

// Measured tells what computing and importing so many tokens took, before there were
// requests.
func (m *Model) Measured(compute, bring time.Duration, tokens int) {
	m.costs.computed(compute, tokens)
	m.costs.imported(bring, tokens)
}

// Try measures the shared tier, in the background, if that is due, and again and again
// until it works.
func (m *Model) Try() {
	shared := m.cache.options.Shared
	if shared == nil || m.ctx.Err() != nil {
		return
	}
	wait, due := m.costs.due()
	if !due {
		return
	}
	m.work.Go(func() {
		for {
			select {
			case <-m.ctx.Done():
				return
			case <-time.After(wait):
			}
			var round, load time.Duration
			err := m.cache.Alone(m.ctx, func() (err error) {
				round, load, err = m.trial(shared)
				return err
			})
			if wait = m.costs.tried(round, load, trialBlocks*m.block, err); err == nil {
				return
			}
		}
	})
}

var errTrial = errors.New("prefix: what was written cannot be read again")

// trial writes blocks and reads them as a request would.
func (m *Model) trial(shared Shared) (round, load time.Duration, err error) {
	ctx, cancel := context.WithTimeout(m.ctx, trialTime)
	defer cancel()
	keys, sizes := make([][32]byte, trialBlocks), slices.Repeat([]int{m.size(m.block)}, trialBlocks)
	value := make([]byte, sizes[0])
	write := func() {
		for _, key := range keys {
			shared.Set(key, value, trialTTL)
		}
	}
	for i := range keys {
		rand.Read(keys[i][:])
	}
	write()
	for {
		began := time.Now()
		n, err := shared.Has(ctx, keys)
		if round = time.Since(began); n == len(keys) {
			break
		}
		pause := trialPause
		if err != nil {
			write() // it may not have taken what was written
			pause = faultPause
		}
		select {
		case <-ctx.Done():
			return 0, 0, errors.Join(errTrial, err)
		case <-time.After(pause):
		}
	}
	// The quickest of a few is what it costs: the others were held up, or came too late.
	worked := false
	for range trialReads {
		asking, took, failed := m.tryReading(ctx, shared, keys, sizes)
		if failed != nil {
			err = failed
			select {
			case <-ctx.Done():
			case <-time.After(faultPause):
			}
			continue
		}
		round = min(round, asking)
		if !worked || took < load {
			load = took
		}
		worked = true
	}
	if !worked {
		return 0, 0, err
	}
	return round, load, nil
}

// tryReading reads blocks that were written, with a request's patience.
func (m *Model) tryReading(ctx context.Context, shared Shared, keys [][32]byte, sizes []int) (asking, took time.Duration, err error) {
	began := time.Now()
	if _, err := shared.Has(ctx, keys); err != nil {
		return 0, 0, err
	}
	asking = time.Since(began)
	began = time.Now()
	values, err := shared.Load(ctx, keys, sizes, patience-asking, 0)
	if err == nil && len(values) < len(keys) {
		err = errTrial
	}
	return asking, time.Since(began), err
}
