package sglang

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// A path of 16 tokens with the 100 best of each position is 1,700 entries: answers are
// read by hand, several times as fast as by reflection.

var (
	errEntry         = errors.New("a log-prob entry is no list of two elements or more: want [log-prob, id, text]")
	negativeInfinity = float32(math.Inf(-1))
)

// UnmarshalJSON implements json.Unmarshaler.
func (a *answer) UnmarshalJSON(data []byte) error { return a.ReadLean(data) }

// ReadLean implements [proxy.Lean].
func (a *answer) ReadLean(data []byte) error {
	s := proxy.Scan(data)
	if err := a.read(&s); err != nil {
		return err
	}
	return s.End()
}

// answers are those to a list of prompts.
type answers []answer

// UnmarshalJSON implements json.Unmarshaler.
func (a *answers) UnmarshalJSON(data []byte) error { return a.ReadLean(data) }

// ReadLean implements [proxy.Lean].
func (a *answers) ReadLean(data []byte) error {
	*a = (*a)[:0]
	s := proxy.Scan(data)
	err := s.Array(func() error {
		*a = append(*a, answer{})
		return (*a)[len(*a)-1].read(&s)
	})
	if err != nil {
		return err
	}
	return s.End()
}

func (a *answer) read(s *proxy.Scanner) error {
	*a = answer{}
	return s.Object(func(key []byte) error {
		switch string(key) {
		case "meta_info":
			return a.Meta.read(s)
		case "error":
			return json.Unmarshal(s.Skip(), &a.Error)
		}
		s.Skip()
		return nil
	})
}

// read reads the lists of log-probs, and leaves the rest to encoding/json: some numbers.
func (m *meta) read(s *proxy.Scanner) error {
	return s.Object(func(key []byte) (err error) {
		switch string(key) {
		case "input_top_logprobs":
			m.InputTop, err = readPositions(s)
		case "output_top_logprobs":
			m.OutputTop, err = readPositions(s)
		case "input_token_ids_logprobs":
			m.InputNamed, err = readPositions(s)
		case "output_token_ids_logprobs":
			m.OutputNamed, err = readPositions(s)
		case "input_token_logprobs":
			m.InputTokens, err = readEntries(s, 0)
		case "output_token_logprobs":
			m.OutputTokens, err = readEntries(s, 0)
		case "finish_reason":
			return json.Unmarshal(s.Skip(), &m.Finish)
		case "prompt_tokens":
			return json.Unmarshal(s.Skip(), &m.PromptTokens)
		case "completion_tokens":
			return json.Unmarshal(s.Skip(), &m.CompletionTokens)
		case "cached_tokens":
			return json.Unmarshal(s.Skip(), &m.CachedTokens)
		case "weight_version":
			return json.Unmarshal(s.Skip(), &m.WeightVersion)
		default:
			s.Skip()
		}
		return err
	})
}

// readPositions reads a list of lists of entries, any of which may be null.
func readPositions(s *proxy.Scanner) (positions [][]entry, err error) {
	if s.Null() {
		return nil, nil
	}
	few := 0 // positions are about as long as those before them
	err = s.Array(func() error {
		entries, err := readEntries(s, few)
		positions, few = append(positions, entries), max(few, len(entries))
		return err
	})
	return positions, err
}

// readEntries reads a list of entries, or null.
func readEntries(s *proxy.Scanner, few int) (entries []entry, err error) {
	if s.Null() {
		return nil, nil
	}
	if few > 0 {
		entries = make([]entry, 0, few)
	}
	err = s.Array(func() error {
		e, err := readEntry(s)
		entries = append(entries, e)
		return err
	})
	return entries, err
}

// readEntry reads [log-prob, id, text]; the text may be there or not, and is not looked
// at. A log-prob of null is one that JSON cannot write, or that was not computed: −∞.
func readEntry(s *proxy.Scanner) (e entry, err error) {
	if s.Peek() != '[' {
		return e, errEntry
	}
	e.LogProb = negativeInfinity
	at := 0
	err = s.Array(func() error {
		defer func() { at++ }()
		switch at {
		case 0:
			if s.Null() {
				return nil
			}
			s.Peek()
			text := s.Literal()
			p, err := strconv.ParseFloat(string(text), 32)
			if err != nil || math.IsNaN(p) || p > 0.01 {
				return fmt.Errorf("log-prob entry: the log-prob is not one: %.40q", text)
			}
			e.LogProb = float32(p)
		case 1:
			s.Peek()
			text := s.Literal()
			id, err := strconv.ParseInt(string(text), 10, 32)
			if err != nil || id < 0 {
				return fmt.Errorf("log-prob entry: the id is not one: %.40q", text)
			}
			e.ID = eft.Token(id)
		default:
			s.Skip()
		}
		return nil
	})
	if err == nil && at < 2 {
		err = errEntry
	}
	return e, err
}
