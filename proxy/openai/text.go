package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// text is one text. It holds nothing at the server.
type text struct{ server *server }

// Rows asks for each of them.
func (t *text) Rows(ctx context.Context, prefix, path []eft.Token) ([]eft.Row, error) {
	return t.server.rows(ctx, prefix, path)
}

// Named is not in the protocol.
func (t *text) Named(context.Context, []eft.Token, []eft.Token, [][]eft.Token) ([][]eft.Scored, error) {
	return nil, fmt.Errorf("log-probs of tokens by id: %w", errors.ErrUnsupported)
}

// Continue streams greedily.
func (t *text) Continue(ctx context.Context, prefix []eft.Token, limit int) (proxy.Continuation, error) {
	if len(prefix) == 0 {
		return nil, errors.New("an OpenAI-like server scores no empty prompt")
	}
	prompt, err := t.server.prompt(ctx, prefix)
	if err != nil {
		return nil, err
	}
	return t.server.open(ctx, prompt, limit)
}

// Close has nothing to free.
func (t *text) Close() {}

func (s *server) open(ctx context.Context, prompt any, limit int) (*continuation, error) {
	c := &continuation{server: s, left: limit, finished: limit <= 0}
	if c.finished {
		return c, nil
	}
	r := s.request(prompt)
	r.Stream, r.MaxTokens = true, limit
	events, err := s.client.Stream(ctx, completions, r)
	if err != nil {
		return nil, err
	}
	c.events = events
	return c, nil
}

// continuation reads the base's own tokens. Its invariant: told begins with shown, so
// that no token can have been shown whose row was left out.
type continuation struct {
	server   *server
	events   *proxy.Events // nil if nothing was asked for
	left     int
	told     strings.Builder // the bytes of the tokens that came with a row
	shown    strings.Builder // the text that came
	queue    []step
	finished bool
}

type step struct {
	row   eft.Row
	token eft.Token
}

// Next returns what came, and waits for more if there is nothing.
func (c *continuation) Next() (eft.Row, eft.Token, error) {
	for len(c.queue) == 0 {
		if c.finished {
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
		return c.server.malformed("the stream ended and says no reason")
	}
	if err != nil {
		return err
	}
	var out completion
	if err := json.Unmarshal(data, &out); err != nil {
		return c.server.malformed("an event is not the JSON expected: %v", err)
	}
	return c.take(&out)
}

// take queues an event's tokens.
func (c *continuation) take(out *completion) error {
	if len(out.Error) > 0 && string(out.Error) != "null" {
		return c.server.failed(out.Error)
	}
	if len(out.Choices) == 0 {
		return nil // usage, or nothing
	}
	if err := c.server.check(out, nil); err != nil {
		return err
	}
	if len(out.Choices) > 1 {
		return c.server.malformed("%d choices for one prompt", len(out.Choices))
	}
	choice := &out.Choices[0]
	for _, p := range choice.Logprobs {
		row, err := c.server.row(p, true)
		if err != nil {
			return err
		}
		token, err := c.server.naming.id(p.chosen)
		if err != nil {
			return c.server.unmapped(err)
		}
		if c.left--; c.left < 0 {
			return c.server.malformed("more tokens than were asked for")
		}
		c.queue = append(c.queue, step{row, token})
		c.told.Write(c.server.vocabulary.Piece(token))
	}
	c.shown.WriteString(choice.Text)
	if !follows(c.told.String(), c.shown.String()) {
		return c.server.malformed("the text %.60q came with log-probs of %.60q", c.shown.String(), c.told.String())
	}
	c.finished = choice.Finish != nil
	return nil
}

// follows says whether told begins with shown, but for what shown has in place of
// parts of characters.
func follows(told, shown string) bool {
	shown = strings.TrimRight(shown, "\uFFFD")
	for shown != "" {
		whole, rest, cut := strings.Cut(shown, "\uFFFD")
		if !strings.HasPrefix(told, whole) {
			return false
		}
		if !cut {
			return true
		}
		// Some bytes stand behind the mark: look for what comes next.
		next, _, _ := strings.Cut(rest, "\uFFFD")
		at := strings.Index(told[len(whole):], next)
		if at < 0 {
			return false
		}
		told, shown = told[len(whole)+at:], rest
	}
	return true
}

// Close stops the stream.
func (c *continuation) Close() {
	if c.events != nil {
		c.events.Close()
		c.events = nil
	}
}
