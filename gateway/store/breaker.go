package store

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// slowShare of a read's deadline is more than it may take to learn that there is no
	// value: that time is lost.
	slowShare = 0.8
	// A value that came pays back hitShare of a deadline, and a quick answer without one
	// missShare: a server may lose requests about as much as it saves them, and a busy
	// machine makes the best of servers late now and then.
	hitShare, missShare = 0.2, 0.05
	// An open breaker lets a writer look again after firstWait, then after twice as
	// long each time, up to longestWait. One that opens again within steadyTime goes on
	// where it was: looking does not show what is wrong.
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
	steadyTime  = 2 * time.Second
	// A look asks for mostLooks of the values that were lost, and for each up to looks
	// times: the quickest answer is what a read costs, the others were held up.
	mostLooks, looks = 4, 3
)

// quiet is how long nothing more is logged about what was logged already.
const quiet = time.Minute

// errOpen is what a command gets that an open breaker did not let through.
var errOpen = errors.New("redis is away: its circuit breaker is open")

// errFull is what a write gets that is not sent to a server that has no room.
var errFull = errors.New("redis is full: it refused a write (OOM), and will be tried again")

// errLate is what is wrong with a server whose answers come, and not soon enough.
var errLate = errors.New("its answers take too long")

// breaker decides whether one server is worth asking. Invariants:
//
//   - reads lose at most two deadlines, and what they were saved, before it opens: lost
//     is at most one while it is closed;
//   - while it is not known whether a read that was lost is one of a kind, one read at a
//     time finds out, and the others do without;
//   - reads open it and never look whether the server is back: they are on a request's
//     path;
//   - a write that comes when the wait is over first repeats what was lost, and only an
//     answer that is quick enough for a read closes the breaker: a server that takes
//     writes slowly, or has small values at hand and no large ones, is too slow to read
//     from;
//   - at most one look is under way;
//   - a server that is full gets one write in each wait, which is as long as those of
//     looks.
//
// It is a hook of the client that talks to the server: of each node in a cluster.
type breaker struct {
	server   string
	deadline time.Duration
	log      *slog.Logger

	mu      sync.Mutex    // guards what follows
	lost    time.Duration // to reads, less what they were saved
	doubted bool          // the last read was lost
	asking  bool          // a read is under way while the server is doubted
	what    []string      // keys that were not read in time while something was lost, some of them
	open    bool
	probing bool
	wait    time.Duration
	retry   time.Time // when a write may look again
	closed  time.Time // when it last closed
	said    time.Time // when it was last logged that it opened
	silent  bool      // it was not logged this time
	full    time.Duration
	room    time.Time // when a write may find out whether there is room; zero where there is
}

// slow is more than a look may take, and an answer without a value.
func (b *breaker) slow() time.Duration { return time.Duration(slowShare * float64(b.deadline)) }

// admit says whether a read may go, and whether it is the one that finds out.
func (b *breaker) admit() (asking, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open || b.asking {
		return false, false
	}
	b.asking = b.doubted
	return b.asking, true
}

// reading is how a read ended.
type reading struct {
	took   time.Duration
	hits   int // values that came
	what   string
	fault  error
	asking bool // it was the one that finds out
	left   bool // nobody waits for it any more, and it says nothing
}

// read counts one.
func (b *breaker) read(r reading) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.asking {
		b.asking = false
	}
	if r.left {
		return
	}
	if r.fault == nil && (r.hits > 0 || r.took <= b.slow()) {
		share := max(missShare, hitShare*float64(r.hits))
		if b.lost -= time.Duration(share * float64(b.deadline)); b.lost <= 0 {
			b.lost, b.what = 0, b.what[:0]
		}
		b.doubted = false
		return
	}
	lost := r.took
	if r.fault != nil {
		lost = b.deadline // however soon it failed
	} else {
		r.fault = errLate
	}
	b.doubted = true
	if r.what != "" && len(b.what) < mostLooks && !slices.Contains(b.what, r.what) {
		b.what = append(b.what, r.what)
	}
	b.lose(lost, r.fault)
}

