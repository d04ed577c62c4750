package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/openai"
)

// statusClientGone is logged and counted when a client left before its answer; nobody
// receives it (nginx's number).
const statusClientGone = 499

// errShutdown ends what the time for shutting down did not suffice for.
var errShutdown = errors.New("the server is shutting down")

// endpoint is a handler that returns what went wrong instead of writing it.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// baseFault is how a base's server failed. Its own text is for the log.
type baseFault interface {
	error
	HTTPStatus() int           // what a client gets for it
	Public() string            // what a client may know of it
	RetryDelay() time.Duration // when the client may come back, 0 for unknown
}

// errCut is what happened to a forwarded answer whose end never came.
var errCut = errors.New("the base's server broke off its answer")

// serve writes what an endpoint returns, logs what is ours to mend, and turns a panic
// into a 500. An answer that was forwarded and broke off must break off for the client
// too, who could take it for a whole one: that panic goes on to net/http.
func (s *Server) serve(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				err := r.Context().Err() // of a client that left
				if err == nil {
					err = openai.BaseFailed(http.StatusBadGateway, errCut.Error(), 0, errCut)
				}
				s.fail(w, r, err)
				panic(v)
			default:
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
	e := openai.AsError(err)
	s.tell(r, e)
	if began(r.Context()) {
		note(r.Context(), func(n *notes) { n.status = e.Status })
		return
	}
	openai.WriteError(w, e)
}

// tell logs a failure of ours or of a base's server with its cause, once: the
// request's own line says what the client was told. A base's failures are warnings, and
// counted.
func (s *Server) tell(r *http.Request, e *openai.Error) {
	route, noted, level, message := "", error(e), slog.LevelError, "request failed"
	var fault baseFault
	ofBase := errors.As(e, &fault) || errors.Is(e, errCut)
	if ofBase {
		level, message = slog.LevelWarn, "base failed"
	}
	alone := ofBase || e.Status >= http.StatusInternalServerError
	if alone {
		noted = errors.New(e.Message)
	}
	note(r.Context(), func(n *notes) { n.err, route = noted, n.route })
	if ofBase {
		s.metrics.baseFailures.WithLabelValues(route, strconv.Itoa(e.Status)).Inc()
	}
	if alone {
		// As text: an error object marshals without its cause.
		s.log.LogAttrs(r.Context(), level, message, slog.String("path", r.URL.Path), slog.String("route", route), slog.String("error", e.Error()))
	}
}

// stopping says that the request was ended by the server's own shutdown.
func stopping(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errShutdown) }

// public tells a request that the shutdown ended what happened to it, and puts what a
// base's server did in OpenAI's words; other errors stay as they are.
func public(ctx context.Context, err error) error {
	var known *openai.Error
	var fault baseFault
	switch {
	case stopping(ctx):
		return openai.Unavailable("the server is shutting down; try another replica", time.Second, err)
	case errors.As(err, &known):
		return err
	case errors.As(err, &fault):
		return openai.BaseFailed(fault.HTTPStatus(), fault.Public(), fault.RetryDelay(), err)
	case errors.Is(err, eft.ErrMasked):
		return openai.BadRequest("", openai.CodeInvalidValue, "%v; lower them", err)
	}
	return err
}

// encoder is an answer that knows how to write itself, since it can be large.
type encoder interface{ Encode(w io.Writer) error }

// encode writes v as JSON.
func encode(w io.Writer, v any) error {
	if e, ok := v.(encoder); ok {
		return e.Encode(w)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(body)
	return err
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	writer := newPatientWriter(w)
	if err := encode(writer, v); err != nil {
		return err
	}
	if _, err := writer.Write([]byte("\n")); err != nil {
		return err
	}
	return writer.rest()
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
