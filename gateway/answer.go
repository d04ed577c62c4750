package gateway

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/graft-gateway/graft/gateway/openai"
)

// shape says how what a plan came to looks at one endpoint.
type shape interface {
	// whole is the answer to a request that does not stream.
	whole(choices []finished, usage *openai.Usage, tuning *openai.TuningReport) any
	// opening is the event that begins a choice, nil for none.
	opening(choice int) any
	// event shows a piece; tuning is nil but for a stream's last.
	event(p piece, tuning *openai.TuningReport) any
	// closing is the event behind all pieces that carries usage.
	closing(usage *openai.Usage, tuning *openai.TuningReport) any
}

// finished is a choice that has come to its end.
type finished struct {
	text   string
	tokens []told
	reason openai.FinishReason
}

// answer runs a plan and writes what it comes to.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, p *plan, arrived time.Time, as shape, g *openai.Generation) error {
	if g.Stream {
		return s.stream(w, r, p, arrived, as, g.IncludeUsage)
	}
	return s.whole(w, r, p, arrived, as)
}

// whole answers with one JSON object when all choices have ended.
func (s *Server) whole(w http.ResponseWriter, r *http.Request, p *plan, arrived time.Time, as shape) error {
	texts := make([]strings.Builder, p.choices())
	choices := make([]finished, p.choices())
	out, err := s.run(r.Context(), p, arrived, func(piece piece) error {
		c := &choices[piece.choice]
		texts[piece.choice].WriteString(piece.text)
		c.tokens = append(c.tokens, piece.tokens...)
		c.reason = piece.finish
		return nil
	})
	if err != nil {
		return err
	}
	for i := range choices {
		choices[i].text = texts[i].String()
	}
	return writeJSON(w, as.whole(choices, out.usage(p), out.report(p)))
}

// stream answers with events. The first goes out with the first piece, so that a
// failure before it is an ordinary error answer.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, p *plan, arrived time.Time, as shape, usage bool) error {
	sse := newEvents(w)
	left := p.choices()
	var last piece // is held for the report, which is known when all have ended
	out, err := s.run(r.Context(), p, arrived, func(piece piece) error {
		if err := sse.open(as, p.choices()); err != nil {
			return err
		}
		if piece.finish != "" {
			if left--; left == 0 {
				last = piece
				return nil
			}
		}
		return sse.send(as.event(piece, nil))
	})
	if err != nil {
		return sse.fail(public(r.Context(), err))
	}
	if usage {
		err = errors.Join(sse.send(as.event(last, nil)), sse.send(as.closing(out.usage(p), out.report(p))))
	} else {
		err = sse.send(as.event(last, out.report(p)))
	}
	return errors.Join(err, sse.done())
}
