package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// MaxRedisValue is the largest value that is sent to Redis: beyond some 4 MiB a
	// read takes several times longer for each byte, and blocks the others.
	MaxRedisValue = 4 << 20

	// defaultDeadline bounds a read: two of them are what a request may lose.
	defaultDeadline = 4 * time.Millisecond
	// writeTime bounds a write, which nobody waits for.
	writeTime = 250 * time.Millisecond
	// firstBuffer is how much a read expects before anything was read.
	firstBuffer = 8 << 10
	// knockTime bounds the first contact with a cluster, which nobody waits for.
	knockTime = time.Second
)

// remote is the tier that replicas share. Invariants:
//
//   - a Get makes at most two round trips and ends within the deadline;
//   - no Get waits for a cluster's map of slots: until a writer has it, all is a miss;
//   - nothing that fails its seal leaves this type.
type remote struct {
	client   redis.UniversalClient
	breakers breakers
	sealer   *sealer
	prefix   string
	deadline time.Duration
	log      *slog.Logger
	waited   func(time.Duration)
	queue    *queue

	known    atomic.Bool // the client knows where to send: always, but for clusters
	knocking sync.Mutex  // guards knocked
	knocked  time.Time

	expect  atomic.Int64 // bytes that a read prepares for
	buffers sync.Pool    // *[]byte

	hits, misses, failures, skipped, forged atomic.Uint64
	reading                                 atomic.Int64 // nanoseconds
	said                                    atomic.Int64 // when an error reply was logged, Unix seconds
}

func newRemote(o RedisOptions, secret []byte, log *slog.Logger, waited func(time.Duration)) (*remote, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("redis: values need a secret of at least %d bytes, the same for all replicas, and this one has %d: set the environment variable that the configuration names as the cache's secret", MinSecret, len(secret))
	}
	options, err := readAddress(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Password != "" {
		if options.Password != "" {
			return nil, errors.New("redis: the URL has a password and so has the environment: want one of them")
		}
		options.Password = o.Password
	}
	options.Dialer = o.Dial
	r := &remote{sealer: newSealer(secret), prefix: o.Prefix, deadline: o.Deadline, log: log, waited: waited}
	if r.waited == nil {
		r.waited = func(time.Duration) {}
	}
	if r.prefix == "" {
		r.prefix = "graft:"
	}
	if r.deadline == 0 {
		r.deadline = defaultDeadline
	}
	r.expect.Store(firstBuffer)
	r.buffers.New = func() any { return new([]byte) }
	r.breakers.deadline, r.breakers.log = r.deadline, log
	r.client = connect(options, &r.breakers)
	r.known.Store(!options.IsClusterMode)
	r.queue = startQueue(r)
	return r, nil
}

// get appends the value to dst.
func (r *remote) get(ctx context.Context, key Key, dst []byte) ([]byte, bool) {
	if due, ok := ctx.Deadline(); !r.known.Load() || ctx.Err() != nil || (ok && time.Until(due) < r.deadline) {
		r.skipped.Add(1)
		return dst, false
	}
	began := time.Now()
	buffer := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(buffer)
	sealed, err := r.read(ctx, r.name(key), buffer)
	if errors.Is(err, errOpen) {
		r.skipped.Add(1)
		return dst, false
	}
	took := time.Since(began)
	r.reading.Add(int64(took))
	r.waited(took)
	switch {
	case errors.Is(err, redis.Nil):
		r.misses.Add(1)
		return dst, false
	case err != nil:
		r.failures.Add(1)
		r.complain("read", err)
		return dst, false
	}
	value, ok := r.sealer.open(key, sealed)
	if !ok {
		r.forge()
		return dst, false
	}
	r.hits.Add(1)
	return append(dst, value...), true
}

// read reads into buffer, and once more into the largest that can be needed if the
// value does not fit. Two bytes more than the value save the library a read.
func (r *remote) read(ctx context.Context, name string, buffer *[]byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	for {
		if size := int(r.expect.Load()) + 2; len(*buffer) < size {
			*buffer = make([]byte, size)
		}
		n, err := r.client.GetToBuffer(ctx, name, *buffer).Result()
		if tooSmall(err) && len(*buffer) < sealSize+MaxRedisValue+2 {
			*buffer = make([]byte, sealSize+MaxRedisValue+2)
			continue
		}
		if err != nil {
			return nil, err
		}
		if grown := min(int64(n)*3/2, sealSize+MaxRedisValue); grown > r.expect.Load() {
			r.expect.Store(grown)
		}
		return (*buffer)[:n], nil
	}
}

