package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// attempt is one request on its way, from the breaker's leave to the end of the answer's
// body. Invariants:
//
//   - its end is called exactly once, by whoever knows how it came out;
//   - at most one phase runs at a time, and none while the caller looks at what came;
//   - late is set only by a timer, before it cancels the request.
type attempt struct {
	client *Client
	op     string
	caller context.Context
	ctx    context.Context // the caller's, cancelled when a phase is over its time
	cancel context.CancelCauseFunc
	report func(error) // to the breaker

	mu        sync.Mutex // guards what follows
	phase     Phase      // that runs; empty is none
	due       time.Time  // when it must be over
	timer     *time.Timer
	whole     *time.Timer // until the answer must be there whole; nil for a stream
	late      *Error
	connected bool
	spent     spent
	mark      time.Time // when the part that is measured began
}

// begin asks the breaker for leave. The caller must call end.
func (c *Client) begin(caller context.Context, op string) (*attempt, error) {
	if caller.Err() != nil {
		return nil, c.left(caller, op)
	}
	report, wait := c.breaker.allow()
	if report == nil {
		e := c.clean(&Error{Fault: Open, Op: op, RetryAfter: wait, Message: "it failed again and again, and is left alone for a while"})
		c.meter.count(e)
		return nil, e
	}
	a := &attempt{client: c, op: op, caller: caller, report: report, mark: time.Now()}
	a.ctx, a.cancel = context.WithCancelCause(caller)
	return a, nil
}

// end says how it came out: nil is well. It is called exactly once.
func (a *attempt) end(err error) {
	a.mu.Lock()
	a.phase = ""
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.whole != nil {
		a.whole.Stop()
	}
	if a.spent.begun {
		a.spent.body = time.Since(a.mark)
	}
	spent := a.spent
	a.mu.Unlock()
	a.cancel(nil)
	a.report(err)
	a.client.meter.count(err)
	a.client.meter.spend(spent)
}

// roundTrip sends the request. The answer's body keeps to the phases, too.
func (a *attempt) roundTrip(request *http.Request) (*http.Response, error) {
	a.enter(Connecting)
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { a.enter(Connecting) },
		GotConn: a.gotConn,
	}
	request = request.WithContext(httptrace.WithClientTrace(a.ctx, trace))
	response, err := a.client.transport.RoundTrip(request)
	if err != nil {
		return nil, a.failed(err)
	}
	response.Body = &body{attempt: a, raw: response.Body}
	return response, nil
}

func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.mu.Lock()
	a.connected = true
	now := time.Now()
	if !info.Reused {
		a.spent.connect, a.spent.dialled = now.Sub(a.mark), true
	}
	a.mark = now
	a.mu.Unlock()
	a.enter(FirstByte)
}

// enter begins a phase, and with it its time-out.
func (a *attempt) enter(phase Phase) {
	limit := a.limit(phase)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase, a.due = phase, time.Now().Add(limit)
	if a.timer == nil {
		a.timer = time.AfterFunc(limit, a.expire)
		return
	}
	a.timer.Reset(limit)
}

// wholeStalls is how many stalls' time an answer that is no stream may take from its
// headers on: one that comes byte by byte, each in time, must end, too.
const wholeStalls = 10

// bound gives the rest of an answer that is read as a whole its time.
func (a *attempt) bound() {
	limit := wholeStalls * a.client.endpoint.Timeouts.Stall
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whole = time.AfterFunc(limit, func() {
		late := a.client.clean(&Error{Fault: TimedOut, Op: a.op, Phase: Stalling,
			Message: fmt.Sprintf("stall: the answer went on for %v (ten times timeouts.stall) and had no end", limit)})
		a.mu.Lock()
		a.late = late
		a.mu.Unlock()
		a.cancel(late)
	})
}

// rest ends the phase that runs: the server owes nothing until the next one begins.
func (a *attempt) rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = ""
	a.timer.Stop()
}

// firstByte is when the answer's body begins, or ends without a byte.
func (a *attempt) firstByte() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.spent.firstByte, a.spent.begun = now.Sub(a.mark), true
	a.mark = now
}

