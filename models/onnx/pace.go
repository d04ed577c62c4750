package onnx

import "time"

// stepsPerPiece is how many runs of steps a piece of a prompt may take as long as, where
// steps wait: prompts then have four fifths of the time, and steps stall for no longer.
const stepsPerPiece = 4

// leastPiece is how many tokens a piece has at least: fewer cost nearly as much.
const leastPiece = 16

// mostGap bounds the rows between two steps that are run for nothing.
const mostGap = 8

// patienceShare is how large a part of a run's time its leader may wait for those whose
// steps were in the run before.
const patienceShare = 0.05

// learning is the weight of a new time among those before it.
const learning = 0.1

// pace remembers what runs took lately. It decides how many tokens of prompts run
// between two rounds of steps, and how many rows that nobody asked for may run to have
// more of those that were asked for in one run. It belongs to the leader of a loop.
type pace struct {
	fixed  bool // prompts are cut in one way always, for their rows depend on it
	limit  int  // tokens of one piece of a long job in this round
	lately bool // there were steps in the round before

	one    float64 // seconds of a run of one row
	many   float64 // seconds of a run of several
	rows   float64 // how many those were
	prompt float64 // seconds of a token of a prompt
}

// allowance is how many tokens of longs follow a round of steps.
func (p *pace) allowance(chunk int, steps bool) int {
	contended := steps || p.lately
	p.lately = steps
	p.limit = chunk
	if step := max(p.one, p.many); contended && !p.fixed && step > 0 && p.prompt > 0 {
		p.limit = min(chunk, max(leastPiece, int(stepsPerPiece*step/p.prompt)/leastPiece*leastPiece))
	}
	return p.limit
}

// stepped takes note of a run of so many rows of one token.
func (p *pace) stepped(rows int, took time.Duration) {
	if rows == 1 {
		learn(&p.one, took.Seconds())
		return
	}
	learn(&p.many, took.Seconds())
	learn(&p.rows, float64(rows))
}

// read takes note of a run of tokens of a prompt; a few tell nothing.
func (p *pace) read(tokens int, took time.Duration) {
	if tokens >= leastPiece {
		learn(&p.prompt, took.Seconds()/float64(tokens))
	}
}

func learn(mean *float64, v float64) {
	if *mean == 0 {
		*mean = v
	}
	*mean += learning * (v - *mean)
}

// gap is how many rows more cost less than a run of their own.
func (p *pace) gap() int {
	if p.one == 0 || p.rows <= 1 {
		return 1
	}
	row := (p.many - p.one) / (p.rows - 1)
	if row <= 0 {
		return mostGap
	}
	return int(min(mostGap, max(0, (p.one-row)/row)))
}

// patience is how long to wait for steps that are about to come.
func (p *pace) patience() time.Duration {
	return time.Duration(patienceShare * max(p.one, p.many) * float64(time.Second))
}
