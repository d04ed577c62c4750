package store

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"time"
)

// MinSecret is the least length of a secret, in bytes.
const MinSecret = 16

// Options configure a cache.
type Options struct {
	// Memory is the size of the tier in this process, in bytes; 0 turns it off.
	Memory int64
	// Redis is the tier that replicas share; nil turns it off.
	Redis *RedisOptions
	// Secret seals what is sent to Redis: at least MinSecret bytes, the same for all
	// replicas. It is not used without Redis.
	Secret []byte
	// Log gets what an operator should know; nil keeps silent.
	Log *slog.Logger
	// Waited is told how long a [Cache.Get] waited for Redis, each time that it was
	// asked; nil is not told.
	Waited func(time.Duration)
}

// RedisOptions say where Redis is.
type RedisOptions struct {
	// URL is redis://USER:PASSWORD@HOST:PORT/DB, rediss:// or unix:///PATH; with
	// ?addr=HOST:PORT for each further node, or ?cluster=true, a cluster; with
	// ?master_name=NAME the sentinels of a master.
	URL string
	// Password is the servers'; empty is the URL's, and none with sentinels.
	Password string
	// Prefix starts every key's name; empty is "graft:".
	Prefix string
	// Deadline is what a read may take; 0 is 4 ms.
	Deadline time.Duration
	// Dial opens connections; nil opens those that the URL asks for.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Cache keeps bytes by key. It is safe for concurrent use.
type Cache struct {
	memory *memory // nil where it is off
	remote *remote // nil where it is off
}

// Stats are a cache's counts since it was opened.
type Stats struct {
	Memory *MemoryStats // nil where the tier is off
	Redis  *RedisStats
}

// MemoryStats are those of the tier in this process.
type MemoryStats struct {
	Hits, Misses, Evictions uint64
	Entries                 int
	Bytes                   uint64 // with what entries take beside their values
}

// RedisStats are those of the tier that replicas share.
type RedisStats struct {
	Hits, Misses uint64
	Failures     uint64 // reads that failed or came too late
	Skipped      uint64 // reads that were not sent: an open breaker, or no time
	Forged       uint64 // values that failed their seal
	ReadTime     time.Duration
	Writes       uint64
	// WriteFailures counts writes that Redis refused or did not answer, Dropped values
	// that were not sent: no room in the queue or in Redis, too large, an open breaker.
	WriteFailures, Dropped uint64
	WriteTime              time.Duration
	Queued                 int
	QueuedBytes            int64
	Away                   []string // servers whose breaker is open
	Full                   []string // servers that refuse writes for lack of room
	Known                  bool     // false while a cluster has not been found
}

// Open opens a cache; it connects to nothing yet. With neither tier it forgets
// everything.
func Open(o Options) (*Cache, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Cache{}
	var err error
	if o.Redis != nil {
		if c.remote, err = newRemote(*o.Redis, o.Secret, log, o.Waited); err != nil {
			return nil, err
		}
	}
	if o.Memory > 0 {
		if c.memory, err = newMemory(o.Memory); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Get appends the value of key to dst; false is a miss, whatever its cause.
func (c *Cache) Get(ctx context.Context, key [32]byte, dst []byte) ([]byte, bool) {
	if c.memory != nil {
		if out, ok := c.memory.get(key, dst); ok {
			return out, true
		}
	}
	if c.remote == nil {
		return dst, false
	}
	out, ok := c.remote.get(ctx, key, dst)
	if ok && c.memory != nil {
		c.memory.set(key, bytes.Clone(out[len(dst):]))
	}
	return out, ok
}

// Set keeps a copy of value, and never waits. The time to live is Redis': where memory
// is short there, what has the least left goes first; 0 is without end.
func (c *Cache) Set(key [32]byte, value []byte, ttl time.Duration) {
	if c.memory == nil && c.remote == nil {
		return
	}
	value = bytes.Clone(value)
	if c.memory != nil {
		c.memory.set(key, value)
	}
	if c.remote != nil {
		c.remote.queue.add(pending{key, value, ttl})
	}
}

// Check says what is wrong with Redis: whether it answers, and whether what is written
// can be read again. It waits as long as ctx.
func (c *Cache) Check(ctx context.Context) error {
	if c.remote == nil {
		return nil
	}
	return c.remote.check(ctx)
}

// Stats returns the counts.
func (c *Cache) Stats() Stats {
	var s Stats
	if c.memory != nil {
		m := c.memory.stats()
		s.Memory = &m
	}
	if c.remote != nil {
		r := c.remote.stats()
		s.Redis = &r
	}
	return s
}

// Close sends what is queued, for a second at most, and ends all connections. Get and
// Set may still be called: they find nothing in Redis.
func (c *Cache) Close() error {
	if c.remote == nil {
		return nil
	}
	return c.remote.close()
}