func (a *attempt) limit(phase Phase) time.Duration {
	switch phase {
	case Connecting:
		return a.client.endpoint.Timeouts.Connect
	case FirstByte:
		return a.client.endpoint.Timeouts.FirstByte
	case draining:
		return drainFor
	}
	return a.client.endpoint.Timeouts.Stall
}

// expire is called by the timer. It may come late, when its phase is over and another one
// runs.
func (a *attempt) expire() {
	a.mu.Lock()
	if a.phase == "" || time.Now().Before(a.due) {
		a.mu.Unlock()
		return
	}
	a.late = a.timedOut(a.phase)
	a.mu.Unlock()
	a.cancel(a.late)
}

func (a *attempt) timedOut(phase Phase) *Error {
	limit, what := a.limit(phase), ""
	switch phase {
	case Connecting:
		what = fmt.Sprintf("connect: no connection within %v", limit)
	case FirstByte:
		what = fmt.Sprintf("first byte: nothing of the answer within %v", limit)
	default:
		what = fmt.Sprintf("stall: the answer stopped in the middle, and nothing came for %v", limit)
	}
	return a.client.clean(&Error{Fault: TimedOut, Op: a.op, Phase: phase, Message: what, unsent: phase == Connecting})
}

// draining is reading on behind what an answer says, for no longer than drainFor: a body
// that was read to its end gives its connection back, and the next request needs no new
// one, behind which another model might be.
const (
	draining Phase = "drain"
	drainFor       = 100 * time.Millisecond
	drainAll       = 4 << 10 // bytes
)

func (a *attempt) drain(rest io.Reader) {
	b, ok := rest.(*body)
	if !ok {
		return
	}
	a.enter(draining)
	_, _ = io.Copy(io.Discard, io.LimitReader(b.raw, drainAll)) // at worst the connection is lost
}

// alive tells the breaker early that all is well, if this is the one request by which it
// finds out whether the server is back: others need not wait for the end of a stream.
func (a *attempt) alive() {
	if a.client.breaker.probes() {
		a.report(nil)
		a.report = func(error) {}
	}
}

// failed says what an error of the transport, or of reading a body, means.
func (a *attempt) failed(err error) error {
	a.mu.Lock()
	late, connected, begun := a.late, a.connected, a.spent.begun
	a.mu.Unlock()
	var network net.Error
	switch {
	case late != nil && context.Cause(a.ctx) == error(late):
		return late
	case a.caller.Err() != nil:
		return a.client.left(a.caller, a.op)
	case !connected && errors.As(err, &network) && network.Timeout():
		return a.timedOut(Connecting)
	}
	e := &Error{Fault: Unreachable, Op: a.op, Err: err, unsent: !connected}
	switch {
	case begun && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		e.Message, e.Err = "the answer was cut", io.ErrUnexpectedEOF
	case begun:
		e.Message = "the connection broke in the middle of the answer"
	case connected:
		e.Message = "the connection broke before there was an answer"
	default:
		e.Message, e.final = hopeless(err)
	}
	return a.client.clean(e)
}

// hopeless says what to mend where another try would end as this one did.
func hopeless(err error) (string, bool) {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &certificate):
		return "its certificate is not trusted; set tls.ca to the authority's file, or tls.server_name", true
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it speaks no TLS; is it http?", true
	case errors.As(err, &alert):
		return "it ended the TLS handshake; does it want a certificate (tls.cert, tls.key)?", true
	}
	return "", false
}

// left is what comes of a request whose caller has gone.
func (c *Client) left(caller context.Context, op string) error {
	return fmt.Errorf("base %s: %s: %w", c.endpoint.Name, op, caller.Err())
}

// body is an answer's body that keeps to the phases.
type body struct {
	attempt *attempt
	raw     io.ReadCloser
	begun   bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.begun {
		b.attempt.enter(Stalling)
	}
	n, err := b.raw.Read(p)
	if n == 0 && err == nil {
		return 0, nil
	}
	b.attempt.rest()
	if !b.begun {
		b.begun = true
		if n > 0 || errors.Is(err, io.EOF) {
			b.attempt.firstByte()
		}
	}
	if err != nil && err != io.EOF {
		err = b.attempt.failed(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error { return b.raw.Close() }
