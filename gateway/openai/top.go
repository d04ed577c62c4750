package openai

import (
	"strconv"
	"strings"

	"github.com/graft-gateway/graft/eft"
)

// Top are the tokens that could have stood at one position of a text completion:
// [ByText], [ByID] or [Whole]. Each becomes an object of log-probs.
type Top interface{ encode(e *encoder) }

// ByText tells tokens by their texts, best first. Where two ids have one text the
// first of them is written and the others are lost; whoever cannot bear that asks
// for tokens as ids.
type ByText []Candidate

// Candidate is a token's text and log-prob.
type Candidate struct {
	Text    string
	LogProb float32
}

// ByID tells tokens by TokenName, each id once.
type ByID []eft.Scored

// Whole tells every id of a vocabulary by TokenName, in their order: to sort them
// would cost twice what it costs to write them.
type Whole []float32

func (b ByText) encode(e *encoder) {
	written := make(map[string]struct{}, len(b))
	for _, c := range b {
		// Bytes that are not UTF-8 all look alike once written.
		text := strings.ToValidUTF8(c.Text, "\uFFFD")
		if _, twice := written[text]; twice {
			continue
		}
		e.comma(len(written))
		written[text] = struct{}{}
		e.text(text)
		e.raw(`:`)
		e.logprob(c.LogProb)
	}
}

func (b ByID) encode(e *encoder) {
	for i, s := range b {
		e.comma(i)
		e.named(s.ID, s.LogProb)
	}
}

func (w Whole) encode(e *encoder) {
	for id, l := range w {
		e.comma(id)
		e.named(eft.Token(id), l)
	}
}

// named writes a member of an object whose keys are ids.
func (e *encoder) named(id eft.Token, l float32) {
	e.buf = append(e.buf, `"token_id:`...)
	e.buf = strconv.AppendInt(e.buf, int64(id), 10)
	e.buf = append(e.buf, `":`...)
	e.logprob(l)
}
