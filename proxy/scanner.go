package proxy

import (
	"encoding/json"
	"errors"
)

// Lean is an answer that reads itself from bytes, faster than encoding/json does. What it
// returns an error of encoding/json is given to look at, whose errors say where.
type Lean interface {
	json.Unmarshaler
	// ReadLean reads data, which need not be JSON. It takes nothing that is broken off.
	ReadLean(data []byte) error
}

// Unmarshal is json.Unmarshal, and faster for what is [Lean].
func Unmarshal(data []byte, out any) error {
	if lean, can := out.(Lean); can && lean.ReadLean(data) == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

var errShape = errors.New("a value has another type than expected")

// Scanner walks over JSON: dialects read log-probs by it, without maps and reflection.
// Whatever it is given it stays within data and ends; what it steps over unseen it does
// not check.
type Scanner struct {
	data []byte
	at   int
}

// Scan begins at the beginning of data.
func Scan(data []byte) Scanner { return Scanner{data: data} }

// End is an error if anything but white space is left.
func (s *Scanner) End() error {
	if s.Peek(); s.at < len(s.data) {
		return errShape
	}
	return nil
}

// Peek returns the next byte that is not white space, 0 at the end.
func (s *Scanner) Peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// Take steps over c if it is next.
func (s *Scanner) Take(c byte) bool {
	if s.Peek() != c || s.at == len(s.data) {
		return false
	}
	s.at++
	return true
}

// Null steps over null if it is next.
func (s *Scanner) Null() bool {
	if s.Peek() != 'n' {
		return false
	}
	s.Skip()
	return true
}

// Object calls member for each key; member steps over the value.
func (s *Scanner) Object(member func(key []byte) error) error {
	return s.list('{', '}', func() error {
		key, err := s.Text()
		if err != nil {
			return err
		}
		if !s.Take(':') {
			return errShape
		}
		return member(key)
	})
}

// Array calls element for each element, which steps over it.
func (s *Scanner) Array(element func() error) error { return s.list('[', ']', element) }

func (s *Scanner) list(open, shut byte, one func() error) error {
	if !s.Take(open) {
		return errShape
	}
	if s.Take(shut) {
		return nil
	}
	for {
		if err := one(); err != nil {
			return err
		}
		if s.Take(shut) {
			return nil
		}
		if !s.Take(',') {
			return errShape
		}
	}
}

// Skip steps over a value and returns it.
func (s *Scanner) Skip() []byte {
	s.Peek()
	start, depth := s.at, 0
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case '"':
			s.quoted()
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			depth--
			s.at++
		case ',', ':', ' ', '\t', '\n', '\r':
			s.at++
		default:
			s.Literal()
		}
		if depth <= 0 {
			break
		}
	}
	return s.data[start:s.at]
}

// Literal steps over a number or a word, by one byte at least.
func (s *Scanner) Literal() []byte {
	start := s.at
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ',', ']', '}', ':', ' ', '\t', '\n', '\r':
			return s.data[start:s.at]
		}
		s.at++
	}
	return s.data[start:]
}

// quoted steps over a string and returns it with its quotes, escapes as they are.
func (s *Scanner) quoted() []byte {
	start := s.at
	for s.at++; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return s.data[start:s.at]
		}
	}
	s.at = len(s.data)
	return s.data[start:]
}

// Text steps over a string and returns what it means.
func (s *Scanner) Text() ([]byte, error) {
	if s.Peek() != '"' {
		return nil, errShape
	}
	raw := s.quoted()
	for _, c := range raw {
		if c == '\\' {
			var meant string
			err := json.Unmarshal(raw, &meant)
			return []byte(meant), err
		}
	}
	if len(raw) < 2 {
		return nil, errShape
	}
	return raw[1 : len(raw)-1], nil
}