// write sends one value. It is called by the writers.
func (r *remote) write(ctx context.Context, w pending) error {
	if !r.knock(ctx) {
		return errOpen
	}
	buffer := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(buffer)
	if size := sealSize + len(w.value); len(*buffer) < size {
		*buffer = make([]byte, size)
	}
	sealed := r.sealer.seal((*buffer)[:0], w.key, w.value)
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	err := r.client.Set(ctx, r.name(w.key), sealed, w.ttl).Err()
	if err != nil && !held(err) {
		r.complain("write", err)
	}
	return err
}

// held says whether a write was not sent.
func held(err error) bool { return errors.Is(err, errOpen) || errors.Is(err, errFull) }

// knock makes a cluster known: its client must have the map of slots before it can
// send anything. It is called by the writers, and tries once in firstWait.
func (r *remote) knock(ctx context.Context) bool {
	if r.known.Load() {
		return true
	}
	if !r.knocking.TryLock() {
		return false
	}
	defer r.knocking.Unlock()
	if time.Since(r.knocked) < firstWait {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, knockTime)
	defer cancel()
	err := r.client.Ping(ctx).Err()
	r.knocked = time.Now()
	if err != nil {
		r.complain("connect", err)
		return false
	}
	r.known.Store(true)
	return true
}

// check says what is wrong with Redis, for people: whether every server answers, and
// whether what is written can be read.
func (r *remote) check(ctx context.Context) error {
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		if err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			if err := node.Ping(ctx).Err(); err != nil {
				return fmt.Errorf("node %s: %w", node.Options().Addr, err)
			}
			return nil
		}); err != nil {
			return fmt.Errorf("redis: %w", err)
		}
		r.known.Store(true)
	} else if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	value := r.sealer.seal(nil, Key{}, []byte("check"))
	name := r.prefix + "check"
	if err := r.client.Set(ctx, name, value, time.Minute).Err(); err != nil {
		return fmt.Errorf("redis: SET %s: %w", name, err)
	}
	got, err := r.client.Get(ctx, name).Bytes()
	if err != nil {
		return fmt.Errorf("redis: GET %s: %w", name, err)
	}
	if !bytes.Equal(got, value) {
		return fmt.Errorf("redis: GET %s: not what was written: another gateway with another secret uses this Redis", name)
	}
	return nil
}

// name is a key as Redis has it: text, so that its tools and its access rules can be
// used.
func (r *remote) name(key Key) string {
	name := make([]byte, 0, 64)
	return string(base64.RawURLEncoding.AppendEncode(append(name, r.prefix...), key[:]))
}

// complain logs what failed, at most once a minute.
func (r *remote) complain(what string, err error) {
	now := time.Now().Unix()
	if last := r.said.Load(); now-last >= int64(quiet.Seconds()) && r.said.CompareAndSwap(last, now) {
		r.log.Warn("redis failed: the cache goes on", "op", what, "error", err)
	}
}

// close flushes the queue within its bound and ends all connections.
func (r *remote) close() error {
	r.queue.close()
	return r.client.Close()
}

func (r *remote) stats() RedisStats {
	away, full := r.breakers.troubled()
	return RedisStats{
		Hits: r.hits.Load(), Misses: r.misses.Load(), Failures: r.failures.Load(),
		Skipped: r.skipped.Load(), Forged: r.forged.Load(),
		ReadTime: time.Duration(r.reading.Load()),
		Writes:   r.queue.writes.Load(), WriteFailures: r.queue.failures.Load(), Dropped: r.queue.dropped.Load(),
		WriteTime: time.Duration(r.queue.writing.Load()),
		Queued:    len(r.queue.pending), QueuedBytes: r.queue.bytes.Load(),
		Away: away, Full: full, Known: r.known.Load(),
	}
}