// wrote counts how a write ended. One that went well says nothing of reads.
func (b *breaker) wrote(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !answered(err):
		b.lose(b.deadline, err)
	case redis.IsOOMError(err):
		b.full = longer(b.full)
		b.room = time.Now().Add(b.full)
	default:
		b.full, b.room = 0, time.Time{}
	}
}

// hasRoom says whether a write may go to a server that may be full: one in each wait.
func (b *breaker) hasRoom() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.room.IsZero() {
		return true
	}
	if time.Now().Before(b.room) {
		return false
	}
	b.room = time.Now().Add(b.full)
	return true
}

// lose counts time that was lost, and opens the breaker if that is too much. b.mu is
// held.
func (b *breaker) lose(lost time.Duration, err error) {
	if b.lost += min(lost, b.deadline); b.lost <= b.deadline || b.open {
		return
	}
	if time.Since(b.closed) > steadyTime {
		b.wait = 0
	}
	b.open, b.wait = true, longer(b.wait)
	b.retry = time.Now().Add(b.wait)
	if b.silent = time.Since(b.said) < quiet; !b.silent {
		b.said = time.Now()
		b.log.Warn("redis does not answer in time: the cache goes on without it", "server", b.server, "error", err)
	}
}

// longer is the wait behind one that did not help.
func longer(wait time.Duration) time.Duration {
	return min(max(2*wait, firstWait), longestWait)
}

// recovered says whether a write may go, after looking again where that is due.
func (b *breaker) recovered(ctx context.Context, next redis.ProcessHook) bool {
	b.mu.Lock()
	if !b.open || b.probing || time.Now().Before(b.retry) {
		defer b.mu.Unlock()
		return !b.open
	}
	b.probing = true
	what := slices.Clone(b.what)
	b.mu.Unlock()
	quick := b.look(ctx, next, what)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if quick {
		b.open, b.doubted, b.lost, b.what, b.closed = false, false, 0, b.what[:0], time.Now()
		if !b.silent {
			b.log.Info("redis answers again", "server", b.server)
		}
		return true
	}
	b.wait = longer(b.wait)
	b.retry = time.Now().Add(b.wait)
	return false
}

// look says whether what was lost would come soon enough now. A connection that has to
// be opened takes no part in what a read costs.
func (b *breaker) look(ctx context.Context, next redis.ProcessHook, what []string) bool {
	ask := func(command redis.Cmder) bool {
		ctx, cancel := context.WithTimeout(ctx, b.deadline)
		defer cancel()
		for range looks {
			began := time.Now()
			if answered(next(ctx, command)) && time.Since(began) <= b.slow() {
				return true
			}
		}
		return false
	}
	if !ask(redis.NewStatusCmd(ctx, "ping")) {
		return false
	}
	for _, name := range what {
		if !ask(redis.NewStringCmd(ctx, "get", name)) {
			return false
		}
	}
	return true
}

// breakers are the breakers of all servers, by address.
type breakers struct {
	deadline time.Duration
	log      *slog.Logger

	mu     sync.Mutex // guards byName
	byName map[string]*breaker
}

// of returns a new breaker for a server: a node that a cluster's client lost and found
// again is another client, and may be another server.
func (s *breakers) of(server string) *breaker {
	b := &breaker{server: server, deadline: s.deadline, log: s.log}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = map[string]*breaker{}
	}
	s.byName[server] = b
	return b
}

// troubled lists the servers whose breakers are open, and those that are full.
func (s *breakers) troubled() (away, full []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for server, b := range s.byName {
		b.mu.Lock()
		if b.open {
			away = append(away, server)
		}
		if !b.room.IsZero() {
			full = append(full, server)
		}
		b.mu.Unlock()
	}
	return away, full
}
