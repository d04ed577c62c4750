package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Events reads server-sent events. One goroutine uses it at a time. Invariants:
//
//   - the attempt has ended if and only if err is not nil;
//   - first is an event that was read ahead and not given out.
type Events struct {
	client   *Client
	op       string
	attempt  *attempt
	response *http.Response
	reader   *eventReader
	untilEOF bool
	first    []byte
	started  bool // there was an event, so that nobody asks again
	err      error
	asked    time.Time // when the next event was
}

// maxEvent is how large an event may be. A row of 150,000 ids has 45 MB where a server
// spells each out in 300 bytes.
const maxEvent = 64 << 20

// stream asks until there is a first event, within bounds.
func (c *Client) stream(ctx context.Context, path string, in any, untilEOF bool) (*Events, error) {
	q, err := newQuestion(path, in)
	if err != nil {
		return nil, err
	}
	return repeat(ctx, c, q.op(), (*Error).passes, func() (*Events, error) {
		response, a, err := c.send(ctx, q)
		if err != nil {
			return nil, err
		}
		if err := c.typed(response, q.op(), "text/event-stream"); err != nil {
			a.end(err)
			response.Body.Close()
			return nil, err
		}
		e := &Events{
			client: c, op: q.op(), attempt: a, response: response, untilEOF: untilEOF,
			reader: newEventReader(response.Body, min(maxEvent, c.endpoint.MaxAnswer)),
		}
		e.reader.idle = e.idle
		first, err := e.Next()
		if err != nil && err != io.EOF {
			e.Close()
			return nil, err
		}
		e.first, e.started = first, true
		a.alive()
		return e, nil
	})
}

// Next returns the data of the next event, valid until the call after. It is io.EOF
// behind the [DONE] that ends a stream; a stream that ends without one was cut, which is
// an error. An event that tells of an error is one, too.
func (e *Events) Next() ([]byte, error) {
	if data := e.first; data != nil {
		e.first = nil
		return data, nil
	}
	if e.err != nil {
		return nil, e.err
	}
	e.asked = time.Now()
	data, err := e.next()
	if err == nil {
		return data, nil
	}
	e.err = err
	if err == io.EOF {
		e.attempt.drain(e.response.Body)
		e.attempt.end(nil)
		return nil, io.EOF
	}
	e.attempt.end(err)
	if e.started {
		e.client.breaker.failed(err)
	}
	return nil, err
}

func (e *Events) next() ([]byte, error) {
	data, bad, err := e.reader.next()
	switch {
	case err == nil && string(bytes.TrimSpace(data)) == "[DONE]":
		return nil, io.EOF
	case err == nil && bad:
		return nil, e.told(data)
	case err == nil:
		if bytes.Contains(data, []byte(`"error"`)) {
			if told, ok := e.client.saidError(e.op, data); ok {
				return nil, told
			}
		}
		return data, nil
	case errors.Is(err, errEventTooLong):
		tooLong := e.client.Malformed(e.op, "an event is larger than %d bytes", e.reader.most)
		tooLong.final = true
		return nil, tooLong
	case err == io.EOF && e.untilEOF:
		return nil, io.EOF
	case err == io.ErrUnexpectedEOF && string(bytes.TrimSpace(e.reader.pending())) == "[DONE]":
		return nil, io.EOF // nothing can be missing but the blank line
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return nil, e.client.clean(&Error{Fault: Unreachable, Op: e.op, Message: "the stream was cut", Err: io.ErrUnexpectedEOF})
	}
	return nil, err
}

// idle ends the waiting for an event when comments alone came for as long as nothing may.
// Servers send them to keep a connection, and could do so for ever.
func (e *Events) idle() error {
	phase := FirstByte
	if e.started {
		phase = Stalling
	}
	limit := e.attempt.limit(phase)
	if time.Since(e.asked) < limit {
		return nil
	}
	late := e.attempt.timedOut(phase)
	late.Message = fmt.Sprintf("%s: no event within %v, but comments", phase, limit)
	return late
}

// told is the error of an event that is named error.
func (e *Events) told(data []byte) *Error {
	if told, ok := e.client.saidError(e.op, data); ok {
		return told
	}
	return e.client.clean(&Error{Fault: Failed, Op: e.op, Message: clip(data)})
}

// Close ends the request, at the server too, if it has not ended: that costs the
// connection. A stream that was read to its end leaves its connection for the next
// request. Close may be called again.
func (e *Events) Close() {
	if e.err == nil {
		e.err = errClosed
		// There was an event, so the server is well.
		e.attempt.end(nil)
	}
	e.first = nil
	e.response.Body.Close()
}

var errClosed = errors.New("the stream was closed")
