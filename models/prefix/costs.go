// What things cost, and whether the shared tier is worth asking. Invariants:
//
//   - a shared tier that is closed is asked by no request; only a trial opens it;
//   - one trial at most is under way, and after one that failed the next waits twice as
//     long;
//   - what is not known yet is taken to pay.

package prefix

import (
	"sync"
	"time"
)

const (
	// weight is how much a new measurement moves what is known.
	weight = 0.25
	// After a failure a trial is made firstWait later, and twice as long each time after
	// that, up to longestWait.
	firstWait   = 250 * time.Millisecond
	longestWait = time.Minute
	// steady is how many tokens a run must have to tell what a token costs.
	steady = 32
)

// Costs are a model's, as measured: 0 is not known.
type Costs struct {
	Compute time.Duration // of one token of a prompt
	Import  time.Duration // of one token from memory
	Round   time.Duration // of asking the shared tier
	Load    time.Duration // of one token from the shared tier, before its import
	Closed  bool          // the shared tier is not asked
}

type costs struct {
	mu                           sync.Mutex // guards all below
	compute, bring, round, fetch float64    // seconds a token; round is once
	closed, trying               bool
	wait                         time.Duration
	retry                        time.Time
}

// mean moves a known cost towards a new measurement.
func mean(known *float64, elapsed time.Duration, tokens int) {
	if tokens == 0 {
		return
	}
	now := elapsed.Seconds() / float64(tokens)
	if *known == 0 {
		*known = now
		return
	}
	*known += weight * (now - *known)
}

func (c *costs) computed(elapsed time.Duration, tokens int) {
	if tokens < steady {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	mean(&c.compute, elapsed, tokens)
}

func (c *costs) imported(elapsed time.Duration, tokens int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mean(&c.bring, elapsed, tokens)
}

func (c *costs) asked(elapsed time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mean(&c.round, elapsed, 1)
}

func (c *costs) loaded(elapsed time.Duration, tokens int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mean(&c.fetch, elapsed, tokens)
}

// memoryPays says whether importing beats computing.
func (c *costs) memoryPays() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compute == 0 || c.bring < c.compute
}

// sharedPays says whether the shared tier is to be asked for so many tokens.
func (c *costs) sharedPays(tokens int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && c.pays(tokens)
}

func (c *costs) pays(tokens int) bool {
	n := float64(tokens)
	return c.compute == 0 || c.round+(c.fetch+c.bring)*n < c.compute*n
}

// fail closes the shared tier.
func (c *costs) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed, c.wait = true, max(c.wait, firstWait)
		c.retry = time.Now().Add(c.wait)
	}
}

// due says whether a trial of the shared tier is to be made, and that the caller makes
// it.
func (c *costs) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trying || time.Now().Before(c.retry) {
		return false
	}
	c.trying = true
	return true
}

// tried ends a trial: what a round trip took, and the values of so many tokens.
func (c *costs) tried(round, load time.Duration, tokens int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
	if err == nil {
		c.round, c.fetch, c.closed = round.Seconds(), load.Seconds()/float64(tokens), false
		c.wait /= 2
	} else {
		c.closed = true
		c.wait *= 2
	}
	c.wait = min(max(c.wait, firstWait), longestWait)
	c.retry = time.Now().Add(c.wait)
	if err == nil && !c.pays(1<<20) { // however long the prompt
		c.retry = time.Now().Add(longestWait)
	}
}

func (c *costs) read() Costs {
	c.mu.Lock()
	defer c.mu.Unlock()
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return Costs{Compute: seconds(c.compute), Import: seconds(c.bring), Round: seconds(c.round), Load: seconds(c.fetch), Closed: c.closed}
}
