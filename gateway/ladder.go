// A ladder reads nested prompts as one text. Invariants:
//
//   - every prompt of a ladder begins with the one before it, and the last is at most
//     maxRungs − 1 tokens longer than the first;
//   - rows and err are written once, by the first choice that asks, and only read then;
//   - the sequence is opened at most once and closed by close, behind all choices.

package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
)

// maxRungs bounds the rows that a ladder holds at a time.
const maxRungs = sideBySide

// ladder is a base for prompts of which each is the beginning of the next, and of which
// one token is asked for: what a gateway sends to its base to have the rows along a path.
//
//	prompts   a b c      a b c d     a b c d e
//	text      a b c   │  d           e
//	rows              │  r₀          r₁          r₂
//
// A row is a function of its prefix, so those of the longest prompt's path are those of
// all prompts, in one pass where each alone would be read from its beginning.
type ladder struct {
	base        decode.Base
	bottom, top []eft.Token // the shortest prompt and the longest

	climb    sync.Once
	sequence decode.Sequence
	rows     []eft.Row
	err      error
}

// errFallen is what is left of a panic in the choice that read the rows for all.
var errFallen = errors.New("the rows of nested prompts were not read")

// ladders finds the nested prompts of a plan: for each prompt its ladder, nil for one
// that stands alone. Routes with experts have none: their prompts differ by role.
func (p *plan) ladders() []*ladder {
	all := make([]*ladder, len(p.prompts))
	if len(p.route.Experts) > 0 {
		return all
	}
	for i := 0; i < len(p.prompts); {
		end := i + 1
		for end < len(p.prompts) && p.nested(i, end) {
			end++
		}
		if end-i > 1 {
			l := &ladder{base: p.route.Base, bottom: p.prompts[i].base, top: p.prompts[end-1].base}
			for j := i; j < end; j++ {
				all[j] = l
			}
		}
		i = end
	}
	return all
}

// nested says whether prompt i can stand on a ladder that begins with prompt first, as
// all between them do.
func (p *plan) nested(first, i int) bool {
	below, prompt := p.prompts[i-1], p.prompts[i]
	return below.maxTokens == 1 && prompt.maxTokens == 1 &&
		len(prompt.base)-len(p.prompts[first].base) < maxRungs &&
		len(prompt.base) >= len(below.base) && slices.Equal(prompt.base[:len(below.base)], below.base)
}

// Open begins the text of one of the prompts.
func (l *ladder) Open(_ context.Context, tenant string, prompt []eft.Token) (decode.Sequence, error) {
	return rung{l, tenant, len(prompt) - len(l.bottom)}, nil
}

// read asks the base for all rows.
func (l *ladder) read(ctx context.Context, tenant string) {
	l.err = errFallen
	sequence, err := l.base.Open(ctx, tenant, l.bottom)
	if err != nil {
		l.err = err
		return
	}
	l.sequence = sequence
	l.rows, l.err = sequence.Rows(ctx, nil, l.top[len(l.bottom):])
}

func (l *ladder) close() {
	if l != nil && l.sequence != nil {
		l.sequence.Close()
	}
}

// rung is the one row behind one of the prompts.
type rung struct {
	*ladder
	tenant string
	at     int
}

// Rows gives the row behind the prompt; of one token there is no other.
func (r rung) Rows(ctx context.Context, _, _ []eft.Token) ([]eft.Row, error) {
	r.climb.Do(func() { r.read(ctx, r.tenant) })
	if r.err != nil {
		return nil, r.err
	}
	return r.rows[min(r.at, len(r.rows)):min(r.at+1, len(r.rows))], nil
}

// Close leaves the sequence to the other prompts.
func (r rung) Close() {}
