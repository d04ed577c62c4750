package proxy

import (
	"context"
	"errors"
	"time"
)

// trusted asks until it is proven that the model of this sequence has answered. What
// was opened for an answer without proof is closed.
func (s *Sequence) trusted(ctx context.Context, ask func(try int) error) error {
	for try := 1; ; try++ {
		now, err := s.base.watch.settle(ctx)
		if err != nil {
			return err
		}
		if err := s.take(now.model); err != nil {
			return err
		}
		at := time.Now()
		asked := ask(try)
		if asked != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		var e *Error
		if errors.As(asked, &e) && e.Fault == Changed {
			s.base.watch.doubt() // the server has told by itself
		}
		found, err := s.base.watch.judge(ctx, now, at)
		switch {
		case found == disproved && (s.bound || try == rowTries):
			s.drop()
			return s.base.watch.gone(s.model)
		case errors.As(err, &e) && e.Fault == Changed:
			s.drop()
			return err
		case found == disproved: // nothing was told of the model before: go on with this one
		case asked != nil:
			return asked
		case err != nil:
			s.drop()
			return err
		case found == proven || try == rowTries:
			s.bound = true
			return nil
		}
		s.drop()
	}
}

// take makes m the model of the sequence.
func (s *Sequence) take(m *model) error {
	switch {
	case s.model == m:
		return nil
	case s.bound:
		s.drop()
		return s.base.watch.gone(s.model)
	}
	s.drop()
	s.end()
	s.begin(m)
	return nil
}

func (s *Sequence) begin(m *model) {
	s.model, s.text, s.known = m, m.server.Begin(s.tenant), 0
	if m.gather != nil {
		s.rider = m.gather.enter(s.tenant)
	}
	s.rules = rules{vocabulary: s.base.config.Want.Vocabulary, dense: m.caps.Dense, k: m.caps.TopLogprobs}
}

func (s *Sequence) malformed(err error) error {
	return &Error{Fault: Malformed, Base: s.base.config.Name, Op: "rows", Err: err}
}

// end gives back what the text holds of its model.
func (s *Sequence) end() {
	if s.text != nil {
		s.text.Close()
		s.text = nil
	}
	if s.rider != nil {
		s.rider.leave()
		s.rider = nil
	}
}

// stray says that other texts need not wait for this one.
func (s *Sequence) stray() {
	if s.rider != nil {
		s.rider.stray()
	}
}
