package simulated

import (
	"context"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

// choice is one answer of a request, as it comes.
type choice struct {
	index   int
	prompt  int // which of the request's
	job     *Job
	text    TextStream
	stop    stopper
	stopIDs []eft.Token
	count   int // steps so far
}

// piece is what one step added to a choice.
type piece struct {
	text   string
	token  eft.Token
	row    *Row
	finish Finish
	reason any // the stop string or stop id that ended it; nil for others
	nth    int // of the choice, from 1
	cached int // tokens of the prompt that were reused
}

// next waits for a step.
func (c *choice) next(ctx context.Context) (piece, error) {
	p, _, err := c.nextRows(ctx)
	return p, err
}

// nextRows is next with all rows of the step. Those of the first are along the prompt,
// nil in others.
func (c *choice) nextRows(ctx context.Context) (p piece, prompt []*Row, err error) {
	var step Step
	var ok bool
	select {
	case step, ok = <-c.job.Steps:
	case <-ctx.Done():
		return piece{}, nil, ctx.Err()
	}
	switch {
	case !ok:
		return piece{}, nil, context.Canceled
	case step.Err != nil:
		return piece{}, nil, step.Err
	}
	if c.count == 0 {
		prompt = step.Rows
	}
	c.count++
	return c.piece(step), prompt, nil
}

// piece makes the text of a step.
func (c *choice) piece(step Step) piece {
	p := piece{token: step.Token, row: step.Rows[len(step.Rows)-1], finish: step.Finish, nth: c.count, cached: step.Cached}
	if p.finish == AtEnd && slices.Contains(c.stopIDs, p.token) {
		p.reason = p.token
	}
	text := ""
	if p.finish != AtEnd && c.job.ask.Tokens > 0 {
		text = c.text.Push(p.token)
	}
	if p.finish != GoesOn {
		text += c.text.Flush()
	}
	stop := ""
	if p.text, stop = c.stop.push(text); stop != "" {
		p.finish, p.reason = AtEnd, stop
		c.job.Leave() // the engine may be a pass further, as vLLM's is
		return p
	}
	if p.finish != GoesOn {
		p.text += c.stop.flush()
	}
	return p
}

// rest reads a choice to its end.
func (c *choice) rest(ctx context.Context) ([]piece, error) {
	var all []piece
	for {
		p, err := c.next(ctx)
		if err != nil {
			return nil, err
		}
		if all = append(all, p); p.finish != GoesOn {
			return all, nil
		}
	}
}

// listing is how log-probs are listed.
type listing struct {
	k     int         // the best; −1 is all
	named []eft.Token // in place of the best
	text  Text        // names tokens by their text; nil by their ids
}

// name is how a token is called.
func (l listing) name(id eft.Token) string {
	if l.text == nil {
		return "token_id:" + strconv.Itoa(int(id))
	}
	return l.text.Decode([]eft.Token{id})
}

// listed are the ids whose log-probs belong to a token: its own first.
func (l listing) listed(p piece) []eft.Token {
	others := l.named
	if others == nil {
		k := l.k
		if k < 0 {
			k = len(p.row.LogProbs)
		}
		others = p.row.Best(k)
	}
	ids := append(make([]eft.Token, 0, len(others)+1), p.token)
	for _, id := range others {
		if id != p.token {
			ids = append(ids, id)
		}
	}
	return ids
}
