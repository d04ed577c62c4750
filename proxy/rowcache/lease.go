package rowcache

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// lease is a source that its text shares with what is being asked of it: a text may
// leave while others wait for an answer that it began. Invariants:
//
//   - who holds turn is alone with the source, and opens it if nobody has;
//   - the source is closed when the last holder lets go, and not before.
type lease struct {
	turn   chan struct{} // holds one token while the source is free
	open   func() (Source, error)
	source Source // nil until opened; guarded by turn

	mu      sync.Mutex // guards holders
	holders int
}

func newLease(open func() (Source, error)) *lease {
	l := &lease{turn: make(chan struct{}, 1), open: open, holders: 1}
	l.turn <- struct{}{}
	return l
}

func (l *lease) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holders++
}

func (l *lease) release() {
	l.mu.Lock()
	l.holders--
	last := l.holders == 0
	l.mu.Unlock()
	if last && l.source != nil {
		l.source.Close()
	}
}

// use calls work with the source once nobody else does. A panic in it is an error:
// it would end the process, since nobody above this goroutine could catch it.
func (l *lease) use(ctx context.Context, work func(Source) error) (err error) {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
		l.turn <- struct{}{}
	}()
	if l.source == nil {
		if l.source, err = l.open(); err != nil {
			l.source = nil
			return err
		}
	}
	return work(l.source)
}
