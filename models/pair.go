package models

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/graft-gateway/graft/eft"
)

// Pair is a tuned and an untuned model over one vocabulary. It does not own them.
type Pair struct {
	tuned, untuned *Model
}

// NewPair fails if the models do not share a vocabulary.
func NewPair(tuned, untuned *Model) (*Pair, error) {
	if err := CheckVocabularies(tuned, untuned); err != nil {
		return nil, err
	}
	return &Pair{tuned, untuned}, nil
}

// Tuned is the model that fine-tuning changed.
func (p *Pair) Tuned() *Model { return p.tuned }

// Untuned is the model as it was before.
func (p *Pair) Untuned() *Model { return p.untuned }

// Context is how many tokens a text can have in both models.
func (p *Pair) Context() int { return min(p.tuned.Context(), p.untuned.Context()) }

// Open begins a text in both models, each with its own prompt.
func (p *Pair) Open(tuned, untuned []eft.Token) *PairSequence {
	return &PairSequence{tuned: p.tuned.Open(tuned), untuned: p.untuned.Open(untuned)}
}

// OpenFor is Open for a tenant, as [Model.OpenFor] is.
func (p *Pair) OpenFor(tenant string, tuned, untuned []eft.Token) *PairSequence {
	return &PairSequence{tuned: p.tuned.OpenFor(tenant, tuned), untuned: p.untuned.OpenFor(tenant, untuned)}
}

// PairSequence advances both models of a pair in step. One goroutine uses it at a
// time.
type PairSequence struct {
	tuned, untuned *Sequence
	rows           []eft.PairRows
}

// Rows returns both models' rows as [Sequence.Rows] does, run side by side.
func (s *PairSequence) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.PairRows, error) {
	var tuned, untuned []eft.Row
	var tunedErr, untunedErr error
	var pending sync.WaitGroup
	pending.Go(func() {
		// Nobody above a goroutine can catch a panic: it would end the process.
		defer func() {
			if v := recover(); v != nil {
				tunedErr = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			}
		}()
		tuned, tunedErr = s.tuned.Rows(ctx, generated, path)
	})
	untuned, untunedErr = s.untuned.Rows(ctx, generated, path)
	pending.Wait()
	if err := errors.Join(tunedErr, untunedErr); err != nil {
		return nil, err
	}
	s.rows = s.rows[:0]
	for i := range tuned {
		s.rows = append(s.rows, eft.PairRows{Tuned: tuned[i], Untuned: untuned[i]})
	}
	return s.rows, nil
}

// Close frees what both sequences hold. Calling it again does nothing.
func (s *PairSequence) Close() error { return errors.Join(s.tuned.Close(), s.untuned.Close()) }
