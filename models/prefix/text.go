package prefix

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// Sequence is one text of a model, whose keys and values can be taken out and put in.
// Its methods may be called at the same time.
type Sequence interface {
	// Export appends those of tokens [from, to) to dst.
	Export(ctx context.Context, from, to int, dst []byte) ([]byte, error)
	// ImportAll makes the text longer by so many tokens, which come in pieces, or by nothing.
	ImportAll(ctx context.Context, tokens int, pieces ...[]byte) error
	Close() error
}

// Text is a prompt on its way through a model. One goroutine uses it at a time.
// Invariants:
//
//   - the first had pieces are in the sequence, and came from a tier;
//   - own is a flight of ours until its blocks are kept, or will not be;
//   - the sequence is closed once, by Close or, if it is being read then, by who reads
//     it.
type Text struct {
	model    *Model
	prompt   int // tokens
	pieces   pieces
	had      int
	own      *flight
	sequence Sequence

	mu              sync.Mutex // guards what follows
	reading, closed bool
}

// Open begins a text. Tenants share nothing.
func (m *Model) Open(tenant string, prompt []eft.Token) *Text {
	return &Text{model: m, prompt: len(prompt), pieces: m.pieces(tenant, prompt)}
}

// Resume puts what is known of the prompt into a sequence that is empty, and says how
// many tokens that are. What fails is computed. The sequence is the text's from now on:
// Close closes it.
func (t *Text) Resume(ctx context.Context, sequence Sequence) (tokens int) {
	m := t.model
	t.sequence = sequence
	for again := false; t.had < t.pieces.len(); again = true {
		if !m.costs.memoryPays() {
			break
		}
		if !t.bring(ctx) || t.had == t.pieces.len() || ctx.Err() != nil {
			break
		}
		if m.cache.options.Memory == nil || t.own != nil {
			break
		}
		own, wait := m.flights.claim(t.pieces.behind(t.had), t.prompt-t.known())
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
	if t.had < t.pieces.end/m.block {
		m.misses.Add(1)
	}
	return t.known()
}

// known is how many tokens need not be computed.
func (t *Text) known() int { return t.pieces.until(t.had) }

// bring imports what the tiers have behind the first pieces; false is that it cannot be
// imported.
func (t *Text) bring(ctx context.Context) bool {
	m := t.model
	more := t.pieces.behind(t.had)
	bodies, shared := m.find(ctx, more)
	if len(bodies) == 0 {
		return true
	}
	began, tokens := time.Now(), more.until(len(bodies))
	if err := t.sequence.ImportAll(ctx, tokens, bodies...); err != nil {
		if ctx.Err() == nil {
			m.cache.options.Log.Error("keys and values of a prompt cannot be imported: it is computed", "model", m.identity.Name, "error", err)
		}
		return false
	}
	m.costs.imported(time.Since(began), tokens)
	t.had += len(bodies)
	for i := range bodies {
		tokens := more.tokens(i)
		hits, known, bytes := &m.memoryHits, &m.memoryTokens, &m.memoryBytes
		if slices.Contains(shared, i) {
			hits, known, bytes = &m.sharedHits, &m.sharedTokens, &m.sharedBytes
		}
		hits.Add(1)
		known.Add(uint64(tokens))
		bytes.Add(uint64(m.size(tokens)))
	}
	return true
}

// find returns the first pieces that the tiers have, and which of them came from the
// shared one.
func (m *Model) find(ctx context.Context, p pieces) (bodies [][]byte, shared []int) {
	memory := m.cache.options.Memory
	bodies = make([][]byte, p.len())
	var missing []int
	for i, key := range p.keys {
		if memory != nil {
			if value, ok := memory.Get(key); ok {
				// It was checked when it came, or made here, and nobody changes it.
				bodies[i] = m.believed(unwrap(value, key, p.tokens(i), m.identity.TokenBytes))
			}
		}
		if bodies[i] == nil {
			missing = append(missing, i)
			if m.cache.options.Shared == nil {
				break
			}
		}
	}
	var asked []int
	// What comes to memory soon is waited for: asking for it costs more, and it may not
	// have been written yet.
	if len(missing) > 0 && m.flights.worth(p.behind(missing[0])) == nil {
		asked = m.fetch(ctx, p, missing, bodies)
	}
	n := slices.IndexFunc(bodies, func(body []byte) bool { return body == nil })
	if n < 0 {
		n = len(bodies)
	}
	return bodies[:n], asked
}

var errRound = errors.New("prefix: a round trip takes more than half of what a text can wait")

// fetch fills in the first of the missing pieces from the shared tier, and returns which
// it asked for.
func (m *Model) fetch(ctx context.Context, p pieces, missing []int, bodies [][]byte) (asked []int) {
	shared := m.cache.options.Shared
	if shared == nil || len(missing) == 0 {
		return nil
	}
	if !m.costs.sharedPays(p.sum(missing)) {
		m.bypassed.Add(1)
		m.Try()
		return nil
	}
	asking := time.Now()
	defer func() { m.cache.options.Waited(time.Since(asking)) }()
	for len(missing) > 0 {
		some := make([][32]byte, min(len(missing), mostAsked))
		sizes := make([]int, len(some))
		for i := range some {
			some[i], sizes[i] = p.keys[missing[i]], m.size(p.tokens(missing[i]))
		}
		began := time.Now()
		n, err := shared.Has(ctx, some)
		if !m.usable(ctx, err) {
			return asked
		}
		round := time.Since(began)
		m.costs.asked(round)
		if n == 0 && round > patience/2 {
			err = errRound // it would have had too little time left for values
		}
		if !m.usable(ctx, err) {
			return asked
		}
		if n == 0 || !m.costs.sharedPays(p.sum(missing[:n])) {
			return asked
		}
		began = time.Now()
		values, err := shared.Load(ctx, some[:n], sizes[:n], patience-round, m.costs.worth(m.block))
		m.costs.loaded(time.Since(began), p.sum(missing[:len(values)]))
		for i, value := range values {
			at := missing[i]
			asked = append(asked, at)
			if bodies[at] = m.believed(decode(value, p.keys[at], p.tokens(at), m.identity.TokenBytes)); bodies[at] == nil {
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
	m.computed.Add(uint64(t.prompt - t.known()))
	if t.had == t.pieces.len() || m.cache.options.Memory == nil && m.cache.options.Shared == nil {
		return
	}
	select {
	case m.places <- struct{}{}:
	default:
		m.unstored.Add(uint64(t.pieces.len() - t.had))
		t.land()
		return
	}
	own := t.own
	t.own, t.reading = nil, true
	m.work.Go(func() { t.keep(own) })
}

// keep stores the pieces that were computed.
func (t *Text) keep(own *flight) {
	m, p := t.model, t.pieces
	defer func() { <-m.places }()
	for i := t.had; i < p.len(); i++ {
		value, err := t.sequence.Export(m.ctx, p.until(i), p.until(i+1), make([]byte, headerSize, m.size(p.tokens(i))))
		if err != nil {
			if m.ctx.Err() == nil {
				m.cache.options.Log.Error("keys and values of a prompt cannot be exported: they are not kept", "model", m.identity.Name, "error", err)
			}
			break
		}
		finish(value, p.keys[i], p.tokens(i))
		if memory := m.cache.options.Memory; memory != nil {
			memory.Set(p.keys[i], value)
		}
		if shared := m.cache.options.Shared; shared != nil && m.costs.sharedPays(p.end) {
			shared.Set(p.keys[i], value, ttl(p.until(i)))
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
