// What things cost, and whether the shared tier is worth asking. Invariants:
//
//   - a shared tier that is closed is asked by no request; only a trial opens it;
//   - one series of trials at most is under way; it ends with one that went well, and
//     each that failed waits twice as long for the next;
//   - what is not known yet is taken to pay.

package prefix

import (
	"sync"
	"time"
)

const (
	// weight is how much a new measurement moves what is known.
	weight = 0.25
	// After a failure a trial is made at once, after the next firstWait later, and twice as
	// long each time after that, up to longestWait. Each success halves it.
	firstWait   = 50 * time.Millisecond
	longestWait = time.Minute
	// spareable is how many prompts are computed for one that is imported, where that
	// seems not to pay.
	spareable = 8
	// againTime is when a tier that works and does not pay is tried again.
	againTime = 10 * time.Second
	// steady is how many tokens a run must have to tell what a token costs.
	steady = 32
)

// Costs are a model's, as measured: 0 is not known.
type Costs struct {
	Compute time.Duration // of one token of a prompt
	Import  time.Duration // of one token from memory
	Round   time.Duration // of asking the shared tier
	Load    time.Duration // of one token from the shared tier, beside a round trip and before its import
	Closed  bool          // the shared tier is not asked
}

type costs struct {
	mu                           sync.Mutex // guards all below
	compute, bring, round, fetch float64    // seconds a token; round is once
	closed, trying               bool
	wait                         time.Duration
	spared                       int // prompts that were not imported since that does not pay
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
	// One that was held up by something else must not count for many.
	*known += weight * (min(now, 2**known) - *known)
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
	if tokens == 0 {
		return
	}
	if c.wait /= 2; c.wait < firstWait {
		c.wait = 0
	}
	mean(&c.fetch, beyond(elapsed, c.round), tokens)
}

// beyond is what reading took beside a round trip of so many seconds.
func beyond(elapsed time.Duration, round float64) time.Duration {
	return max(elapsed-time.Duration(round*float64(time.Second)), elapsed/8)
}

// memoryPays says whether importing beats computing. Where it does not, a prompt is
// imported now and then all the same: only an import shows when that has changed.
func (c *costs) memoryPays() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.compute == 0 || c.bring < c.compute {
		return true
	}
	c.spared++
	return c.spared%spareable == 0
}

// sharedPays says whether the shared tier is to be asked for so many tokens.
func (c *costs) sharedPays(tokens int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && c.pays(tokens)
}

func (c *costs) pays(tokens int) bool {
	n := float64(tokens)
	return c.compute == 0 || 2*c.round+(c.fetch+c.bring)*n < c.compute*n
}

// worth is what computing so many tokens takes.
func (c *costs) worth(tokens int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.compute * float64(tokens) * float64(time.Second))
}

// fail closes the shared tier.
func (c *costs) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed, c.retry = true, time.Time{}
	}
}

// due says whether a trial of the shared tier is to be made, that the caller makes it,
// and how long it waits before: one that works in trials and not for requests is not
// tried too often.
func (c *costs) due() (wait time.Duration, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trying || time.Now().Before(c.retry) {
		return 0, false
	}
	c.trying, wait = true, c.wait
	if c.closed {
		c.wait = min(2*c.wait+firstWait, longestWait)
	}
	return wait, true
}

// tried says what a trial found: what a round trip took, and the values of so many
// tokens. One that failed is repeated by whom it failed, after wait.
func (c *costs) tried(round, load time.Duration, tokens int, err error) (wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.closed, c.wait = true, min(2*c.wait+firstWait, longestWait)
		return c.wait
	}
	c.round, c.fetch = round.Seconds(), beyond(load, round.Seconds()).Seconds()/float64(tokens)
	c.closed, c.trying = false, false
	c.retry = time.Now().Add(againTime)
	return 0
}

func (c *costs) read() Costs {
	c.mu.Lock()
	defer c.mu.Unlock()
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return Costs{Compute: seconds(c.compute), Import: seconds(c.bring), Round: seconds(c.round), Load: seconds(c.fetch), Closed: c.closed}
}
