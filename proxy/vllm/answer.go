package vllm

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// answer is a completion, whole or one event of a stream. A dense row of 150,000 ids
// is 4 MB of JSON, so the log-probs are read without maps and reflection.
type answer struct {
	choices []choice
	usage   usage
	// spare is memory for lists of log-probs, of answers that were used up.
	spare [][]eft.Scored
}

type choice struct {
	index     int
	finish    string // empty until the choice is finished
	positions []position
}

// position is one generated token and what was listed in its place.
type position struct {
	token  eft.Token
	listed []eft.Scored
}

type usage struct {
	Details *struct {
		Cached *int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

var errNoLogprobs = errors.New("a choice has no log-probs")

// UnmarshalJSON implements json.Unmarshaler.
func (a *answer) UnmarshalJSON(data []byte) error { return a.ReadLean(data) }

// ReadLean implements [proxy.Lean].
func (a *answer) ReadLean(data []byte) error {
	*a = answer{choices: a.choices[:0], spare: a.spare}
	s := proxy.Scan(data)
	err := s.Object(func(key []byte) error {
		switch string(key) {
		case "choices":
			return s.Array(func() error {
				c, err := a.readChoice(&s)
				a.choices = append(a.choices, c)
				return err
			})
		case "usage":
			return json.Unmarshal(s.Skip(), &a.usage)
		}
		s.Skip()
		return nil
	})
	if err != nil {
		return err
	}
	return s.End()
}

func (a *answer) readChoice(s *proxy.Scanner) (choice, error) {
	c := choice{index: -1}
	err := s.Object(func(key []byte) error {
		switch string(key) {
		case "index":
			return readIndex(s.Skip(), &c.index)
		case "finish_reason":
			if raw := s.Skip(); string(raw) != "null" {
				return json.Unmarshal(raw, &c.finish)
			}
			return nil
		case "logprobs":
			if s.Null() {
				return nil
			}
			return a.readLogprobs(s, &c)
		}
		s.Skip()
		return nil
	})
	return c, err
}

// readIndex is json.Unmarshal, and faster for the index that nearly all have.
func readIndex(raw []byte, index *int) error {
	if len(raw) == 1 && raw[0] >= '0' && raw[0] <= '9' {
		*index = int(raw[0] - '0')
		return nil
	}
	return json.Unmarshal(raw, index)
}

// readLogprobs joins the two lists that tell of a choice's tokens.
func (a *answer) readLogprobs(s *proxy.Scanner, c *choice) error {
	var tokens []eft.Token
	var listed [][]eft.Scored
	err := s.Object(func(key []byte) error {
		switch string(key) {
		case "tokens":
			return s.Array(func() error {
				id, err := readToken(s)
				tokens = append(tokens, id)
				return err
			})
		case "top_logprobs":
			if s.Null() {
				return errNoLogprobs
			}
			return s.Array(func() error {
				row, err := a.readListed(s, listed)
				listed = append(listed, row)
				return err
			})
		}
		s.Skip()
		return nil
	})
	if err != nil {
		return err
	}
	if len(tokens) != len(listed) {
		return fmt.Errorf("choice %d has %d tokens and %d lists of log-probs", c.index, len(tokens), len(listed))
	}
	c.positions = make([]position, len(tokens))
	for i := range tokens {
		c.positions[i] = position{tokens[i], listed[i]}
	}
	return nil
}

// readListed reads one position's log-probs. They are about as many as those of the
// positions before it.
func (a *answer) readListed(s *proxy.Scanner, before [][]eft.Scored) ([]eft.Scored, error) {
	if s.Null() {
		return nil, errNoLogprobs
	}
	var row []eft.Scored
	if n := len(a.spare); n > 0 {
		row, a.spare = a.spare[n-1][:0], a.spare[:n-1]
	} else {
		capacity := 32
		if len(before) > 0 {
			capacity = len(before[len(before)-1])
		}
		row = make([]eft.Scored, 0, capacity)
	}
	err := readScored(s, func(scored eft.Scored) { row = append(row, scored) })
	return row, err
}
