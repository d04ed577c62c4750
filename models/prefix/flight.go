// What is being computed right now, so that many texts that begin alike compute their
// beginning once. Invariants:
//
//   - a key belongs to one flight at most;
//   - a flight ends when its blocks are in the memory tier, or when it is known that
//     they will not be: it failed, was closed, or found no room;
//   - nobody waits for a flight that computes more than twice what it shares.
//
// Who looked into the memory tier before a flight ended, and for a flight after that,
// computes once more what is there: a cost, and no fault.

package prefix

import (
	"fmt"
	"sync"

	"github.com/graft-gateway/graft/eft/chain"
)

// flight is one text's blocks to come.
type flight struct {
	keys   []chain.Key
	tokens int // that its text has to compute
	done   chan struct{}
}

type flights struct {
	mu    sync.Mutex // guards byKey
	byKey map[chain.Key]*flight
}

// claim returns the flight that brings the first of the pieces, where waiting for it
// pays, or else one of the caller's own for those that are nobody's: nil if the first is
// another's.
func (f *flights) claim(p pieces, tokens int) (own, wait *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := p.keys
	if f.byKey[keys[0]] != nil {
		return nil, f.pays(p)
	}
	n := 1
	for n < len(keys) && f.byKey[keys[n]] == nil {
		n++
	}
	own = &flight{keys: keys[:n:n], tokens: tokens, done: make(chan struct{})}
	for _, key := range own.keys {
		f.byKey[key] = own
	}
	return own, nil
}

// worth returns the flight that brings the first of the pieces, if waiting for it pays.
func (f *flights) worth(p pieces) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pays(p)
}

// pays is worth with the lock held.
func (f *flights) pays(p pieces) *flight {
	other, shared := f.byKey[p.keys[0]], 0
	if other == nil {
		return nil
	}
	for shared < p.len() && f.byKey[p.keys[shared]] == other {
		shared++
	}
	if 2*p.until(shared) < other.tokens {
		return nil
	}
	return other
}

// land ends a flight.
func (f *flights) land(own *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range own.keys {
		delete(f.byKey, key)
	}
	close(own.done)
}

// check verifies that each key's flight has it and is under way.
func (f *flights) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	count, seen := 0, map[*flight]bool{}
	for key, of := range f.byKey {
		select {
		case <-of.done:
			return fmt.Errorf("prefix: a flight of %d blocks has ended and still owns %x", len(of.keys), key[:4])
		default:
		}
		if !seen[of] {
			seen[of] = true
			count += len(of.keys)
		}
	}
	if count != len(f.byKey) {
		return fmt.Errorf("prefix: flights have %d blocks, and own %d", count, len(f.byKey))
	}
	return nil
}
