package bench

import (
	"context"

	"github.com/graft-gateway/graft/gateway/openai"
)

// Subject is a base that has a server of its own, and a gateway before it.
type Subject struct {
	Base     string // as cells name it
	Checking string // how the base checks a path
	Groups   []Group
	// Start brings server and gateway up. The drafter's agreement is lowered to so much;
	// 0 leaves it as it is.
	Start func(ctx context.Context, lowered float64) (Stand, error)
}

// Stand is a [Subject] that runs.
type Stand struct {
	Plain, Proxied Target
	Close          func() error // nil where there is nothing to end
}

// Group is what is measured in turns, and against the same plain base.
type Group struct {
	Temperature float64
	Concurrency int
	Prompt      int     // tokens, at least; 0 is the question alone
	Length      int     // of each answer in tokens; 0 is until it ends, and then all arms have one strength
	Lowered     float64 // what the drafter's agreement is lowered to; 0 is not at all
	Arms        []Arm
	Rounds      int // of each arm and of the plain base
	Questions   int // of each client in a round
}

// Arm is one way to ask the gateway.
type Arm struct {
	Drafter  openai.Draft
	Strength float64
}

// steps is how many turns a group has.
func (g Group) steps() int { return g.Rounds * (1 + len(g.Arms)) }

// natural says whether answers end by themselves.
func (g Group) natural() bool { return g.Length == 0 }
