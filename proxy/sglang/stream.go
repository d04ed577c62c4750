package sglang

import (
	"context"
	"io"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// streamSegment is the most tokens that one stream is asked for. Unless it was started
// with --incremental-streaming-output, the server repeats in each event the rows of all
// events before, so that a stream costs by the square of its length; a new one behind
// a cached prefix costs little.
const streamSegment = 32

// continuation reads the base's own tokens. Its invariants: prefix is the text up to
// the last token that was queued; queue holds what has come and was not handed on;
// seen counts the tokens of the segment that were queued.
type continuation struct {
	ctx    context.Context
	server *server
	tenant string
	prefix []eft.Token
	left   int // tokens that may still be asked for, behind the segment

	events  *proxy.Events
	prompt  int // tokens before the segment
	segment int // tokens asked for in it
	seen    int
	queue   []step
	ended   bool // nothing comes behind the queue
}

type step struct {
	row   eft.Row
	token eft.Token
}

// open begins a segment.
func (c *continuation) open() error {
	if c.left <= 0 {
		c.ended = true
		return nil
	}
	c.prompt, c.segment, c.seen = len(c.prefix), min(c.left, c.server.segment), 0
	c.left -= c.segment
	request := c.server.request(c.prefix, c.tenant)
	request.Stream, request.Sampling = true, greedy(c.segment, false)
	events, err := c.server.client.Stream(c.ctx, generate, request)
	c.events = events
	return err
}

// Next returns what came, and waits for more if there is nothing.
func (c *continuation) Next() (eft.Row, eft.Token, error) {
	for len(c.queue) == 0 {
		if c.ended {
			return eft.Row{}, 0, io.EOF
		}
		if err := c.read(); err != nil {
			return eft.Row{}, 0, err
		}
	}
	next := c.queue[0]
	c.queue = c.queue[1:]
	return next.row, next.token, nil
}

// read takes in one event.
func (c *continuation) read() error {
	data, err := c.events.Next()
	if err == io.EOF {
		return c.server.malformed("the stream ended after %d of %d tokens and says no reason", c.seen, c.segment)
	}
	if err != nil {
		return err
	}
	var out answer
	if err := proxy.Unmarshal(data, &out); err != nil {
		return c.server.malformed("an event is not the JSON expected: %v", err)
	}
	if err := c.server.check(&out, c.prompt, 0); err != nil {
		return err
	}
	if err := c.take(&out.Meta); err != nil {
		return err
	}
	if out.Meta.Finish == nil {
		return nil
	}
	if c.seen != out.Meta.CompletionTokens {
		return c.server.malformed("%d tokens were generated, and log-probs came of %d", out.Meta.CompletionTokens, c.seen)
	}
	c.events.Close()
	if c.events = nil; out.Meta.Finish.Type != "length" || c.seen < c.segment {
		c.ended = true
		return nil
	}
	return c.open()
}

// take queues what the event has new. Its lists hold either all tokens of the segment,
// perhaps some more than it counts, or only the new ones: they are counted from their
// end then, and are fewer than all.
func (c *continuation) take(m *meta) error {
	have := len(m.OutputTop)
	if len(m.OutputTokens) != have {
		return c.server.malformed("%d tokens with %d rows", len(m.OutputTokens), have)
	}
	from := c.seen
	if have < m.CompletionTokens {
		if from = 0; c.seen+have != m.CompletionTokens {
			return c.server.malformed("%d tokens came before, %d rows with them, and %d tokens are said to be generated", c.seen, have, m.CompletionTokens)
		}
	}
	for ; from < have; from++ {
		if c.seen == c.segment {
			return c.server.malformed("more than the %d tokens asked for", c.segment)
		}
		row, err := c.server.row(m.OutputTop[from])
		if err != nil {
			return err
		}
		token := m.OutputTokens[from].ID
		c.queue = append(c.queue, step{row, token})
		c.prefix = append(c.prefix, token)
		c.seen++
	}
	return nil
}

// Close stops the stream that is open, if one is.
func (c *continuation) Close() {
	if c.events != nil {
		c.events.Close()
		c.events = nil
	}
}
