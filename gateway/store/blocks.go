package store

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// chunkBytes is about how much one round trip brings of large values: what a
	// deadline ends is lost, and so is what had come by then.
	chunkBytes = 5 << 18
	// blocksDeadline bounds asking which values there are.
	blocksDeadline = 7 * time.Millisecond
)

// ErrSlow says that Redis works, and that values take longer than they are worth.
var ErrSlow = errors.New("redis is too slow for large values")

// ErrForged says that Redis gave what nobody with the secret has written.
var ErrForged = errors.New("redis has a value that is not sealed with this gateway's secret")

// Blocks keeps large values, apart from those of a [Cache]: a few of them would push
// thousands of small ones out, and a Redis that is too slow for megabytes may do well
// for kilobytes. Its two tiers are asked one by one.
type Blocks struct {
	memory *memory // nil where it is off
	remote *remote
}

// OpenBlocks opens both tiers; it connects to nothing yet. With neither it is of no use
// and of no harm.
func OpenBlocks(o Options) (*Blocks, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Redis != nil && o.Redis.Deadline == 0 {
		redis := *o.Redis
		redis.Deadline = blocksDeadline
		o.Redis = &redis
	}
	c, err := Open(o)
	if err != nil {
		return nil, err
	}
	return &Blocks{c.memory, c.remote}, nil
}

// Memory is the tier in this process, nil where it is off.
func (b *Blocks) Memory() *BlockMemory {
	if b.memory == nil {
		return nil
	}
	return &BlockMemory{b.memory}
}

// Redis is the tier that replicas share, nil where it is off.
func (b *Blocks) Redis() *BlockRedis {
	if b.remote == nil {
		return nil
	}
	return &BlockRedis{b.remote}
}

// Check says what is wrong with Redis, as [Cache.Check] does.
func (b *Blocks) Check(ctx context.Context) error {
	return (&Cache{b.memory, b.remote}).Check(ctx)
}

// Stats returns the counts of both tiers.
func (b *Blocks) Stats() Stats { return (&Cache{b.memory, b.remote}).Stats() }

// Close sends what is queued, for a second at most, and ends all connections.
func (b *Blocks) Close() error { return (&Cache{b.memory, b.remote}).Close() }

// BlockMemory keeps values in this process. What it hands out is never changed and
// stays for as long as somebody holds it, whatever the tier drops meanwhile.
type BlockMemory struct{ memory *memory }

// Get returns the value of key, which nobody may change.
func (m *BlockMemory) Get(key [32]byte) ([]byte, bool) {
	value, ok := m.memory.cache.GetIfPresent(key)
	if ok {
		m.memory.hits.Add(1)
	} else {
		m.memory.misses.Add(1)
	}
	return value, ok
}

// Set takes value over: nobody may change it any more.
func (m *BlockMemory) Set(key [32]byte, value []byte) { m.memory.set(key, value) }

// BlockRedis keeps values where all replicas find them.
type BlockRedis struct{ remote *remote }

// Has says how many of the first keys are there. An error says that Redis failed or is
// too slow; n is then what is known nevertheless.
func (b *BlockRedis) Has(ctx context.Context, keys [][32]byte) (n int, err error) {
	r := b.remote
	if err := r.ready(ctx); err != nil || len(keys) == 0 {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	began := time.Now()
	pipeline := r.client.Pipeline()
	answers := make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		answers[i] = pipeline.Exists(ctx, r.name(key))
	}
	_, _ = pipeline.Exec(ctx) // each command has its own error
	r.reading.Add(int64(time.Since(began)))
	for i, answer := range answers {
		if err := answer.Err(); err != nil {
			return i, r.fault(err)
		}
		if answer.Val() == 0 {
			r.misses.Add(1)
			return i, nil
		}
	}
	return len(keys), nil
}

