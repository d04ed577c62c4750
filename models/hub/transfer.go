package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v6"
)

// persist calls try until it succeeds, fails for good (backoff.Permanent), or
// Options.Tries in a row brought nothing. A try that brought something says so by
// calling progressed.
func (h *Hub) persist(ctx context.Context, try func(progressed func()) error, retrying func(error, time.Duration)) error {
	p := &patience{most: h.options.Tries, ExponentialBackOff: &backoff.ExponentialBackOff{
		InitialInterval: 500 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: 30 * time.Second,
	}}
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, try(p.progressed) },
		backoff.WithBackOff(p), backoff.WithMaxElapsedTime(0), backoff.WithNotify(retrying))
	failed := backoff.AsRetryError(err)
	switch {
	case failed == nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(failed.Cause, backoff.ErrExhausted):
		return fmt.Errorf("%w (%d tries)", failed.LastErr, p.failures)
	}
	return failed.LastErr
}

// patience counts what backoff does not: tries in a row that brought nothing. Waits
// that a server asked for count as well, so that none can ask for ever.
type patience struct {
	*backoff.ExponentialBackOff
	most, failures int
}

func (p *patience) progressed() {
	p.failures = 0
	p.Reset()
}

// NextBackOff implements backoff.BackOff.
func (p *patience) NextBackOff() time.Duration {
	if p.failures++; p.failures >= p.most {
		return backoff.Stop
	}
	return p.ExponentialBackOff.NextBackOff()
}

// do sends a request and gives up when nothing comes for Options.Idle, neither an
// answer nor more of it. Errors name the host and leave the address out, which may
// hold a signature.
func (h *Hub) do(client *http.Client, request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	idle := stalled{h.options.Idle}
	timer := time.AfterFunc(h.options.Idle, func() { cancel(idle) })
	response, err := client.Do(request.WithContext(ctx))
	timer.Stop()
	if err != nil {
		defer cancel(nil)
		host := request.URL.Host
		if failed := new(url.Error); errors.As(err, &failed) {
			err = failed.Err
			if at, parsed := url.Parse(failed.URL); parsed == nil && at.Host != "" {
				host = at.Host
			}
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, unreachable{host, err}
	}
	response.Body = &watched{body: response.Body, host: response.Request.URL.Host, timer: timer, idle: h.options.Idle, ctx: ctx, cancel: cancel}
	return response, nil
}

// watched is a body that ends when nothing more comes. The time in between reads,
// when it is we who are slow, does not count.
type watched struct {
	body   io.ReadCloser
	host   string
	timer  *time.Timer
	idle   time.Duration
	ctx    context.Context // of this one request, to tell why it ended
	cancel context.CancelCauseFunc
}

// Read implements io.Reader.
func (w *watched) Read(dst []byte) (int, error) {
	w.timer.Reset(w.idle)
	n, err := w.body.Read(dst)
	w.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(w.ctx); cause != nil {
			err = cause
		}
		err = broken{w.host, err}
	}
	return n, err
}

// Close implements io.Closer.
func (w *watched) Close() error {
	w.timer.Stop()
	err := w.body.Close()
	w.cancel(nil)
	return err
}

type stalled struct{ idle time.Duration }

func (s stalled) Error() string { return fmt.Sprintf("nothing came for %v", s.idle) }

// broken is a transfer that ended before its end.
type broken struct {
	host string
	err  error
}

func (b broken) Error() string {
	if errors.Is(b.err, io.ErrUnexpectedEOF) {
		return b.host + " ended the transfer too early"
	}
	return fmt.Sprintf("the transfer from %s broke: %v", b.host, b.err)
}
func (b broken) Unwrap() error { return b.err }

// unreachable is a request that got no answer.
type unreachable struct {
	host string
	err  error
}

func (u unreachable) Error() string {
	return fmt.Sprintf("%s cannot be reached: %v", u.host, u.err)
}
func (u unreachable) Unwrap() error { return u.err }

// hopeless tells errors that another try soon after will not mend, where nothing has
// worked yet: a wrong address, or no network at all.
func hopeless(err error) bool {
	var name *net.DNSError
	return errors.As(err, &name) && name.IsNotFound || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)
}
