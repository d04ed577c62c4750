package prefix

import (
	"context"
	"sync"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/chain"
)

// Sequence is one text of a model, whose keys and values can be taken out and put in.
// Its methods may be called at the same time.
type Sequence interface {
	// Export appends those of tokens [from, to) to dst.
	Export(ctx context.Context, from, to int, dst []byte) ([]byte, error)
	// ImportAll makes the text longer by pieces of so many tokens each, or by nothing.
	ImportAll(ctx context.Context, tokens int, pieces ...[]byte) error
	Close() error
}

// Text is a prompt on its way through a model. One goroutine uses it at a time.
// Invariants:
//
//   - the first had blocks of keys are in the sequence, and came from a tier;
//   - own is a flight of ours until its blocks are kept, or will not be;
//   - the sequence is closed once, by Close or, if it is being read then, by who reads
//     it.
type Text struct {
	model    *Model
	prompt   int // tokens
	keys     []chain.Key
	had      int
	own      *flight
	sequence Sequence

	mu              sync.Mutex // guards what follows
	reading, closed bool
}

// Open begins a text. Tenants share nothing.
func (m *Model) Open(tenant string, prompt []eft.Token) *Text {
	return &Text{model: m, prompt: len(prompt), keys: m.keys(tenant, prompt)}
}

// Resume puts what is known of the prompt into a sequence that is empty, and says how
// many tokens that are. What fails is computed. The sequence is the text's from now on:
// Close closes it.
func (t *Text) Resume(ctx context.Context, sequence Sequence) (tokens int) {
	m := t.model
	t.sequence = sequence
	for again := false; t.had < len(t.keys); again = true {
		if !m.costs.memoryPays() {
			break
		}
		if !t.bring(ctx) || t.had == len(t.keys) || ctx.Err() != nil {
			break
		}
		if m.cache.options.Memory == nil || t.own != nil {
			break
		}
		own, wait := m.flights.claim(t.keys[t.had:], m.block, t.prompt-t.had*m.block)
		if t.own = own; wait == nil {
			break
		}
		if !again {
			m.waited.Add(1)
		}
		select {
		case <-wait.done:
		case <-ctx.Done():
		}
	}
	if t.had < len(t.keys) {
		m.misses.Add(1)
	}
	return t.had * m.block
}

// bring imports what the tiers have behind the first blocks; false is that it cannot be
// imported.
func (t *Text) bring(ctx context.Context) bool {
	m := t.model
	blocks, shared := m.find(ctx, t.keys[t.had:])
	if len(blocks) == 0 {
		return true
	}
	began := time.Now()
	if err := t.sequence.ImportAll(ctx, m.block, blocks...); err != nil {
		if ctx.Err() == nil {
			m.cache.options.Log.Error("keys and values of a prompt cannot be imported: it is computed", "model", m.identity.Name, "error", err)
		}
		return false
	}
	m.costs.imported(time.Since(began), len(blocks)*m.block)
	t.had += len(blocks)
	n, own, body := uint64(len(blocks)), uint64(len(blocks)-shared), uint64(m.block)
	m.memoryHits.Add(own)
	m.memoryTokens.Add(own * body)
	m.memoryBytes.Add(own * uint64(m.size))
	m.sharedHits.Add(n - own)
	m.sharedTokens.Add((n - own) * body)
	m.sharedBytes.Add((n - own) * uint64(m.size))
	return true
}

// find returns the first blocks of keys that the tiers have, and how many of them came
// from the shared one.
func (m *Model) find(ctx context.Context, keys []chain.Key) (blocks [][]byte, shared int) {
	memory := m.cache.options.Memory
	blocks = make([][]byte, len(keys))
	var missing []int
	for i, key := range keys {
		if memory != nil {
			if value, ok := memory.Get(key); ok {
				// It was checked when it came, or made here, and nobody changes it.
				blocks[i] = m.believed(unwrap(value, key, m.block, m.identity.TokenBytes))
			}
		}
		if blocks[i] == nil {
			missing = append(missing, i)
			if m.cache.options.Shared == nil {
				break
			}
		}
	}
	for _, i := range m.fetch(ctx, keys, missing, blocks) {
		if blocks[i] == nil {
			break
		}
		shared++
	}
	for i := range blocks {
		if blocks[i] == nil {
			return blocks[:i], shared
		}
	}
	return blocks, shared
}

