package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	queueValues = 4096     // values that wait at most
	queueBytes  = 64 << 20 // their bytes
	writers     = 4
	// flushTime bounds what Close waits for the queue.
	flushTime = time.Second
)

// pending is a value on its way to Redis. Nobody changes it.
type pending struct {
	key   Key
	value []byte
	ttl   time.Duration
}

// queue writes to Redis behind the requests. Invariants:
//
//   - add never waits: what finds no room is dropped and counted;
//   - bytes counts the values that wait or are being written, and add keeps it within
//     queueBytes;
//   - the writers end with close, which returns when they have.
type queue struct {
	remote  *remote
	pending chan pending
	closing chan struct{} // closed by close
	once    sync.Once
	ctx     context.Context // ends what the writers do
	cancel  context.CancelFunc
	writers sync.WaitGroup

	bytes                     atomic.Int64
	writes, failures, dropped atomic.Uint64
	writing                   atomic.Int64 // nanoseconds
}

func startQueue(r *remote) *queue {
	q := &queue{remote: r, pending: make(chan pending, queueValues), closing: make(chan struct{})}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	for range writers {
		q.writers.Go(q.run)
	}
	return q
}

// add queues a value, which nobody may change any more.
func (q *queue) add(w pending) {
	select {
	case <-q.closing:
		q.dropped.Add(1)
		return
	default:
	}
	size := int64(len(w.value))
	if size > MaxRedisValue {
		q.dropped.Add(1)
		return
	}
	if q.bytes.Add(size) > queueBytes {
		q.bytes.Add(-size)
		q.dropped.Add(1)
		return
	}
	select {
	case q.pending <- w:
	default:
		q.bytes.Add(-size)
		q.dropped.Add(1)
	}
}

// run is one writer. A cluster is looked for before there is anything to write.
func (q *queue) run() {
	q.remote.knock(q.ctx)
	for {
		select {
		case w := <-q.pending:
			q.write(w)
		case <-q.closing:
			q.flush()
			return
		}
	}
}

// flush writes what is left, until it is cancelled.
func (q *queue) flush() {
	for {
		select {
		case w := <-q.pending:
			q.write(w)
		default:
			return
		}
	}
}

func (q *queue) write(w pending) {
	defer q.bytes.Add(-int64(len(w.value)))
	if q.ctx.Err() != nil {
		q.dropped.Add(1)
		return
	}
	began := time.Now()
	err := q.remote.write(q.ctx, w)
	switch {
	case held(err):
		q.dropped.Add(1)
		return
	case err != nil:
		q.failures.Add(1)
	default:
		q.writes.Add(1)
	}
	q.writing.Add(int64(time.Since(began)))
}

// close lets the writers go on for flushTime and then ends them.
func (q *queue) close() {
	q.once.Do(func() { close(q.closing) })
	stop := time.AfterFunc(flushTime, q.cancel)
	defer stop.Stop()
	q.writers.Wait()
	q.cancel()
}
