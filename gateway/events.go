package gateway

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/graft-gateway/graft/gateway/openai"
)

// events writes server-sent events, each flushed as it comes. The headers go out
// with the first one, so that an error before it can still have its status.
type events struct {
	w     *patientWriter
	began bool
	line  bytes.Buffer // of the event that is being written
}

func newEvents(w http.ResponseWriter) *events { return &events{w: newPatientWriter(w)} }

// open sends the events that begin each choice, once.
func (e *events) open(as shape, choices int) error {
	if e.began {
		return nil
	}
	for i := range choices {
		if event := as.opening(i); event != nil {
			if err := e.send(event); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *events) send(v any) error {
	e.line.Reset()
	e.line.WriteString("data: ")
	if err := encode(&e.line, v); err != nil {
		return err
	}
	return e.write()
}

// done ends a stream that came to its end.
func (e *events) done() error {
	e.line.Reset()
	e.line.WriteString("data: [DONE]")
	return errors.Join(e.write(), e.w.rest())
}

// fail ends a stream with an error; clients see it in place of the next event. A
// stream that has not begun gets an ordinary error answer.
func (e *events) fail(err error) error {
	if e.began {
		// The client may have left; err is what is logged.
		_ = errors.Join(e.send(openai.AsError(err)), e.w.rest())
	}
	return err
}

// write sends the line and the blank one that ends an event.
func (e *events) write() error {
	if !e.began {
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		e.began = true
	}
	e.line.WriteString("\n\n")
	if _, err := e.w.Write(e.line.Bytes()); err != nil {
		return err
	}
	return e.w.control.Flush()
}
