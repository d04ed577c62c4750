package llamacpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// tolerance is how far two log-probs of a prefix may lie apart that the server
// computed in other shapes: 0.013 nats were measured with weights in single precision,
// quantised ones come to some hundredths. Rows that a sampler had its hands in are
// apart by more, or whole.
const tolerance = 0.2

// probe tries everything that is relied on later, on a prompt of letters.
func (s *server) probe(ctx context.Context) error {
	abc := letters(s.forcing.vocabulary, s.caps.VocabSize, 5)
	if len(abc) == 0 {
		return errors.New("no id of the vocabulary stands for one ASCII letter, and only such ids are told with their log-probs whatever comes before: this vocabulary cannot be served through llama-server")
	}
	s.pin = abc[0]
	for len(abc) < 5 {
		abc = append(abc, abc...)
	}
	prompt, path := abc[:3], abc[3:5]
	t := &text{server: s}
	defer t.Close()
	alone, err := s.probeRows(ctx, t, prompt, path)
	if err != nil {
		return err
	}
	if err := s.probeRaw(ctx, t, prompt); err != nil {
		return err
	}
	if err := s.probeGrammar(ctx, t, prompt, path, alone); err != nil {
		return err
	}
	if err := s.probeBatch(ctx, prompt); err != nil {
		return err
	}
	return s.probeStream(ctx, t, prompt)
}

// probeRows asks for rows one by one, and sees whether the second knows the first.
func (s *server) probeRows(ctx context.Context, t *text, prompt, path []eft.Token) ([]eft.Row, error) {
	var alone []eft.Row
	for i := range len(path) + 1 {
		prefix := slices.Concat(prompt, path[:i])
		a, err := t.send(ctx, t.pinning(prefix), prefix)
		if err != nil {
			return nil, err
		}
		got, err := s.rows.pinned(a, s.pin)
		if err != nil {
			return nil, err
		}
		alone = append(alone, got...)
		// Who else asks may have taken the slot: one prefix that was known is enough.
		if i > 0 && a.Timings.Cached != nil && s.caps.PrefixCache != "yes" {
			s.caps.PrefixCache = "no"
			if *a.Timings.Cached > 0 {
				s.caps.PrefixCache = "yes"
			}
		}
	}
	if s.caps.PrefixCache == "no" {
		s.caps.Notes = append(s.caps.Notes, "the server evaluates every prefix anew (a model with a sliding window or a recurrent state, or --no-cache-prompt): try --swa-full, or routes stay slow")
	}
	return alone, nil
}

// probeRaw compares a row whose token was chosen for the server with one behind which
// nothing was. Where the server's own token leaves a character open there is no row, and
// another prompt is tried.
func (s *server) probeRaw(ctx context.Context, t *text, prompt []eft.Token) error {
	for i := range prompt {
		a, err := t.send(ctx, newQuestion(s.caps.Model, prompt[i:], 1, s.rows.asked()), prompt[i:])
		if err != nil {
			return err
		}
		if len(a.Positions) == 0 {
			continue
		}
		free, err := s.rows.read(a.Positions[0])
		if err != nil {
			return err
		}
		chosen, err := t.pinned(ctx, prompt[i:])
		if err != nil {
			return err
		}
		if d := apart(free, chosen[0]); d > tolerance {
			return fmt.Errorf("the server's log-probs change by %.3g nats with logit_bias, so they are not the model's own: update llama-server", d)
		}
		return nil
	}
	s.caps.Notes = append(s.caps.Notes, "that log-probs are the model's own was not tried: the server's tokens have none")
	return nil
}

// probeGrammar sees whether rows along a forced path are those behind its prefixes.
func (s *server) probeGrammar(ctx context.Context, t *text, prompt, path []eft.Token, alone []eft.Row) error {
	s.forcing.works = true
	got, err := t.forced(ctx, prompt, path)
	why := ""
	switch d := furthest(got, alone); {
	case err != nil && !grammarFault(err):
		return err
	case err != nil:
		why = err.Error()
	case len(got) < len(alone):
		why = fmt.Sprintf("%d of %d rows came", len(got), len(alone))
	case d > tolerance:
		why = fmt.Sprintf("the rows are %.3g nats from those asked for one by one", d)
	}
	s.forcing.works = why == ""
	if s.forcing.works {
		s.caps.Scoring = proxy.ScoringGrammar
	} else {
		s.caps.Notes = append(s.caps.Notes, "paths are asked for position by position, since grammars of token ids (root ::= <[5]>) do not force them here: "+why+"; update llama-server")
	}
	return nil
}

// probeBatch sees whether a list of prompts is understood.
func (s *server) probeBatch(ctx context.Context, prompt []eft.Token) error {
	q := newQuestion(s.caps.Model, nil, 1, 1)
	q.LogitBias = []bias{{s.pin, 1e9}}
	list := struct {
		question
		Prompts [][]eft.Token `json:"prompt"` // in place of the one prompt
	}{q, [][]eft.Token{prompt, prompt[:1]}}
	var answers []answer
	err := s.client.Post(ctx, "/completion", list, &answers)
	var fault *proxy.Error
	if errors.As(err, &fault) && (fault.Fault == proxy.Refused || fault.Fault == proxy.Malformed) {
		return nil
	}
	s.caps.Batch = err == nil && len(answers) == 2
	return err
}

// probeStream reads a continuation of two tokens.
func (s *server) probeStream(ctx context.Context, t *text, prompt []eft.Token) error {
	stream, err := t.Continue(ctx, prompt, 2)
	for err == nil {
		_, _, err = stream.Next()
	}
	var fault *proxy.Error
	switch {
	case err == io.EOF:
		s.caps.Stream = true
	case errors.As(err, &fault) && fault.Fault == proxy.Malformed:
		s.caps.Notes = append(s.caps.Notes, "the server's own continuation is not streamed: "+err.Error())
	default:
		return err
	}
	return nil
}

// furthest is the most that rows lie apart, as far as both go.
func furthest(a, b []eft.Row) float64 {
	d := 0.0
	for i := range min(len(a), len(b)) {
		d = max(d, apart(a[i], b[i]))
	}
	return d
}

// apart is the most that the ten best log-probs of either row differ from the other's.
func apart(a, b eft.Row) float64 { return max(beyond(a, b), beyond(b, a)) }

// beyond is the most that the ten best of a differ from b's log-probs. What b does not
// list lies below all that it lists.
func beyond(a, b eft.Row) float64 {
	a, b = best(a, 10), best(b, 40)
	d := 0.0
	for i, id := range a.IDs {
		if at := slices.Index(b.IDs, id); at >= 0 {
			d = max(d, math.Abs(float64(a.LogProbs[i]-b.LogProbs[at])))
		} else if n := len(b.LogProbs); n > 0 {
			d = max(d, float64(a.LogProbs[i]-b.LogProbs[n-1]))
		}
	}
	return d
}

// best is the truncated row of the n best of any row.
func best(r eft.Row, n int) eft.Row {
	var all []eft.Scored
	for i, id := range r.IDs {
		all = append(all, eft.Scored{ID: id, LogProb: r.LogProbs[i]})
	}
	for id, score := range r.Scores {
		all = append(all, eft.Scored{ID: eft.Token(id), LogProb: score})
	}
	return eft.Canonical(all, n)
}
