package llamacpp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

// listing is top_logprobs: ids and their log-probs. Nearly all that a server sends is
// made of these, and most of that is text and bytes of tokens, which nobody needs; so
// they are read by hand, several times as fast as by reflection.
type listing []scored

// scored is an entry; a log-prob that is null or missing is not told.
type scored struct {
	id      eft.Token
	logProb float64
	told    bool
}

var errListing = errors.New("top_logprobs is no list of objects with a numeric id and logprob")

// UnmarshalJSON is given JSON that is valid, so it looks only at what it needs: the
// values of id and logprob, one level down. What is written otherwise than by a server
// (escaped keys, an id that is no integer) is refused.
func (l *listing) UnmarshalJSON(data []byte) error {
	*l = nil
	if string(data) == "null" {
		return nil
	}
	s := scanner{data: data}
	if !s.take('[') {
		return errListing
	}
	*l = make(listing, 0, bytes.Count(data, []byte("{")))
	for first := true; !s.take(']'); first = false {
		if !first && !s.take(',') {
			return errListing
		}
		entry, ok := s.entry()
		if !ok {
			return errListing
		}
		*l = append(*l, entry)
	}
	return nil
}

// scanner goes over valid JSON.
type scanner struct {
	data []byte
	at   int
}

// take passes space, and then c if it is there.
func (s *scanner) take(c byte) bool {
	for s.at < len(s.data) && (s.data[s.at] == ' ' || s.data[s.at] == '\n' || s.data[s.at] == '\t' || s.data[s.at] == '\r') {
		s.at++
	}
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

// entry reads an object.
func (s *scanner) entry() (e scored, ok bool) {
	if !s.take('{') {
		return e, false
	}
	hasID := false
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return e, false
		}
		key, plain := s.text()
		if !plain || !s.take(':') {
			return e, false
		}
		value := s.value()
		switch string(key) {
		case "id":
			id, err := strconv.ParseInt(string(value), 10, 32)
			if err != nil {
				return e, false
			}
			e.id, hasID = eft.Token(id), true
		case "logprob":
			v, err := strconv.ParseFloat(string(value), 64)
			if err != nil && string(value) != "null" {
				return e, false
			}
			e.logProb, e.told = v, err == nil
		}
	}
	return e, hasID
}

// text reads a string, and says whether it is written without escapes.
func (s *scanner) text() (inside []byte, plain bool) {
	if !s.take('"') {
		return nil, false
	}
	from, plain := s.at, true
	for s.at < len(s.data) && s.data[s.at] != '"' {
		if s.data[s.at] == '\\' {
			plain = false
			s.at++
		}
		s.at++
	}
	inside = s.data[from:min(s.at, len(s.data))]
	s.at++
	return inside, plain
}

// value passes a value and returns it if it is a number or a word.
func (s *scanner) value() []byte {
	s.take(0) // space
	depth := 0
	from := s.at
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case '"':
			s.text()
			continue
		case '[', '{':
			depth++
		case ',', ']', '}':
			if depth == 0 {
				return bytes.TrimRight(s.data[from:s.at], " \n\t\r")
			}
			if s.data[s.at] != ',' {
				depth--
			}
		}
		s.at++
	}
	return nil
}

var _ json.Unmarshaler = (*listing)(nil)
