package proxy

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// breaker leaves a server alone that fails again and again. Closed, it lets all requests
// through; open, none for a pause; half-open, one, whose outcome closes or opens it.
//
// Failures are what the server must answer for: no connection, time-outs, 5xx. That it
// refuses a request, or has too many of them, shows that it is alive. An answer that means
// nothing, or that nobody waited for, says neither. A request that fails again and again is
// one failure, so that one which no server can answer does not close the way for all.
type breaker struct {
	steps  *gobreaker.TwoStepCircuitBreaker[any] // nil never opens
	pause  time.Duration
	opened atomic.Int64 // when it last did, in nanoseconds since 1970
	times  atomic.Uint64
}

// probing is how long whoever comes while the one probe runs is told to wait.
const probing = time.Second

func newBreaker(settings Breaker) *breaker {
	b := &breaker{pause: settings.Pause}
	if settings.Failures < 0 {
		return b
	}
	b.steps = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		MaxRequests:  1,
		Timeout:      settings.Pause,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= uint32(settings.Failures) },
		IsSuccessful: func(err error) bool { return !blamed(err) },
		IsExcluded:   saysNothing,
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.opened.Store(time.Now().UnixNano())
				b.times.Add(1)
			}
		},
	})
	return b
}

// errTried is a failure that failed counts, or that the next try makes good.
var errTried = errors.New("tried")

// allow returns how to report the outcome of a try, or nil and when to come back. Unless
// the try is the probe, a failure counts only when failed is told of it.
func (b *breaker) allow() (report func(error), wait time.Duration) {
	if b.steps == nil {
		return func(error) {}, 0
	}
	done, err := b.steps.Allow()
	switch {
	case err == nil:
		return func(err error) {
			if blamed(err) && b.steps.State() == gobreaker.StateClosed {
				err = errTried
			}
			done(err)
		}, 0
	case errors.Is(err, gobreaker.ErrTooManyRequests):
		return nil, probing
	}
	wait = b.pause - time.Since(time.Unix(0, b.opened.Load()))
	return nil, max(wait, time.Millisecond)
}

// failed counts a request that failed in the end, or in the middle of its answer.
func (b *breaker) failed(err error) {
	if b.steps == nil || !blamed(err) {
		return
	}
	if report, refused := b.steps.Allow(); refused == nil {
		report(err)
	}
}

// probes says whether one request is let through to see whether the server is back.
func (b *breaker) probes() bool {
	return b.steps != nil && b.steps.State() == gobreaker.StateHalfOpen
}

// state is closed, half-open or open.
func (b *breaker) state() string {
	if b.steps == nil {
		return gobreaker.StateClosed.String()
	}
	return b.steps.State().String()
}

// blamed says whether the server must answer for it.
func blamed(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Fault {
	case Unreachable, TimedOut:
		return true
	case Overloaded:
		return e.Status != http.StatusTooManyRequests
	case Failed:
		return e.Status != http.StatusNotImplemented
	}
	return false
}

// saysNothing says whether an outcome tells nothing of the server.
func saysNothing(err error) bool {
	if err == nil {
		return false
	}
	var e *Error
	return !errors.As(err, &e) || e.Fault == Malformed
}
