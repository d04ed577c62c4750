package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/graft-gateway/graft/gateway/openai"
)

// events writes server-sent events, each flushed as it comes. The headers go out
// with the first one, so that an error before it can still have its status.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	began   bool
}

func newEvents(w http.ResponseWriter) *events {
	return &events{w: w, control: http.NewResponseController(w)}
}

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
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.write(body)
}

// done ends a stream that came to its end.
func (e *events) done() error {
	return errors.Join(e.write([]byte("[DONE]")), e.control.SetWriteDeadline(time.Time{}))
}

// fail ends a stream with an error; clients see it in place of the next event. A
// stream that has not begun gets an ordinary error answer.
func (e *events) fail(err error) error {
	if !e.began {
		return err
	}
	body, merr := json.Marshal(openai.AsError(err))
	if merr == nil {
		_ = e.write(body) // the client may have left; err is what is logged
	}
	return err
}

func (e *events) write(data []byte) error {
	if !e.began {
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		e.began = true
	}
	if err := e.control.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return err
	}
	line := make([]byte, 0, len(data)+len("data: \n\n"))
	line = append(append(append(line, "data: "...), data...), "\n\n"...)
	if _, err := e.w.Write(line); err != nil {
		return err
	}
	return e.control.Flush()
}
