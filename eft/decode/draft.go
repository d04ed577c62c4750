package decode

import (
	"time"

	"github.com/graft-gateway/graft/eft"
)

// Guesser says who guesses the tokens to come.
type Guesser int

const (
	// Nobody guesses: one token a round.
	Nobody Guesser = iota
	// Tuned lets the pairs run ahead of the base, along the tokens that the mix would
	// choose if the base thought like the first pair's untuned model: at strength 1
	// what the tuned one would say. The base is asked for the whole path at once.
	Tuned
	// Own lets the base run ahead along its own tokens, and the pairs check them as
	// they come.
	Own
)

// Drafter decides who guesses, and how far. It serves many texts at once.
type Drafter interface {
	// Begin is called once for each text.
	Begin(Text) Drafting
}

// Text is what is known of a text before its first round.
type Text struct {
	Prompt int  // tokens of the longest prompt of a small model
	Pairs  bool // some pair has weight, so that Tuned can guess
}

// Drafting decides for one text, round by round, and is told what came of it. A bad
// guess costs time and no more. One goroutine uses it at a time.
type Drafting interface {
	// Next says how the next round is to go. Limit is how many tokens can be guessed.
	Next(limit int) Draft
	// Sent is told that the base is being asked for a path of so many tokens.
	Sent(path int)
	// Learn is told of each round for which Sent was called, the failed ones too.
	Learn(Round)
	// End is called once, behind the last round.
	End()
}

// Draft is one round's plan.
type Draft struct {
	By     Guesser
	Length int // tokens of the path; with Own, before the base waits for the walk
	// Ahead lets Tuned guess so many tokens behind the path while the base is being
	// waited for. They are of use if all of the path is right.
	Ahead int
}

// Round is what came of a draft.
type Round struct {
	Draft
	Path int // tokens that the base was asked to follow
	// Walked guesses were looked at, Agreed of them were right, and Tokens committed.
	Walked, Agreed, Tokens int
	Steps                  int           // runs of the pairs, one token each
	Stepping               time.Duration // what they took together
	Waited                 time.Duration // of that, before the base could be asked
	Base                   time.Duration // from asking the base to its answer
	Whole                  time.Duration
	Failed                 bool
}

// Fixed drafts alike in every round. Its zero value guesses nothing.
type Fixed Draft

// Begin implements [Drafter].
func (f Fixed) Begin(Text) Drafting { return fixed{Draft(f)} }

type fixed struct{ draft Draft }

func (f fixed) Next(int) Draft { return f.draft }
func (fixed) Sent(int)         {}
func (fixed) Learn(Round)      {}
func (fixed) End()             {}

// Garbler is a [Drafting] that spoils guesses of the pairs, to measure what worse ones
// would cost.
type Garbler interface {
	// Garble returns what is guessed in place of guess. Position is its place in the
	// text.
	Garble(position int, guess eft.Token) eft.Token
}

// Garbled is a drafter with some of its guesses spoilt by With.
type Garbled struct {
	Drafter
	With func(position int, guess eft.Token) eft.Token
}

// Begin implements [Drafter].
func (g Garbled) Begin(t Text) Drafting { return garbled{g.Drafter.Begin(t), g.With} }

type garbled struct {
	Drafting
	with func(position int, guess eft.Token) eft.Token
}

func (g garbled) Garble(position int, guess eft.Token) eft.Token { return g.with(position, guess) }