// fetch fills in the first of the missing blocks from the shared tier, and returns which
// it asked for.
func (m *Model) fetch(ctx context.Context, keys []chain.Key, missing []int, blocks [][]byte) (asked []int) {
	shared := m.cache.options.Shared
	if shared == nil || len(missing) == 0 {
		return nil
	}
	if !m.costs.sharedPays(len(missing) * m.block) {
		m.bypassed.Add(1)
		m.Try()
		return nil
	}
	for len(missing) > 0 {
		some := make([][32]byte, min(len(missing), mostAsked))
		for i := range some {
			some[i] = keys[missing[i]]
		}
		began := time.Now()
		n, err := shared.Has(ctx, some)
		if !m.usable(ctx, err) {
			return asked
		}
		round := time.Since(began)
		m.costs.asked(round)
		if n == 0 || !m.costs.sharedPays(n*m.block) {
			return asked
		}
		began = time.Now()
		values, err := shared.Load(ctx, some[:n], m.size, patience-round, m.costs.worth(m.block))
		m.costs.loaded(time.Since(began), len(values)*m.block)
		for i, value := range values {
			at := missing[i]
			asked = append(asked, at)
			if blocks[at] = m.believed(decode(value, keys[at], m.block, m.identity.TokenBytes)); blocks[at] == nil {
				return asked
			}
			if m.cache.options.Memory != nil {
				m.cache.options.Memory.Set(some[i], value)
			}
		}
		if !m.usable(ctx, err) || len(values) < len(some) {
			return asked
		}
		missing = missing[len(some):]
	}
	return asked
}

// believed is what a value holds, nil if it is not what it should be.
func (m *Model) believed(body []byte, err error) []byte {
	if err != nil {
		m.broken.Add(1)
		return nil
	}
	return body
}

// usable closes the shared tier if it failed, unless it was the text that left.
func (m *Model) usable(ctx context.Context, err error) bool {
	if err == nil {
		return true
	}
	if ctx.Err() == nil {
		m.late.Add(1)
		m.costs.fail()
		m.Try()
	}
	return false
}

// Computed tells that the whole prompt is in the sequence, and how long computing what
// Resume did not bring took, with what was computed behind the prompt. New blocks are
// kept in the background.
func (t *Text) Computed(tokens int, elapsed time.Duration) {
	m := t.model
	m.costs.computed(elapsed, tokens)
	m.computed.Add(uint64(t.prompt - t.had*m.block))
	if t.had == len(t.keys) || m.cache.options.Memory == nil && m.cache.options.Shared == nil {
		return
	}
	select {
	case m.places <- struct{}{}:
	default:
		m.unstored.Add(uint64(len(t.keys) - t.had))
		t.land()
		return
	}
	own := t.own
	t.own, t.reading = nil, true
	m.work.Go(func() { t.keep(own) })
}

// keep stores the blocks that were computed.
func (t *Text) keep(own *flight) {
	m := t.model
	defer func() { <-m.places }()
	for i := t.had; i < len(t.keys); i++ {
		value, err := t.sequence.Export(m.ctx, i*m.block, (i+1)*m.block, make([]byte, headerSize, m.size))
		if err != nil {
			if m.ctx.Err() == nil {
				m.cache.options.Log.Error("keys and values of a prompt cannot be exported: they are not kept", "model", m.identity.Name, "error", err)
			}
			break
		}
		finish(value, t.keys[i], m.block)
		if memory := m.cache.options.Memory; memory != nil {
			memory.Set(t.keys[i], value)
		}
		if shared := m.cache.options.Shared; shared != nil && m.costs.sharedPays(len(t.keys)*m.block) {
			shared.Set(t.keys[i], value, ttl(i*m.block))
		}
		m.stored.Add(1)
	}
	if own != nil {
		m.flights.land(own)
	}
	t.mu.Lock()
	t.reading = false
	closed := t.closed
	t.mu.Unlock()
	if closed {
		if err := t.sequence.Close(); err != nil {
			m.cache.options.Log.Error("closing a sequence", "model", m.identity.Name, "error", err)
		}
	}
}

// Failed tells that the prompt was not computed this time, so that nobody waits for it: its
// caller may be in no hurry to try again. What it computes later is kept all the same.
func (t *Text) Failed() { t.land() }

// land gives up what others wait for.
func (t *Text) land() {
	if t.own != nil {
		t.model.flights.land(t.own)
		t.own = nil
	}
}

// Close closes the sequence, or has it closed when its blocks are kept. Calling it again
// does nothing.
func (t *Text) Close() error {
	t.land()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	if t.reading || t.sequence == nil {
		return nil
	}
	return t.sequence.Close()
}
