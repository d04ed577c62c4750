// One model's view of one text. Invariants:
//
//   - held are the tokens whose keys and values the native sequence has, in order;
//   - kept is nil where prompts are not kept; else it closes the native sequence once it
//     has it, and is told once that the prompt was computed;
//   - rows of a call are the native sequence's and live until the next call;
//   - the native sequence is opened by the first call and closed exactly once.

package models

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/models/prefix"
)

// Sequence gives a model's rows along one text. One goroutine uses it at a time.
type Sequence struct {
	model  *Model
	prompt []eft.Token
	native *onnx.Sequence
	held   []eft.Token
	wanted []eft.Token // scratch

	kept     *prefix.Text
	computed bool // the prompt; kept knows
}

// Open begins a text with prompt. The work is done by Rows.
func (m *Model) Open(prompt []eft.Token) *Sequence { return &Sequence{model: m, prompt: prompt} }

// OpenFor is Open for a tenant, whose prompts are kept if [Model.KeepPrompts] was called:
// what is known of this one need not be computed. Tenants share nothing.
func (m *Model) OpenFor(tenant string, prompt []eft.Token) *Sequence {
	s := m.Open(prompt)
	if prompts := m.prompts.Load(); prompts != nil {
		s.kept = prompts.Open(tenant, prompt)
	}
	return s
}

// Rows returns len(path)+1 dense rows: the one that follows prompt and generated,
// and the one behind each token of path. Only tokens that are not held already are
// run; what is held and differs is dropped first. After an error it can be called
// again.
func (s *Sequence) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	s.wanted = append(append(append(s.wanted[:0], s.prompt...), generated...), path...)
	first := len(s.prompt) + len(generated) - 1 // whose row comes first
	if first < 0 {
		return nil, errors.New("a text needs at least one token of prompt")
	}
	if s.native == nil {
		native, err := s.model.session.Open(ctx)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", s.model.name, err)
		}
		s.native = native
		if s.kept != nil {
			s.held = append(s.held, s.prompt[:s.kept.Resume(ctx, native)]...)
		}
	}
	keep := 0
	for keep < min(len(s.held), first) && s.held[keep] == s.wanted[keep] {
		keep++
	}
	if err := s.native.Truncate(keep); err != nil {
		return nil, fmt.Errorf("model %s: %w", s.model.name, err)
	}
	s.held = s.held[:keep]
	began := time.Now()
	rows, err := s.native.Extend(ctx, s.wanted[keep:], len(path)+1)
	if err != nil {
		if s.kept != nil {
			s.kept.Failed()
		}
		return nil, fmt.Errorf("model %s: %w", s.model.name, err)
	}
	s.held = append(s.held, s.wanted[keep:]...)
	if s.kept != nil && !s.computed {
		s.computed = true
		s.kept.Computed(len(s.wanted)-keep, time.Since(began))
	}
	return rows, nil
}

// Close frees what the sequence holds. Calling it again does nothing.
func (s *Sequence) Close() error {
	if s.native == nil {
		return nil
	}
	native := s.native
	s.native = nil
	if s.kept != nil {
		return s.kept.Close()
	}
	return native.Close()
}
