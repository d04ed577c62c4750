// What is being asked right now. Invariants:
//
//   - a key belongs to one call at most, and whoever wants it waits for that call;
//   - a call's work ends when it is done or when nobody waits for it any more, never
//     because one of several left, be it the one who began it;
//   - a call is done, or has nobody waiting, before its keys can belong to another;
//   - what a call found is in the tier before its keys are free. Who looked into the
//     tier before and for a flight after that may have missed both: recent tells.

package rowcache

import (
	"context"
	"sync"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/chain"
)

// call is one question to a source.
type call struct {
	keys   []chain.Key
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is set

	rows  []eft.Row      // one a key, shared by all who wait: nobody changes them
	named [][]eft.Scored // of a call for names
	err   error

	waiting int // guarded by flights.mu
}

// flight is the at'th key of a call.
type flight struct {
	call *call
	at   int
}

// recentKeys is how many keys of ended calls are remembered: more than can end between
// a look into the tier and the look for a flight.
const recentKeys = 4096

type flights struct {
	mu     sync.Mutex // guards what follows
	byKey  map[chain.Key]flight
	recent map[chain.Key]int // how often a key is in ring
	ring   []chain.Key       // of calls that ended well, the oldest at next once it is full
	next   int
}

func newFlights() flights {
	return flights{byKey: map[chain.Key]flight{}, recent: map[chain.Key]int{}}
}

// join finds the call that keys[0] belongs to, or begins one for keys[0] and the keys
// behind it that belong to none; work is then the context to do it in. Unless sure, it
// begins none for a key that was found recently, and returns no call: it may be in the
// tier by now. The caller waits for the call that it gets.
func (f *flights) join(ctx context.Context, keys []chain.Key, sure bool) (got flight, work context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if found, ok := f.byKey[keys[0]]; ok {
		found.call.waiting++
		return found, nil
	}
	if !sure && f.recent[keys[0]] > 0 {
		return flight{}, nil
	}
	n := 1
	for n < len(keys) && f.byKey[keys[n]].call == nil {
		n++
	}
	c := &call{keys: keys[:n:n], done: make(chan struct{}), waiting: 1}
	// The work outlives who began it.
	work, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for i, key := range c.keys {
		f.byKey[key] = flight{c, i}
	}
	return flight{c, 0}, work
}

// end publishes what a call found.
func (f *flights) end(c *call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free(c)
	if c.err == nil {
		f.remember(c.keys)
	}
	close(c.done)
	c.cancel()
}

func (f *flights) remember(keys []chain.Key) {
	for _, key := range keys {
		if len(f.ring) < recentKeys {
			f.ring = append(f.ring, key)
		} else {
			old := f.ring[f.next]
			if f.recent[old]--; f.recent[old] == 0 {
				delete(f.recent, old)
			}
			f.ring[f.next] = key
			f.next = (f.next + 1) % recentKeys
		}
		f.recent[key]++
	}
}

// free gives a call's keys back.
func (f *flights) free(c *call) {
	for _, key := range c.keys {
		if f.byKey[key].call == c {
			delete(f.byKey, key)
		}
	}
}

// wait returns when c is done or ctx is. The last to leave ends the work.
func (f *flights) wait(ctx context.Context, c *call) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.waiting--; c.waiting == 0 {
		f.free(c)
		c.cancel()
	}
	return ctx.Err()
}
