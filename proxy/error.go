package proxy

import (
	"fmt"
	"net/http"
	"time"
)

// Fault says what went wrong at a base server.
type Fault string

const (
	Unreachable Fault = "unreachable" // no connection, or it broke
	TimedOut    Fault = "timed out"   // a phase took longer than its time-out
	Overloaded  Fault = "overloaded"  // 429 or 503: it answers later
	Failed      Fault = "failed"      // any other 5xx
	Refused     Fault = "refused"     // any other status: the request is wrong for it
	Malformed   Fault = "malformed"   // an answer that is not the protocol's
	Changed     Fault = "changed"     // another model than the one that was recognised
	Open        Fault = "open"        // the circuit breaker let no request through
)

// Phase is a part of a request that has a time-out of its own.
type Phase string

const (
	// Connecting is until there is a connection, TLS included.
	Connecting Phase = "connect"
	// FirstByte is from then on until the first byte of the answer's body.
	FirstByte Phase = "first byte"
	// Stalling is from one byte of the body to the next.
	Stalling Phase = "stall"
)

// Error is a failure of a base server. Its text is for logs and operators: it may hold
// what the server said, but neither the server's key nor credentials of its URL.
type Error struct {
	Fault      Fault
	Base       string        // its name in the configuration
	Op         string        // what was asked, such as "POST /v1/completions"
	Phase      Phase         // of TimedOut: what took too long; empty otherwise
	Status     int           // of the server's answer, 0 if there was none
	RetryAfter time.Duration // when to come back, 0 if nobody said
	Message    string        // what the server said, or what is wrong with its answer; may be empty
	Err        error         // may be nil

	final  bool // asking again cannot help
	unsent bool // there was no connection: nothing of the request reached the server
}

func (e *Error) Error() string {
	s := fmt.Sprintf("base %s: %s: %s", e.Base, e.Op, e.Fault)
	if e.Status != 0 {
		s += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// passes says whether the server may answer if it is asked again. A request that waited
// long for its answer is not worth the same wait again.
func (e *Error) passes() bool {
	switch e.Fault {
	case Unreachable, Malformed:
		return !e.final
	case TimedOut:
		return e.Phase == Connecting
	case Failed:
		return e.Status != http.StatusNotImplemented
	}
	return e.Fault == Overloaded
}

// HTTPStatus is what a client of the gateway gets for it.
func (e *Error) HTTPStatus() int {
	switch {
	case e.Fault == TimedOut:
		return http.StatusGatewayTimeout
	case e.Fault == Overloaded && e.Status == http.StatusTooManyRequests:
		return http.StatusTooManyRequests
	case e.Fault == Overloaded, e.Fault == Unreachable, e.Fault == Open, e.Fault == Changed:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// Public is what a client of the gateway may know of it: nothing of where the server is
// or what it said.
func (e *Error) Public() string {
	switch e.Fault {
	case TimedOut:
		return "the base model's server did not answer in time; try again"
	case Overloaded:
		return "the base model's server is overloaded; try again later"
	case Unreachable, Open:
		return "the base model's server cannot be reached; try again later"
	case Changed:
		return "the base model's server was restarted with another model; ask again"
	case Refused:
		return "the base model's server refused the request; the gateway's log says why"
	}
	return "the base model's server failed to answer; the gateway's log says why"
}

// RetryDelay is when the client may come back, 0 for unknown.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }
