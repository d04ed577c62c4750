package llamacpp

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// pool lets as many requests at the server as it has slots: what comes on top would
// only wait there, each in a thread of the server's. Which of its slots answers is the
// server's choice, never a slot's id of the request: named while it is busy, be it with
// another client's text or with a stream that was just closed, the server drops what
// that slot has evaluated, and goes on giving wrong rows from it (seen in llama.cpp of
// 2026). Left to itself it takes, of the slots that are idle, the one that holds most of
// the prompt.
//
// Invariants: a slot's turn is held by at most one request; lessees counts the texts
// that have the slot and are not closed; mixed stays true once two tenants were seen;
// nobody waits for long for a turn whose holder asks the server nothing.
//
// mu guards everything but the turns and their streams.
type pool struct {
	mu     sync.Mutex
	slots  []*slot
	clock  uint64
	tenant string // the first one seen
	any    bool   // whether one was seen
	mixed  bool
}

// slot is the right to one of the server's, whichever.
type slot struct {
	id      int
	turn    chan struct{}                // one token: who has it may ask
	stream  atomic.Pointer[continuation] // that has the turn; nil where no stream has it
	lessees int
	used    uint64 // the pool's clock at the last request
}

func newPool(n int) *pool {
	p := &pool{slots: make([]*slot, n)}
	for i := range p.slots {
		p.slots[i] = &slot{id: i, turn: make(chan struct{}, 1)}
	}
	return p
}

// lease picks the slot that the fewest share, and of these the one that was idle
// longest.
func (p *pool) lease() *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := p.slots[0]
	for _, s := range p.slots[1:] {
		if s.lessees < best.lessees || s.lessees == best.lessees && s.used < best.used {
			best = s
		}
	}
	best.lessees++
	return best
}

// move gives a text that shares its slot one of its own, if there is one by now.
func (p *pool) move(s *slot) *slot {
	p.mu.Lock()
	free := s.lessees > 1 && slices.ContainsFunc(p.slots, func(o *slot) bool { return o.lessees == 0 })
	if free {
		s.lessees--
	}
	p.mu.Unlock()
	if !free {
		return s
	}
	return p.lease()
}

// shared says whether several texts have the slot.
func (p *pool) shared(s *slot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.lessees > 1
}

// release ends a lease.
func (p *pool) release(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.lessees--
}

// enter waits for the slot's turn; the server would only queue what comes in between. A
// stream that is not read must give way: texts can wait for each other elsewhere, too.
func (s *slot) enter(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	default:
	}
	look := time.NewTicker(idleMost / 2)
	defer look.Stop()
	for {
		select {
		case s.turn <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
			if stream := s.stream.Load(); stream != nil {
				stream.giveWay()
			}
		}
	}
}

func (s *slot) leave() { <-s.turn }

// begin notes a request, and says whether it may use what the server has evaluated
// before: the time that a prompt takes tells who sees it whether somebody asked the same
// before. So once there are several tenants a text uses no more than what is its own.
// The caller has the slot's turn.
func (p *pool) begin(s *slot, tenant string, own bool) (reuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mixed = p.mixed || p.any && tenant != p.tenant
	p.tenant, p.any = tenant, true
	p.clock++
	s.used = p.clock
	return own || !p.mixed
}

// check says which invariant is broken; tests call it.
func (p *pool) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		if s.lessees < 0 {
			return fmt.Errorf("slot %d has %d lessees", s.id, s.lessees)
		}
		if s.used > p.clock {
			return fmt.Errorf("slot %d was used at %d, the clock is at %d", s.id, s.used, p.clock)
		}
	}
	return nil
}

// common is the length of the longest common prefix.
func common(a, b []eft.Token) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
