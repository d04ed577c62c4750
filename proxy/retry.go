package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v6"
)

const (
	// firstWait is before the first retry, give or take half; each further one waits
	// twice as long, up to longestWait.
	firstWait   = 100 * time.Millisecond
	longestWait = 2 * time.Second
	// longestAsked is the longest Retry-After that is waited for.
	longestAsked = 10 * time.Second
	// retryFor is how long after the first try another one may begin.
	retryFor = 30 * time.Second
)

// repeat tries until it works, the error is one that again does not repeat, the retries
// or retryFor are used up, or the caller's context ends.
func repeat[T any](ctx context.Context, c *Client, op string, again func(*Error) bool, try func() (T, error)) (T, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.Multiplier, policy.MaxInterval = firstWait, 2, longestWait
	var last *Error
	result, err := backoff.Retry(ctx, func() (T, error) {
		result, err := try()
		var e *Error
		switch {
		case err == nil:
			return result, nil
		case !errors.As(err, &e):
			return result, backoff.Permanent(err)
		case e.Fault == Open && last != nil:
			// What opened the breaker says more than that it is open.
			last.RetryAfter = max(last.RetryAfter, e.RetryAfter)
			return result, backoff.Permanent(last)
		}
		last = e
		if !again(e) || e.RetryAfter > longestAsked {
			return result, backoff.Permanent(e)
		}
		if e.RetryAfter > 0 {
			// Not all at once that were told the same time.
			wait := e.RetryAfter + rand.N(e.RetryAfter/10+1)
			return result, errors.Join(e, &backoff.RetryAfterError{Duration: wait})
		}
		return result, e
	},
		backoff.WithBackOff(policy),
		backoff.WithMaxTries(uint(1+max(0, c.endpoint.Retries))),
		backoff.WithMaxElapsedTime(retryFor),
		backoff.WithNotify(func(error, time.Duration) { c.meter.retry() }),
	)
	if err == nil {
		return result, nil
	}
	var zero T
	switch {
	case ctx.Err() != nil && last != nil:
		return zero, fmt.Errorf("%w (before: %v)", c.left(ctx, op), last)
	case ctx.Err() != nil:
		return zero, c.left(ctx, op)
	case last != nil && errors.Is(err, last):
		c.breaker.failed(last)
		return zero, last
	}
	return zero, backoff.AsRetryError(err).LastErr
}
