package vllm

import (
	"fmt"
	"math"
	"strconv"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

const (
	tokenPrefix = "token_id:"
	// leastLogprob is how −∞ is written: JSON has no infinity.
	leastLogprob = -9999
)

// readToken steps over a string that names an id.
func readToken(s *proxy.Scanner) (eft.Token, error) {
	text, err := s.Text()
	if err != nil {
		return 0, err
	}
	return parseToken(text)
}

// readScored steps over an object of log-probs by token.
func readScored(s *proxy.Scanner, each func(eft.Scored)) error {
	return s.Object(func(key []byte) error {
		id, err := parseToken(key)
		if err != nil {
			return err
		}
		s.Peek()
		// A float32 at once: what the server computed was one, and its decimals
		// are those of the float64 that equals it.
		value, err := strconv.ParseFloat(string(s.Literal()), 32)
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
