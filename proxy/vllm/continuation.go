package vllm

import (
	"context"
	"io"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// Continuation reads a stream. An event may carry no token or several, and usage may
// come in an event of its own.
//
// Invariants: tokens handed out, tokens in ready and left add up to the limit; prefix is
// that of the next row.
type Continuation struct {
	text   *Text
	ctx    context.Context // the stream's
	prefix []eft.Token
	events *proxy.Events
	ready  []position
	event  answer // its memory is used again
	left   int
	finish string // as the server told, empty before
}

// Next returns the next row and the token that the base chose from it.
func (c *Continuation) Next() (eft.Row, eft.Token, error) {
	for len(c.ready) == 0 {
		if err := c.read(); err != nil {
			return eft.Row{}, 0, err
		}
	}
	p := c.ready[0]
	c.ready = c.ready[1:]
	row, err := c.row(p.listed)
	if err != nil {
		return eft.Row{}, 0, err
	}
	c.event.spare = append(c.event.spare, p.listed)
	c.prefix = append(c.prefix, p.token)
	return row, p.token, nil
}

// row makes a row. One that is short is asked for alone: the stream goes on, since its
// tokens are right.
func (c *Continuation) row(listed []eft.Scored) (eft.Row, error) {
	if c.text.server.shape.short(listed) != nil {
		rows, err := c.text.Rows(c.ctx, c.prefix, nil)
		if err != nil {
			return eft.Row{}, err
		}
		return rows[0], nil
	}
	row, err := c.text.server.shape.row(listed)
	if err != nil {
		return eft.Row{}, c.malformed("%v", err)
	}
	return row, nil
}

// Close stops the server's work.
func (c *Continuation) Close() { c.events.Close() }

// read takes one event.
func (c *Continuation) read() error {
	data, err := c.events.Next()
	if err == io.EOF && c.finish == "" {
		return c.malformed("the stream ended without a finish_reason")
	}
	if err != nil {
		return err
	}
	if err := proxy.Unmarshal(data, &c.event); err != nil {
		return c.malformed("an event is not the JSON expected: %v", err)
	}
	c.ready = c.ready[:0]
	for _, choice := range c.event.choices {
		if choice.index != 0 {
			return c.malformed("choice %d of one prompt", choice.index)
		}
		if c.finish != "" && len(choice.positions) > 0 {
			return c.malformed("tokens follow a finish_reason")
		}
		if c.left -= len(choice.positions); c.left < 0 {
			return c.malformed("more tokens than were asked for")
		}
		c.ready = append(c.ready, choice.positions...)
		switch choice.finish {
		case "":
		case "length", "stop":
			c.finish = choice.finish
		default:
			return c.text.server.fault("POST "+completions, proxy.Failed, 0, "the server ended the stream: "+choice.finish)
		}
	}
	return nil
}

func (c *Continuation) malformed(format string, args ...any) error {
	return c.text.server.client.Malformed("POST "+completions, format, args...)
}
