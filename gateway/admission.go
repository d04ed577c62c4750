package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/graft-gateway/graft/gateway/openai"
)

// admission lets a number of requests do what costs (rendering, tokenizing and
// generating), lets a number wait, and sends others away. A request holds one place in waiting until it runs, and one in running until it
// is done; both channels count places and are never closed.
type admission struct {
	running  chan struct{}
	waiting  chan struct{}
	patience time.Duration
	metrics  *metrics
}

func newAdmission(limits Limits, m *metrics) *admission {
	return &admission{
		running:  make(chan struct{}, limits.Running),
		waiting:  make(chan struct{}, limits.Running+limits.Waiting),
		patience: limits.Patience,
		metrics:  m,
	}
}

// enter returns when the request may run; leave must then be called once. It fails
// with a 429 if the queue is full or the wait too long, and with ctx's error.
func (a *admission) enter(ctx context.Context) (leave func(), err error) {
	select {
	case a.waiting <- struct{}{}:
	default:
		a.metrics.rejected.WithLabelValues("full").Inc()
		return nil, openai.RateLimited(time.Second, "the queue is full; try again later")
	}
	began := time.Now()
	a.metrics.queued.Inc()
	defer a.metrics.queued.Dec()
	timer := time.NewTimer(a.patience)
	defer timer.Stop()
	select {
	case a.running <- struct{}{}:
		a.metrics.waited.Observe(time.Since(began).Seconds())
		return func() { <-a.running; <-a.waiting }, nil
	case <-timer.C:
		<-a.waiting
		a.metrics.rejected.WithLabelValues("timeout").Inc()
		return nil, openai.RateLimited(time.Second, fmt.Sprintf("no place came free within %v; try again later", a.patience))
	case <-ctx.Done():
		<-a.waiting
		return nil, ctx.Err()
	}
}
