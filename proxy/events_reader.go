package proxy

import (
	"bytes"
	"errors"
	"io"
)

// errEventTooLong is an event that is larger than what a client takes.
var errEventTooLong = errors.New("an event is too long")

// eventReader takes server-sent events out of bytes, by the algorithm of the WHATWG HTML
// standard (9.2.6): lines end with CR, LF or CRLF, a blank line ends an event, data lines
// are joined by LF, a line without colon is a field without value, a line that begins with
// one is a comment, and a byte order mark at the very start is nothing. Events without
// data are no events. Invariants:
//
//   - buffer[from:to] was read and is not looked at as a line yet;
//   - its first searched bytes hold no end of a line;
//   - data holds the data lines of the event under way.
type eventReader struct {
	in       io.Reader
	most     int // bytes that a line, or an event's data, may have
	buffer   []byte
	from, to int
	searched int
	began    bool // behind a byte order mark
	afterCR  bool // an LF that comes next belongs to the CR before
	data     []byte
	has      bool // there was a data line
	bad      bool // the event is named error
	open     bool // there was any field since the last event
	end      error
	// idle is asked behind each line that brings no event closer whether to go on; nil
	// always does.
	idle func() error
}

func newEventReader(in io.Reader, most int64) *eventReader {
	return &eventReader{in: in, most: int(min(most, 1<<30)), buffer: make([]byte, 4<<10)}
}

// next returns an event's data, valid until the call after, and whether the event is named
// error. The error is io.EOF where the bytes end between two events,
// io.ErrUnexpectedEOF where they end within one, or that of the reader.
func (r *eventReader) next() (data []byte, bad bool, err error) {
	r.data, r.has, r.bad, r.open = r.data[:0], false, false, false
	for {
		line, err := r.line()
		switch {
		case err == io.EOF && (r.open || r.to > r.from):
			return nil, false, io.ErrUnexpectedEOF
		case err != nil:
			return nil, false, err
		case len(line) > 0:
			if err := r.field(line); err != nil {
				return nil, false, err
			}
		case r.has && len(r.data) > 0:
			return r.data, r.bad, nil
		default:
			r.has, r.bad, r.open = false, false, false
			if err := r.wait(); err != nil {
				return nil, false, err
			}
		}
	}
}

func (r *eventReader) wait() error {
	if r.idle == nil {
		return nil
	}
	return r.idle()
}

// pending is the data of an event whose end did not come.
func (r *eventReader) pending() []byte { return r.data }

func (r *eventReader) field(line []byte) error {
	name, value, colon := bytes.Cut(line, []byte(":"))
	if colon && len(name) == 0 {
		return r.wait() // a comment
	}
	r.open = true
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		r.bad = string(value) == "error"
	case "data":
		if len(r.data)+len(value) >= r.most {
			return errEventTooLong
		}
		if r.has {
			r.data = append(r.data, '\n')
		}
		r.data, r.has = append(r.data, value...), true
	}
	return nil
}

// line returns the next line without its end, valid until the next call.
func (r *eventReader) line() ([]byte, error) {
	for {
		if r.skip() {
			if at := endOfLine(r.buffer[r.from+r.searched : r.to]); at >= 0 {
				at += r.from + r.searched
				line := r.buffer[r.from:at]
				r.afterCR = r.buffer[at] == '\r'
				r.from, r.searched = at+1, 0
				return line, nil
			}
			r.searched = r.to - r.from
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// skip passes what belongs to no line. It returns whether enough was read to know.
func (r *eventReader) skip() bool {
	const mark = "\ufeff"
	if !r.began {
		got := r.buffer[r.from:r.to]
		switch {
		case len(got) < len(mark) && string(got) == mark[:len(got)]:
			return false
		case bytes.HasPrefix(got, []byte(mark)):
			r.from += len(mark)
		}
		r.began = true
	}
	if r.afterCR && r.from < r.to {
		if r.buffer[r.from] == '\n' {
			r.from++
		}
		r.afterCR = false
	}
	return r.from < r.to
}

// endOfLine is where the first CR or LF stands, or −1.
func endOfLine(b []byte) int {
	at := bytes.IndexByte(b, '\n')
	if at >= 0 {
		b = b[:at]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return at
}

// fill reads more into the buffer.
func (r *eventReader) fill() error {
	if r.end != nil {
		return r.end
	}
	if r.from > 0 {
		r.to = copy(r.buffer, r.buffer[r.from:r.to])
		r.from = 0
	}
	if r.to == len(r.buffer) {
		if r.to >= r.most {
			return errEventTooLong
		}
		r.buffer = append(r.buffer, make([]byte, min(len(r.buffer), max(1, r.most-len(r.buffer))))...)
	}
	for range 100 {
		n, err := r.in.Read(r.buffer[r.to:])
		r.to += n
		if err != nil {
			r.end = err
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}
