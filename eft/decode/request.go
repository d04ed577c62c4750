package decode

import (
	"github.com/graft-gateway/graft/eft"
)

// Request is one text to generate.
type Request struct {
	Vocabulary *eft.Vocabulary
	Tenant     string
	Base       Base
	Prompt     []eft.Token // the base's
	Experts    []Expert
	Mix        eft.Mix // Mix.Pairs in the order of Experts
	Params     eft.Params
	Drafter    Drafter // nil guesses nothing
	// MaxTokens bounds the tokens generated, the end token included.
	MaxTokens int
	// IgnoreEnd goes on behind end tokens.
	IgnoreEnd bool
}

// Expert is one pair of a request, with its prompts.
type Expert struct {
	Small   Small
	Prompts PairPrompts
}

// Step is one committed token, and what it was chosen from.
type Step struct {
	Token    eft.Token
	Position int  // tokens generated before it
	End      bool // an end token: the text ends before it
	// Combination and Rows are valid while the step is being emitted.
	Combination *eft.Combination
	Rows        eft.Rows
}

// Finish says why a text ended.
type Finish string

const (
	FinishEnd     Finish = "end"     // an end token
	FinishLength  Finish = "length"  // MaxTokens
	FinishStopped Finish = "stopped" // emit asked for it
)

// Report tells what happened to a text.
type Report struct {
	Finish Finish
	// Tokens were committed; at Changed of them the mixed top token was not the
	// base's. KL sums KL(mixed ‖ base) over them, in nats, and MissingMass what
	// truncated rows left out.
	Tokens, Changed int
	KL, MissingMass float64
	Truncated       bool
	// BaseCalls counts how often the base was asked for rows; Drafted guesses were
	// walked to, Agreed of them were right.
	BaseCalls, Drafted, Agreed int
}
