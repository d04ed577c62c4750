package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/graft-gateway/graft/eft/decode"
)

// notes are what the log line of a request tells. A request's goroutines write them
// through [note].
type notes struct {
	mu           sync.Mutex // guards what follows
	route        string
	passed       bool // to the route's upstream: nobody counted tokens
	promptTokens int
	report       decode.Report
	status       int // where it is not what was written
	err          error

	answer middleware.WrapResponseWriter
}

type notesKey struct{}

// note writes to the request's notes.
func note(ctx context.Context, write func(*notes)) {
	if n, ok := ctx.Value(notesKey{}).(*notes); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		write(n)
	}
}

// began says that some of the answer has been written.
func began(ctx context.Context) bool {
	n, ok := ctx.Value(notesKey{}).(*notes)
	return ok && n.answer.Status() != 0
}

// observe counts every request and logs it in one line: at debug level what only
// asks for health or metrics.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived := time.Now()
		n := &notes{answer: middleware.NewWrapResponseWriter(w, r.ProtoMajor)}
		id := newID("req-")
		w.Header().Set("X-Request-Id", id)
		ctx := context.WithValue(r.Context(), notesKey{}, n)
		defer func() { s.observed(n, r.WithContext(ctx), id, arrived) }() // of a panic too
		next.ServeHTTP(n.answer, r.WithContext(ctx))
	})
}

// observed counts and logs a request that is over.
func (s *Server) observed(n *notes, r *http.Request, id string, arrived time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	status := n.status
	if status == 0 {
		status = max(n.answer.Status(), http.StatusOK)
	}
	pattern := "unknown"
	if route := chi.RouteContext(r.Context()); route != nil && route.RoutePattern() != "" {
		pattern = route.RoutePattern()
	}
	took := time.Since(arrived)
	s.metrics.requests.WithLabelValues(n.route, pattern, strconv.Itoa(status)).Inc()
	if n.route != "" {
		s.metrics.duration.WithLabelValues(n.route).Observe(took.Seconds())
	}
	level := slog.LevelInfo
	if n.route == "" && r.Method != http.MethodPost {
		level = slog.LevelDebug
	}
	s.log.LogAttrs(r.Context(), level, "request", n.attributes(r, id, status, took)...)
}

func (n *notes) attributes(r *http.Request, id string, status int, took time.Duration) []slog.Attr {
	attributes := []slog.Attr{
		slog.String("id", id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", status), slog.Float64("seconds", took.Seconds()),
	}
	if n.route != "" {
		attributes = append(attributes, slog.String("route", n.route))
	}
	if n.passed { // the status is the base's server's, if there is no error
		attributes = append(attributes, slog.Bool("passed", true))
	}
	if n.route != "" && !n.passed {
		attributes = append(attributes,
			slog.Int("prompt_tokens", n.promptTokens), slog.Int("completion_tokens", n.report.Tokens),
			slog.Int("changed_tokens", n.report.Changed))
	}
	if n.err != nil {
		attributes = append(attributes, slog.String("error", n.err.Error()))
	}
	return attributes
}
