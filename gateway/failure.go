package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/graft-gateway/graft/gateway/openai"
)

// statusClientGone is logged and counted when a client left before its answer; nobody
// receives it (nginx's number).
const statusClientGone = 499

// A client must send its body, and take each piece of its answer, in these times.
const (
	readPatience  = time.Minute
	writePatience = 30 * time.Second
)

// errShutdown ends what the time for shutting down did not suffice for.
var errShutdown = errors.New("the server is shutting down")

// endpoint is a handler that returns what went wrong instead of writing it.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// serve writes what an endpoint returns, logs what is ours to mend, and turns a panic
// into a 500.
func (s *Server) serve(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				s.log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.Any("value", v), slog.String("stack", string(debug.Stack())))
				s.fail(w, r, openai.Internal(errors.New("panic")))
			}
		}()
		if err := e(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// fail is the one place that writes errors. It writes nothing where the answer has
// begun or nobody is there to read.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	err = public(r.Context(), err)
	if r.Context().Err() != nil && !stopping(r.Context()) {
		note(r.Context(), func(n *notes) { n.status, n.err = statusClientGone, err })
		return
	}
	note(r.Context(), func(n *notes) { n.err = err })
	e := openai.AsError(err)
	if e.Status >= http.StatusInternalServerError {
		s.log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	if began(r.Context()) {
		note(r.Context(), func(n *notes) { n.status = e.Status })
		return
	}
	openai.WriteError(w, e)
}

// stopping says that the request was ended by the server's own shutdown.
func stopping(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errShutdown) }

// public tells a request that the shutdown ended what happened to it; other errors
// stay as they are.
func public(ctx context.Context, err error) error {
	if stopping(ctx) {
		return openai.Unavailable("the server is shutting down; try another replica", time.Second, err)
	}
	return err
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return err
	}
	if _, err = w.Write(append(body, '\n')); err != nil {
		return err
	}
	return control.SetWriteDeadline(time.Time{})
}

// readBody reads what the limit of the server lets through.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(readPatience)); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, openai.TooLarge(large.Limit)
	}
	if err != nil {
		return nil, openai.BadRequest("", openai.CodeInvalidJSON, "the request's body could not be read to its end")
	}
	// The connection is read on while the answer is made, to see the client leave.
	return body, control.SetReadDeadline(time.Time{})
}
