package proxytest

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Up listens again after Down or Hang.
func (s *Server) Up() {
	s.t.Helper()
	s.unhang()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving != nil {
		return
	}
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatalf("proxytest: %v", err)
	}
	if s.URL == "" { // later it is the same, and others may be reading it
		s.address = listener.Addr().String()
		s.URL = "http://" + s.address
	}
	s.listener = listener
	s.serving = &http.Server{
		Handler:     s,
		ConnContext: s.number,
		ErrorLog:    log.New(io.Discard, "", 0),
	}
	go s.serve(s.serving, listener) // ends when Down closes the listener
}

// Down closes all connections, and refuses new ones.
func (s *Server) Down() {
	s.unhang()
	s.mu.Lock()
	serving, listener := s.serving, s.listener
	s.serving = nil
	s.mu.Unlock()
	if serving != nil {
		// Not left to the server, which may not have begun to listen yet.
		_ = listener.Close()
		_ = serving.Close() // a listener that is closed already is closed
	}
}

// Hang closes all connections, and leaves whoever connects without an answer.
func (s *Server) Hang() {
	s.t.Helper()
	s.Down()
	h, err := hang(s.address)
	if err != nil {
		s.t.Fatalf("proxytest: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hung = h
}

func (s *Server) unhang() {
	s.mu.Lock()
	h := s.hung
	s.hung = nil
	s.mu.Unlock()
	if h != nil {
		h.close()
	}
}

// Drop resets the next n connections as soon as they are accepted.
func (s *Server) Drop(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop = n
}

// Restart closes all connections and answers as another handler does, such as a server
// that was started again with another model.
func (s *Server) Restart(handler http.Handler) {
	s.t.Helper()
	s.Down()
	s.mu.Lock()
	s.handler = handler
	s.mu.Unlock()
	s.Up()
}

// accepting counts connections, and drops some.
type accepting struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (a *accepting) Accept() (net.Conn, error) {
	for {
		conn, err := a.Listener.Accept()
		if err != nil {
			return nil, err
		}
		s := a.server
		s.mu.Lock()
		s.connections++
		dropped := s.drop > 0
		if dropped {
			s.drop--
		}
		s.mu.Unlock()
		if !dropped {
			return conn, nil
		}
		reset(conn)
	}
}

// reset closes a connection by RST.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a connection that is broken already is broken
	}
	_ = conn.Close()
}

// hung is a listener whose queue is full: the kernel drops whoever asks to connect.
type hung struct {
	listener net.Listener
	queued   []net.Conn
}

func hang(address string) (*hung, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	h := &hung{listener: listener}
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		h.close()
		return nil, err
	}
	// Listening again only shortens the queue.
	var short error
	if err := raw.Control(func(fd uintptr) { short = syscall.Listen(int(fd), 0) }); err != nil || short != nil {
		h.close()
		return nil, errors.Join(err, short)
	}
	for range 8 {
		conn, err := net.DialTimeout("tcp", address, 50*time.Millisecond)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			return h, nil
		} else if err != nil {
			h.close()
			return nil, err
		}
		h.queued = append(h.queued, conn)
	}
	h.close()
	return nil, errors.New("the kernel takes connections beyond the listener's queue, so that none hangs")
}

func (h *hung) close() {
	_ = h.listener.Close()
	for _, conn := range h.queued {
		_ = conn.Close()
	}
}
