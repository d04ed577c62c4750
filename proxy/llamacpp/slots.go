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

// pool hands out the server's slots. A slot holds one text's evaluated tokens.
//
// Invariants: a slot's turn is held by at most one request; lessees counts the texts
// that have the slot and are not closed; tokens are what the slot was last told to
// evaluate and tenant is for whom; mixed stays true once two tenants were seen; nobody
// waits for long for a turn whose holder asks the server nothing.
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

type slot struct {
	id      int
	turn    chan struct{}                // one token: who has it may ask
	stream  atomic.Pointer[continuation] // that has the turn; nil where no stream has it
	lessees int
	used    uint64 // the pool's clock at the last request
	tenant  string
	tokens  []eft.Token
}

func newPool(n int) *pool {
	p := &pool{slots: make([]*slot, n)}
	for i := range p.slots {
		p.slots[i] = &slot{id: i, turn: make(chan struct{}, 1)}
	}
	return p
}

// lease picks the slot that costs least: a free one that holds most of the prompt
// already for this tenant, else the free one that was idle longest, else the one that
// the fewest share.
func (p *pool) lease(tenant string, prompt []eft.Token) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := p.slots[0]
	for _, s := range p.slots[1:] {
		if p.before(s, best, tenant, prompt) {
			best = s
		}
	}
	best.lessees++
	return best
}

// before says whether a is the better slot for the prompt.
func (p *pool) before(a, b *slot, tenant string, prompt []eft.Token) bool {
	if a.lessees != b.lessees {
		return a.lessees < b.lessees
	}
	aHolds, bHolds := a.holds(tenant, prompt), b.holds(tenant, prompt)
	// What is under half of a prompt is usually the template that all texts share.
	if max(aHolds, bHolds)*2 > len(prompt) && aHolds != bHolds {
		return aHolds > bHolds
	}
	return a.used < b.used
}

// holds counts the leading tokens of prompt that the slot has evaluated for tenant.
func (s *slot) holds(tenant string, prompt []eft.Token) int {
	if s.tenant != tenant {
		return 0
	}
	return common(s.tokens, prompt)
}

// move gives a text that shares its slot one of its own, if there is one by now.
func (p *pool) move(s *slot, tenant string, prompt []eft.Token) *slot {
	p.mu.Lock()
	free := s.lessees > 1 && slices.ContainsFunc(p.slots, func(o *slot) bool { return o.lessees == 0 })
	if free {
		s.lessees--
	}
	p.mu.Unlock()
	if !free {
		return s
	}
	return p.lease(tenant, prompt)
}

// shared says whether several texts have the slot.
func (p *pool) shared(s *slot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.lessees > 1
}

// release ends a lease. The slot keeps its tokens for the next text that begins alike.
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

// begin notes that the slot is about to evaluate tokens, and says whether it may use
// what it holds: the time that a prompt takes tells who sees it whether somebody asked
// the same before. So once there are several tenants a slot starts anew wherever it
// would not go on with most of what the same tenant left there (the server may swap
// what it drops with a store that all slots share). The caller has the slot's turn.
func (p *pool) begin(s *slot, tenant string, tokens []eft.Token) (reuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mixed = p.mixed || p.any && tenant != p.tenant
	p.tenant, p.any = tenant, true
	reuse = !p.mixed || s.tenant == tenant && common(s.tokens, tokens)*2 >= len(s.tokens) && len(s.tokens) > 0
	p.clock++
	s.used, s.tenant, s.tokens = p.clock, tenant, slices.Clone(tokens)
	return reuse
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
