package hubtest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Fault is what goes wrong with one transfer. The zero value is a right answer.
type Fault struct {
	Status int         // answers this and nothing else
	Header http.Header // of that answer
	Body   string      // of that answer

	Cut     int64 // the connection breaks after so many bytes
	Stall   int64 // nothing more comes after so many bytes
	NoRange bool  // answers 200 with everything, whatever was asked for
	Shift   int64 // answers a range with another one, so many bytes further on
	Gzip    bool  // compresses, though nobody asked for it
	Corrupt bool  // one bit of the content is another
	Longer  int   // sends so many bytes too many
	Blind   bool  // does not tell a length

	Always bool // not once, but from now on
}

// Break orders faults for the next transfers of a file, in turn; "revision" and "tree"
// stand for these requests to the API.
func (s *Server) Break(name string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[name] = append(s.faults[name], faults...)
}

func (s *Server) fault(name string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.faults[name]
	if len(waiting) == 0 {
		return Fault{}, false
	}
	if !waiting[0].Always {
		s.faults[name] = waiting[1:]
	}
	return waiting[0], true
}

// answer is a fault that has an answer of its own.
func (f Fault) answer(w http.ResponseWriter, r *http.Request) bool {
	if f.Stall > 0 && f.Body == "" && f.Status != 0 {
		<-r.Context().Done()
		return true
	}
	if f.Status == 0 {
		return false
	}
	maps.Copy(w.Header(), f.Header)
	w.WriteHeader(f.Status)
	fmt.Fprint(w, f.Body)
	return true
}

// send is a transfer with a fault in it.
func (f Fault) send(w http.ResponseWriter, r *http.Request, content []byte) {
	content = append(slices.Clone(content), make([]byte, f.Longer)...)
	if f.Corrupt {
		content[len(content)/2] ^= 1
	}
	if f.NoRange {
		r = r.Clone(r.Context())
		r.Header.Del("Range")
	}
	if f.Gzip {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(content) // into memory
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		content = packed.Bytes()
		r.Header.Del("Range")
	}
	if f.Shift != 0 {
		var from int64
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			r.Header.Set("Range", "bytes="+strconv.FormatInt(from+f.Shift, 10)+"-")
		}
	}
	limit := max(f.Cut, f.Stall)
	out := &limited{ResponseWriter: w, left: limit, endless: limit == 0, blind: f.Blind}
	http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(content))
	if out.endless || out.left > 0 {
		return
	}
	if err := http.NewResponseController(w).Flush(); err == nil && f.Stall > 0 {
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

// limited passes on so many bytes of a body and drops the rest.
type limited struct {
	http.ResponseWriter
	left           int64
	endless, blind bool
}

// WriteHeader implements http.ResponseWriter.
func (l *limited) WriteHeader(status int) {
	if l.blind {
		l.Header().Del("Content-Length")
	}
	l.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (l *limited) Write(p []byte) (int, error) {
	if l.endless {
		return l.ResponseWriter.Write(p)
	}
	n := min(l.left, int64(len(p)))
	l.left -= n
	if _, err := l.ResponseWriter.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
