package simulated

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// Ask is what the engine is asked for: rows along a prompt, and tokens behind it.
type Ask struct {
	Prompt []eft.Token
	// From is how long the first prefix is whose row is wanted, 1 … len(Prompt). Blocks
	// from there on are not reused.
	From int
	// Tokens is how many are generated at most; 0 asks for rows alone.
	Tokens int
	Salt   string // parts the cache
	// Choose takes the next token, and is called in order, by the engine alone.
	Choose func(row *Row, generated []eft.Token) (eft.Token, error)
	// Ends says which tokens are the last ones.
	Ends func(id eft.Token) bool
}

// Step is what one pass brought of an answer.
type Step struct {
	// Rows are those of the prompt, from Ask.From on, in the first step, and one in each
	// further step. The last is the one that Token was chosen from.
	Rows   []*Row
	Token  eft.Token // none if Ask.Tokens is 0
	Cached int       // tokens of the prompt that were reused
	Finish Finish
	Err    error // the last step's, if the engine failed; it has nothing else
}

// Finish is why an answer ends.
type Finish string

// The reasons.
const (
	GoesOn   Finish = ""
	AtLength Finish = "length" // as many tokens as were asked for, or as the context holds
	AtEnd    Finish = "stop"   // an end token, which is the step's
)

// Job is an answer under way.
type Job struct {
	Steps <-chan Step // closed behind the last; a job that was given up has no last

	ask   Ask
	ctx   context.Context // of whoever waits
	left  atomic.Bool     // nobody does
	came  time.Time
	steps chan Step // has room for all

	// Of the engine alone.
	admitted bool
	tokens   []eft.Token // the prompt and what was generated
	computed int         // of tokens
	cached   int
}

func newJob(ctx context.Context, ask Ask, now time.Time) *Job {
	steps := make(chan Step, max(1, ask.Tokens)) // the engine waits for nobody
	tokens := append(make([]eft.Token, 0, len(ask.Prompt)+ask.Tokens), ask.Prompt...)
	return &Job{Steps: steps, ask: ask, ctx: ctx, came: now, steps: steps, tokens: tokens}
}

// Leave gives a job up: it leaves with the next pass.
func (j *Job) Leave() { j.left.Store(true) }

// gone says whether nobody waits for the job.
func (j *Job) gone() bool { return j.left.Load() || j.ctx.Err() != nil }

// generated are the tokens behind the prompt.
func (j *Job) generated() []eft.Token { return j.tokens[len(j.ask.Prompt):] }

// from is how long the first prefix is whose row the next step has.
func (j *Job) from() int {
	if len(j.generated()) == 0 {
		return j.ask.From
	}
	return len(j.tokens)
}

// complete says whether all tokens are computed, so that a row is due.
func (j *Job) complete() bool { return j.computed == len(j.tokens) }

// advance takes what a pass brought, and says whether the job goes on.
func (j *Job) advance(w *wanted, context int) bool {
	step := Step{Rows: w.rows, Cached: j.cached, Err: w.err}
	if step.Err == nil && j.ask.Tokens > 0 {
		step.Token, step.Err = j.ask.Choose(w.rows[len(w.rows)-1], j.generated())
	}
	if step.Err != nil {
		j.finish(Step{Err: step.Err})
		return false
	}
	if j.ask.Tokens > 0 {
		j.tokens = append(j.tokens, step.Token)
	}
	switch {
	case j.ask.Tokens > 0 && j.ask.Ends(step.Token):
		step.Finish = AtEnd
	case len(j.generated()) >= j.ask.Tokens, len(j.tokens) >= context:
		step.Finish = AtLength
	default:
		j.steps <- step
		return true
	}
	j.finish(step)
	return false
}

func (j *Job) finish(last Step) {
	j.steps <- last
	close(j.steps)
}
