package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a server is made of.
type Config struct {
	// Routes in the order that clients see them; at least one, names unique.
	Routes []*Route
	// Keys that clients may use; none lets everybody in.
	Keys   []string
	Limits Limits
	// Log nil is slog.Default().
	Log *slog.Logger
	// Metrics nil is a registry of the server's own; /metrics shows what is in it.
	Metrics *prometheus.Registry
}

// Limits bound what clients can make the server hold. A zero value is the default.
type Limits struct {
	Body     int64         // bytes of a request's body; default 4 MiB
	Running  int           // requests that generate at a time; default 64
	Waiting  int           // requests that wait for a place; default 256
	Patience time.Duration // for a place; default 30 s
	Grace    time.Duration // for streams at shutdown; default 30 s
}

// DefaultLimits fit one machine with a few models.
func DefaultLimits() Limits {
	return Limits{Body: 4 << 20, Running: 64, Waiting: 256, Patience: 30 * time.Second, Grace: 30 * time.Second}
}

// orDefault fills in what is zero.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.Body == 0 {
		l.Body = d.Body
	}
	if l.Running == 0 {
		l.Running = d.Running
	}
	if l.Waiting == 0 {
		l.Waiting = d.Waiting
	}
	if l.Patience == 0 {
		l.Patience = d.Patience
	}
	if l.Grace == 0 {
		l.Grace = d.Grace
	}
	return l
}

// Server answers the endpoints. It is safe for concurrent use.
type Server struct {
	routes    []*Route
	passes    bool // some route has an upstream
	keys      keyring
	limits    Limits
	log       *slog.Logger
	registry  *prometheus.Registry
	metrics   *metrics
	admission *admission
	draining  atomic.Bool // readyz says no
}

// New panics if the configuration is wired wrongly: no routes, a name twice, a part
// missing.
func New(c Config) *Server {
	if len(c.Routes) == 0 {
		panic("gateway: no routes")
	}
	names, passes := map[string]bool{}, false
	for _, route := range c.Routes {
		route.validate()
		if names[route.Name] {
			panic(fmt.Sprintf("gateway: two routes are named %q", route.Name))
		}
		names[route.Name] = true
		passes = passes || route.Upstream != nil
	}
	s := &Server{routes: c.Routes, passes: passes, keys: newKeyring(c.Keys), limits: c.Limits.orDefault(), log: c.Log, registry: c.Metrics}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.registry == nil {
		s.registry = prometheus.NewRegistry()
	}
	s.metrics = newMetrics(s.registry)
	s.admission = newAdmission(s.limits, s.metrics)
	return s
}

// Serve answers on a listener until ctx is done. Then it takes no new connections,
// lets what runs go on for Limits.Grace, ends the rest, and returns nil.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	running, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	server := &http.Server{
		Handler:           s.Handler(),
		BaseContext:       func(net.Listener) context.Context { return running },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }() // ends with Shutdown or a broken listener
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info("shutting down", "grace", s.limits.Grace.String())
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Grace)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		stop(errShutdown)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err = server.Shutdown(last); err != nil {
			err = errors.Join(err, server.Close())
		}
	}
	return err
}

// newID makes an id that no other answer has.
func newID(prefix string) string {
	var b [12]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}
