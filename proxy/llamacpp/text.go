package llamacpp

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// text is one text at the server. One goroutine uses it at a time.
//
// Invariants: slot is nil before the first request and after Close; while a stream is
// open it has the slot's turn.
type text struct {
	server *server
	tenant string
	slot   *slot
	stream *continuation // the last one; may be closed
	// evaluated is what the last request had the server evaluate.
	evaluated []eft.Token
}

// Rows asks for as much of the path as one grammar can force, and goes on behind it.
func (t *text) Rows(ctx context.Context, prefix, path []eft.Token) ([]eft.Row, error) {
	whole := slices.Concat(prefix, path)
	got := make([]eft.Row, 0, len(path)+1)
	for len(got) <= len(path) {
		at := len(prefix) + len(got)
		span := t.server.forcing.span(path[len(got):])
		// A token beyond the context would make a server with --context-shift
		// forget the beginning.
		span = span[:max(0, min(len(span), t.server.room(at)-1))]
		more, err := t.ask(ctx, whole[:at], span)
		if err != nil {
			return nil, err
		}
		got = append(got, more...)
	}
	return got, nil
}

// ask returns the row behind prompt, and as many behind the tokens of span as the
// server told.
func (t *text) ask(ctx context.Context, prompt, span []eft.Token) ([]eft.Row, error) {
	if len(span) == 0 {
		return t.pinned(ctx, prompt)
	}
	got, err := t.forced(ctx, prompt, span)
	if err == nil && len(got) > 0 {
		return got, nil
	}
	if err != nil && !grammarFault(err) {
		return nil, err
	}
	got, alone := t.pinned(ctx, prompt)
	if alone != nil {
		return nil, alone
	}
	// The request was fine but for its grammar.
	t.server.forcing.refuse(span)
	return got, nil
}

// grammarFault says whether the server failed at a grammar, which it does at tokens
// that it cannot match.
func grammarFault(err error) bool {
	var fault *proxy.Error
	return errors.As(err, &fault) && (fault.Fault == proxy.Failed || fault.Fault == proxy.Refused) &&
		strings.Contains(strings.ToLower(fault.Message), "grammar")
}

// pinned returns the row behind prompt.
func (t *text) pinned(ctx context.Context, prompt []eft.Token) ([]eft.Row, error) {
	a, err := t.send(ctx, t.pinning(prompt), prompt)
	if err != nil {
		return nil, err
	}
	return t.server.rows.pinned(a, t.server.pin)
}

// pinning asks for one token, chosen by a bias.
func (t *text) pinning(prompt []eft.Token) question {
	q := newQuestion(t.server.caps.Model, prompt, 1, t.server.rows.asked())
	q.LogitBias = []bias{{t.server.pin, 1e9}}
	return q
}

// forced returns the rows behind prompt and along span, as many as are certain.
func (t *text) forced(ctx context.Context, prompt, span []eft.Token) ([]eft.Row, error) {
	tokens := append(slices.Clone(span), t.server.pin)
	q := newQuestion(t.server.caps.Model, prompt, len(tokens), t.server.rows.asked())
	q.Grammar = grammar(tokens)
	a, err := t.send(ctx, q, slices.Concat(prompt, span))
	if err != nil {
		return nil, err
	}
	return t.server.rows.along(a, tokens)
}

// pinned reads the one row of an answer.
func (r rows) pinned(a answer, pin eft.Token) ([]eft.Row, error) {
	got, err := r.along(a, []eft.Token{pin})
	if err == nil && len(got) == 0 {
		err = r.found("no log-probs for the token %d, which logit_bias chose: is the server started with --backend-sampling or without n_probs?", pin)
	}
	return got, err
}

// along reads the rows from which want were chosen. A position without a row is left
// out of the answer, and the next one's token then differs from the one wanted: the
// token before it left a character open, and the next one goes on with it or closes it.
func (r rows) along(a answer, want []eft.Token) ([]eft.Row, error) {
	var out []eft.Row
	for i, p := range a.Positions {
		if i == len(want) || p.ID == nil || *p.ID != want[i] {
			break
		}
		row, err := r.read(p)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

// send asks one question in the text's slot, which will have evaluated tokens then.
func (t *text) send(ctx context.Context, q question, tokens []eft.Token) (answer, error) {
	if err := t.enter(ctx, &q, tokens); err != nil {
		return answer{}, err
	}
	defer t.slot.leave()
	var a answer
	if err := t.server.client.Post(ctx, "/completion", q, &a); err != nil {
		return answer{}, err
	}
	return a, t.server.rows.checkPrompt(a, q.Prompt)
}

// enter waits for the turn of the text's slot.
func (t *text) enter(ctx context.Context, q *question, tokens []eft.Token) error {
	// The text's own stream would keep it waiting.
	if t.stream != nil {
		t.stream.Close()
		t.stream = nil
	}
	pool := t.server.pool
	if t.slot == nil {
		t.slot = pool.lease()
	} else {
		t.slot = pool.move(t.slot)
	}
	if err := t.slot.enter(ctx); err != nil {
		return err
	}
	own := len(t.evaluated) > 0 && 2*common(t.evaluated, tokens) >= len(t.evaluated)
	q.CachePrompt = pool.begin(t.slot, t.tenant, own)
	t.evaluated = slices.Clone(tokens)
	return nil
}

// Named is never called: the server gives no log-probs by name.
func (t *text) Named(context.Context, []eft.Token, []eft.Token, [][]eft.Token) ([][]eft.Scored, error) {
	return nil, errors.ErrUnsupported
}

// Close frees the slot.
func (t *text) Close() {
	if t.stream != nil {
		t.stream.Close()
		t.stream = nil
	}
	if t.slot != nil {
		t.server.pool.release(t.slot)
		t.slot = nil
	}
}
