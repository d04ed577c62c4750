package proxytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// Server is a base server with faults. The address stays the same through Down, Hang,
// Up and Restart. It ends with the test.
type Server struct {
	URL string // http://127.0.0.1:PORT

	t       testing.TB
	address string
	closed  chan struct{} // closed by the end of the test: ends every stall

	mu          sync.Mutex // guards what follows
	handler     http.Handler
	serving     *http.Server // nil while down
	listener    net.Listener // of serving
	hung        *hung        // not nil while hanging
	orders      []*order
	requests    []Request
	running     int
	changed     chan struct{} // closed when running or struck changes, and made anew
	connections int
	drop        int
	struck      int
}

// Request is what was asked.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
	Connection          int  // number of the connection it came on, from 1
	Reused              bool // that connection had carried a request before
}

// New starts a server that answers as handler does.
func New(t testing.TB, handler http.Handler) *Server {
	t.Helper()
	s := &Server{t: t, handler: handler, closed: make(chan struct{}), changed: make(chan struct{}), address: "127.0.0.1:0"}
	s.Up()
	t.Cleanup(func() {
		close(s.closed)
		s.Down()
		s.Quiet()
	})
	return s
}

// Before starts a server that stands before another one, streams untouched.
func Before(t testing.TB, target string) *Server {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return New(t, &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u) },
		FlushInterval: -1,
		Transport:     transport,
		ErrorLog:      log.New(io.Discard, "", 0),
	})
}

// Break orders faults. For a request the first order counts that picks it and is not
// used up.
func (s *Server) Break(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		left := f.Times
		if left == 0 {
			left = 1
		}
		s.orders = append(s.orders, &order{Fault: f, skip: f.Skip, left: left})
	}
}

// Mend cancels all orders.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders, s.drop = nil, 0
}

// Struck is how many answers had their fault. One that is ordered behind more bytes or
// events than an answer has does not strike.
func (s *Server) Struck() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.struck
}

// Requests is what was asked so far, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Connections is how many connections were accepted so far, dropped ones included.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Quiet waits until no request is under way, and fails the test if that does not happen.
func (s *Server) Quiet() {
	s.t.Helper()
	s.await("requests are still under way: nobody stopped them", func() bool { return s.running == 0 })
}

// AwaitStruck waits until n answers had their fault, and fails the test if that does not
// happen.
func (s *Server) AwaitStruck(n int) {
	s.t.Helper()
	s.await("a fault that was ordered did not strike", func() bool { return s.struck >= n })
}

func (s *Server) await(otherwise string, holds func() bool) {
	s.t.Helper()
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		s.mu.Lock()
		held, changed := holds(), s.changed
		s.mu.Unlock()
		if held {
			return
		}
		select {
		case <-changed:
		case <-over.C:
			s.t.Errorf("proxytest: after %v %s", patience, otherwise)
			return
		}
	}
}

// change changes what others may wait for.
func (s *Server) change(do func(*Server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s)
	close(s.changed)
	s.changed = make(chan struct{})
}

type connectionKey struct{}

// connection is what is known of one connection.
type connection struct {
	number int
	used   bool // guarded by Server.mu
}

// ServeHTTP records the request and answers it, rightly or not.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left in the middle of it
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	asked := Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: body}
	fault, handler := s.enter(r, asked)
	defer s.change(func(s *Server) { s.running-- })
	if fault == nil {
		handler.ServeHTTP(w, r)
		return
	}
	broken := &writer{server: s, request: r, out: w, fault: *fault}
	if broken.start() {
		handler.ServeHTTP(broken, r)
	}
}

func (s *Server) enter(r *http.Request, asked Request) (*Fault, http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	on := r.Context().Value(connectionKey{}).(*connection)
	asked.Connection, asked.Reused, on.used = on.number, on.used, true
	s.requests = append(s.requests, asked)
	s.running++
	for _, o := range s.orders {
		if o.strikes(asked) {
			return &o.Fault, s.handler
		}
	}
	return nil, s.handler
}

// serve runs until the listener is closed.
func (s *Server) serve(server *http.Server, listener net.Listener) {
	if err := server.Serve(&accepting{listener, s}); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		s.t.Errorf("proxytest: %v", err)
	}
}

// number gives a connection its number.
func (s *Server) number(ctx context.Context, _ net.Conn) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return context.WithValue(ctx, connectionKey{}, &connection{number: s.connections})
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be written
	}
	return string(quoted)
}