// Load returns the values of the first keys, of so many bytes each, up to one that is not
// there or is not sealed: the latter is an error, for a Redis that lies once may lie to
// every request. It takes no longer than patience, and worth more for each value
// that has come: who could have done without it loses no more than patience, whatever
// Redis does. Each round trip brings twice as many as the one before if that was quick.
// An error is as with Has, and what came before it counts.
func (b *BlockRedis) Load(ctx context.Context, keys [][32]byte, sizes []int, patience, worth time.Duration) (values [][]byte, err error) {
	r, began := b.remote, time.Now()
	defer func() { r.reading.Add(int64(time.Since(began))) }()
	most := 1
	if len(sizes) > 0 {
		most = max(1, chunkBytes/(slices.Max(sizes)+1))
	}
	var opened chan [][]byte // of the round trip before: seals are checked beside the next
	come := 0
	defer func() {
		if opened != nil {
			values = append(values, <-opened...)
		}
		if err == nil && len(values) < come {
			err = ErrForged
		}
	}()
	for next := min(2, most); len(keys) > 0; {
		if err := r.ready(ctx); err != nil {
			return values, err
		}
		sent := time.Now()
		left := patience + worth*time.Duration(come) - sent.Sub(began)
		if left <= 0 {
			return values, ErrSlow
		}
		n := min(next, len(keys))
		sealed, err := r.chunk(ctx, left, keys[:n], sizes)
		if opened != nil {
			got := <-opened
			opened, values = nil, append(values, got...)
			if len(values) < come {
				return values, nil
			}
		}
		opened = make(chan [][]byte, 1)
		go r.unseal(keys, sealed, opened)
		come += len(sealed)
		if err != nil || len(sealed) < n {
			return values, err
		}
		keys, sizes = keys[n:], sizes[n:]
		if time.Since(sent) < patience/4 {
			next = min(2*next, most)
		}
	}
	return values, nil
}

// unseal hands on what is inside sealed values, up to the first that is forged.
func (r *remote) unseal(keys [][32]byte, sealed [][]byte, to chan<- [][]byte) {
	var values [][]byte
	for i, one := range sealed {
		value, ok := r.sealer.open(keys[i], one)
		if !ok {
			r.forge()
			break
		}
		r.hits.Add(1)
		values = append(values, value)
	}
	to <- values
}

// Set queues value, which nobody may change any more, and never waits.
func (b *BlockRedis) Set(key [32]byte, value []byte, ttl time.Duration) {
	b.remote.queue.add(pending{key, value, ttl})
}

// ready fails if there is no sense in asking.
func (r *remote) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// What the caller has no time for would look like a fault of Redis.
	if due, ok := ctx.Deadline(); !r.known.Load() || ok && time.Until(due) < r.deadline {
		r.skipped.Add(1)
		return errOpen
	}
	return nil
}

// chunk brings some sealed values in one round trip, up to the first that is not there or
// is of another size.
func (r *remote) chunk(ctx context.Context, left time.Duration, keys [][32]byte, sizes []int) (sealed [][]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	pipeline := r.client.Pipeline()
	replies := make([]*redis.ZeroCopyStringCmd, len(keys))
	buffers := make([][]byte, len(keys))
	for i, key := range keys {
		// Two bytes more than the value save the library a read.
		buffers[i] = make([]byte, sealSize+sizes[i]+2)
		replies[i] = pipeline.GetToBuffer(ctx, r.name(key), buffers[i])
	}
	_, _ = pipeline.Exec(ctx) // each command has its own error
	for i, reply := range replies {
		n, err := reply.Result()
		switch {
		case errors.Is(err, redis.Nil):
			r.misses.Add(1)
			return sealed, nil
		case tooSmall(err) || err == nil && n != sealSize+sizes[i]:
			r.forge()
			return sealed, ErrForged
		case err != nil:
			return sealed, r.fault(err)
		}
		sealed = append(sealed, buffers[i][:n])
	}
	return sealed, nil
}

// fault counts a read that failed. One that an open breaker held back in a cluster is a
// hole and no fault: other servers may do well.
func (r *remote) fault(err error) error {
	if errors.Is(err, errOpen) {
		r.skipped.Add(1)
		if _, cluster := r.client.(*redis.ClusterClient); cluster {
			return nil
		}
		return err
	}
	r.failures.Add(1)
	r.complain("read", err)
	return err
}

// forge counts a value that nobody with the secret has written.
func (r *remote) forge() {
	r.forged.Add(1)
	r.complain("read", ErrForged)
}
