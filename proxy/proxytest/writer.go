package proxytest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"time"
)

// writer is an answer with a fault in it. Its states, in order: before the place of the
// fault everything passes; there it strikes; behind it everything passes again, or
// nothing does (over), or nothing can (gone).
type writer struct {
	server  *Server
	request *http.Request
	out     http.ResponseWriter
	fault   Fault

	wroteHeader, struck bool
	over                bool // the rest is swallowed
	gone                bool // the connection is no more
	bytes, events       int
	line                bool // the last byte ended a line
}

// start is the place before the answer. It returns whether there is one still to come.
func (w *writer) start() bool {
	if w.fault.Place.headers {
		return true
	}
	switch w.fault.Kind {
	case Say, End:
		maps.Copy(w.out.Header(), w.fault.Header)
		status := w.fault.Status
		if status == 0 {
			status = http.StatusOK
		}
		w.out.WriteHeader(status)
	case Insert, Endless:
		w.fault.Place.headers = true // they are in the body
		return true
	}
	w.strike()
	return !w.over && !w.gone
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.out.Header() }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if w.wroteHeader || w.gone {
		return
	}
	w.wroteHeader = status >= http.StatusOK
	switch w.fault.Kind {
	case End, Say, Insert, Endless:
		w.out.Header().Del("Content-Length")
	}
	w.out.WriteHeader(status)
	if w.wroteHeader && !w.struck && w.fault.Place.bytes == 0 && w.fault.Place.events == 0 {
		w.strike()
	}
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if !w.wroteHeader {
		w.WriteHeader(http.StatusOK)
	}
	n := len(p)
	if !w.struck && !w.over && !w.gone {
		before, there := w.until(p)
		if there {
			if _, err := w.out.Write(p[:before]); err != nil {
				return 0, err
			}
			p = p[before:]
			w.strike()
		}
	}
	switch {
	case w.gone:
		return 0, io.ErrClosedPipe
	case w.over:
		return n, nil
	}
	if _, err := w.out.Write(p); err != nil {
		return 0, err
	}
	return n, nil
}

// Flush implements http.Flusher.
func (w *writer) Flush() {
	if w.gone {
		return
	}
	_ = http.NewResponseController(w.out).Flush() // a connection that is broken breaks the next write
}

// until returns how much of p comes before the place of the fault, and whether the place
// is reached.
func (w *writer) until(p []byte) (int, bool) {
	place := w.fault.Place
	if place.events == 0 {
		if w.bytes+len(p) < place.bytes {
			w.bytes += len(p)
			return len(p), false
		}
		return place.bytes - w.bytes, true
	}
	for i, b := range p {
		switch b {
		case '\n':
			if w.line {
				w.events++
			}
			w.line = !w.line
			if w.events == place.events {
				return i + 1, true
			}
		case '\r':
		default:
			w.line = false
		}
	}
	return len(p), false
}

// strike does what the fault says.
func (w *writer) strike() {
	w.struck = true
	w.server.change(func(s *Server) { s.struck++ })
	switch w.fault.Kind {
	case Stall:
		w.gone = !w.stall()
	case Reset, Cut:
		if w.wroteHeader {
			w.Flush()
		}
		w.hangUp(w.fault.Kind == Reset)
	case End:
		w.over = true
	case Say, Insert:
		_, _ = io.WriteString(w.out, w.fault.Body) // a client that left
		w.over = w.fault.Kind == Say
	case Endless:
		w.endless()
	}
}

// stall returns whether the answer goes on.
func (w *writer) stall() bool {
	if w.wroteHeader {
		w.Flush()
	}
	var over <-chan time.Time
	if w.fault.Wait > 0 {
		timer := time.NewTimer(w.fault.Wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-w.request.Context().Done():
	case <-w.server.closed:
	}
	w.hangUp(false)
	return false
}

// hangUp breaks the connection.
func (w *writer) hangUp(byReset bool) {
	w.gone = true
	conn, _, err := http.NewResponseController(w.out).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if byReset {
		reset(conn)
		return
	}
	_ = conn.Close()
}

func (w *writer) endless() {
	w.over = true
	piece := []byte(w.fault.Body)
	if len(piece) == 0 {
		piece = []byte(" ")
	}
	chunk := bytes.Repeat(piece, 1+4096/len(piece))
	for w.request.Context().Err() == nil {
		select {
		case <-w.server.closed:
			return
		default:
		}
		if _, err := w.out.Write(chunk); err != nil {
			return
		}
		w.Flush()
	}
}
