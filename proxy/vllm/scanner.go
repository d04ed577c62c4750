package vllm

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

const (
	tokenPrefix = "token_id:"
	// leastLogprob is how −∞ is written: JSON has no infinity.
	leastLogprob = -9999
)

var errShape = errors.New("a value has another type than expected")

// scanner walks over JSON that is known to be valid. Whatever it is given it stays
// within data and ends.
type scanner struct {
	data []byte
	at   int
}

// peek returns the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take steps over c if it is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.at == len(s.data) {
		return false
	}
	s.at++
	return true
}

// null steps over null if it is next.
func (s *scanner) null() bool {
	if s.peek() != 'n' {
		return false
	}
	s.skip()
	return true
}

// object calls member for each key; member steps over the value.
func (s *scanner) object(member func(key []byte) error) error {
	return s.list('{', '}', func() error {
		key, err := s.text()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return errShape
		}
		return member(key)
	})
}

// array calls element for each element, which steps over it.
func (s *scanner) array(element func() error) error { return s.list('[', ']', element) }

func (s *scanner) list(open, shut byte, one func() error) error {
	if !s.take(open) {
		return errShape
	}
	if s.take(shut) {
		return nil
	}
	for {
		if err := one(); err != nil {
			return err
		}
		if s.take(shut) {
			return nil
		}
		if !s.take(',') {
			return errShape
		}
	}
}

// skip steps over a value and returns it.
func (s *scanner) skip() []byte {
	s.peek()
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
			s.literal()
		}
		if depth <= 0 {
			break
		}
	}
	return s.data[start:s.at]
}

// literal steps over a number or a word, by one byte at least.
func (s *scanner) literal() []byte {
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
func (s *scanner) quoted() []byte {
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

// text steps over a string and returns what it means.
func (s *scanner) text() ([]byte, error) {
	if s.peek() != '"' {
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

// tokenID steps over a string that names an id.
func (s *scanner) tokenID() (eft.Token, error) {
	text, err := s.text()
	if err != nil {
		return 0, err
	}
	return parseToken(text)
}

// scored steps over an object of log-probs by token.
func (s *scanner) scored(each func(eft.Scored)) error {
	return s.object(func(key []byte) error {
		id, err := parseToken(key)
		if err != nil {
			return err
		}
		s.peek()
		// A float32 at once: what the server computed was one, and its decimals
		// are those of the float64 that equals it.
		value, err := strconv.ParseFloat(string(s.literal()), 32)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return fmt.Errorf("the log-prob of token %d is not a number", id)
		}
		if value <= leastLogprob {
			value = math.Inf(-1)
		}
		each(eft.Scored{ID: id, LogProb: float32(value)})
		return nil
	})
}

// parseToken reads token_id:N.
func parseToken(text []byte) (eft.Token, error) {
	if len(text) <= len(tokenPrefix) || string(text[:len(tokenPrefix)]) != tokenPrefix {
		return 0, fmt.Errorf("token %.40q is not of the form token_id:N that was asked for", text)
	}
	id := int64(0)
	for _, c := range text[len(tokenPrefix):] {
		if id = 10*id + int64(c) - '0'; c < '0' || c > '9' || id > math.MaxInt32 {
			return 0, fmt.Errorf("token %.40q is not of the form token_id:N that was asked for", text)
		}
	}
	return eft.Token(id), nil
}
