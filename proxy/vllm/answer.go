package vllm

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/graft-gateway/graft/eft"
)

// answer is a completion, whole or one event of a stream. A dense row of 150,000 ids
// is 4 MB of JSON, so the log-probs are read without maps and reflection.
type answer struct {
	choices []choice
	usage   usage
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

// UnmarshalJSON is called by encoding/json, which has checked that data is JSON.
func (a *answer) UnmarshalJSON(data []byte) error {
	*a = answer{}
	s := scanner{data: data}
	return s.object(func(key []byte) error {
		switch string(key) {
		case "choices":
			return s.array(func() error {
				c, err := readChoice(&s)
				a.choices = append(a.choices, c)
				return err
			})
		case "usage":
			return json.Unmarshal(s.skip(), &a.usage)
		}
		s.skip()
		return nil
	})
}

func readChoice(s *scanner) (choice, error) {
	c := choice{index: -1}
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "index":
			return json.Unmarshal(s.skip(), &c.index)
		case "finish_reason":
			return json.Unmarshal(s.skip(), &c.finish)
		case "logprobs":
			if s.null() {
				return nil
			}
			return readLogprobs(s, &c)
		}
		s.skip()
		return nil
	})
	return c, err
}

// readLogprobs joins the two lists that tell of a choice's tokens.
func readLogprobs(s *scanner, c *choice) error {
	var tokens []eft.Token
	var listed [][]eft.Scored
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "tokens":
			return s.array(func() error {
				id, err := s.tokenID()
				tokens = append(tokens, id)
				return err
			})
		case "top_logprobs":
			if s.null() {
				return errNoLogprobs
			}
			return s.array(func() error {
				row, err := readListed(s, listed)
				listed = append(listed, row)
				return err
			})
		}
		s.skip()
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
func readListed(s *scanner, before [][]eft.Scored) ([]eft.Scored, error) {
	if s.null() {
		return nil, errNoLogprobs
	}
	capacity := 32
	if len(before) > 0 {
		capacity = len(before[len(before)-1])
	}
	row := make([]eft.Scored, 0, capacity)
	err := s.scored(func(scored eft.Scored) { row = append(row, scored) })
	return row, err
}
