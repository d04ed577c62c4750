// Package hubtest is a Hub for tests: the part of the Hugging Face Hub that fetching a
// model needs, with repositories that a test makes and faults that it orders.
//
//	s := hubtest.InMemory(hubtest.Repo{Name: "o/m", Files: map[string][]byte{"onnx/model.onnx": graph}})
//	defer s.Close()
//	s.Break("onnx/model.onnx", hubtest.Fault{Cut: 1000})   // its first transfer ends too early
//	h, err := hub.New(hub.Options{Endpoint: s.URL(), Transport: s.Transport()})
//
// As the real one it has two hosts. The first answers the API and hands out small
// files by a redirect to itself; large ones it redirects to the second, the storage,
// which has ETags of its own and wants no token. InMemory has no network at all, and so
// goes with testing/synctest; Listen is on the loopback interface, for programs.
package hubtest

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Server is a Hub. Its fields may be set before the first request.
type Server struct {
	Token      string // that gated and private repositories are read with; another one is refused
	PageSize   int    // entries of a listing's page; 0 is all on one
	NoTree     bool   // as some mirrors: no listing with sizes and hashes
	NoHashes   bool   // a listing without hashes
	OwnETags   bool   // and ETags are no hashes
	NoRevision bool   // as some mirrors: branches are not resolved to commits
	Direct     bool   // small files come without a redirect, as those of private repositories do

	repos    map[string]Repo
	hub, cdn *http.Server
	dial     map[string]func(context.Context) (net.Conn, error) // by address; nil where there is a network
	address  [2]string

	mu     sync.Mutex // guards what follows
	faults map[string][]Fault
	seen   []Seen
}

// Seen is a request that came.
type Seen struct {
	Storage bool // at the second host
	Method  string
	Path    string
	Header  http.Header
}

// InMemory starts a Hub that only Transport reaches.
func InMemory(repos ...Repo) *Server {
	s := newServer(repos)
	s.address = [2]string{"hub.test:80", "storage.test:80"}
	s.dial = map[string]func(context.Context) (net.Conn, error){}
	for i, server := range []*http.Server{s.hub, s.cdn} {
		l := newPipes(s.address[i])
		s.dial[s.address[i]] = l.dial
		go serve(server, l) // until Close
	}
	return s
}

// Listen starts a Hub on two free ports of 127.0.0.1.
func Listen(repos ...Repo) (*Server, error) {
	s := newServer(repos)
	for i, server := range []*http.Server{s.hub, s.cdn} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		s.address[i] = l.Addr().String()
		go serve(server, l) // until Close
	}
	return s, nil
}

func newServer(repos []Repo) *Server {
	s := &Server{repos: map[string]Repo{}, faults: map[string][]Fault{}}
	for _, r := range repos {
		s.repos[r.Name] = r.prepared()
	}
	s.hub = &http.Server{Handler: s.seeing(false, s.answer), ReadHeaderTimeout: time.Minute}
	s.cdn = &http.Server{Handler: s.seeing(true, s.store), ReadHeaderTimeout: time.Minute}
	return s
}

func serve(server *http.Server, l net.Listener) {
	_ = server.Serve(l) // http.ErrServerClosed
}

// Close ends all connections.
func (s *Server) Close() {
	_ = s.hub.Close()
	_ = s.cdn.Close()
}

// URL is the endpoint.
func (s *Server) URL() string { return "http://" + s.address[0] }

// Transport reaches the server. Its idle connections are the test's to close.
func (s *Server) Transport() *http.Transport {
	if s.dial == nil {
		return &http.Transport{}
	}
	return &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		if dial := s.dial[address]; dial != nil {
			return dial(ctx)
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}}
	}}
}

// Seen are the requests so far.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Forget empties Seen.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}

func (s *Server) seeing(storage bool, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, Seen{storage, r.Method, r.URL.Path, r.Header.Clone()})
		s.mu.Unlock()
		next(w, r)
	}
}
