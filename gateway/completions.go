package gateway

import (
	"net/http"
	"slices"
	"time"

	"github.com/graft-gateway/graft/gateway/openai"
)

// completions answers POST /v1/completions.
func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	arrived := time.Now()
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	request, err := openai.DecodeCompletion(body)
	if err != nil {
		return err
	}
	p, err := s.plan(r, &request.Generation)
	if err != nil {
		return err
	}
	if err := request.CheckVocabulary(p.route.Vocabulary.Size()); err != nil {
		return err
	}
	p.logprobs = request.Logprobs.Set
	if err := p.capTop("logprobs", request.Logprobs.Value, p.route.CompletionLogprobs); err != nil {
		return err
	}
	leave, err := s.admission.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	if err := p.plainPrompts(request.Prompts); err != nil {
		return err
	}
	if err := p.limit("prompt", request.MaxTokens, request.MinTokens); err != nil {
		return err
	}
	a := textAnswer{plan: p, id: newID("cmpl-"), created: arrived.Unix(), model: request.Model, usage: request.IncludeUsage}
	return s.answer(w, r, p, arrived, &a, &request.Generation)
}

// textAnswer shapes the pieces of a plan as OpenAI's text completions.
type textAnswer struct {
	plan    *plan
	id      string
	created int64
	model   string
	usage   bool
}

func (a *textAnswer) whole(choices []finished, usage *openai.Usage, tuning *openai.TuningReport) any {
	answer := a.object()
	for i, c := range choices {
		answer.Choices = append(answer.Choices, openai.CompletionChoice{Index: i, Text: c.text, Logprobs: a.logprobs(c.tokens), FinishReason: c.reason})
	}
	answer.Usage, answer.Tuning = openai.Some(usage), tuning
	return answer
}

func (a *textAnswer) opening(int) any { return nil }

func (a *textAnswer) event(p piece, tuning *openai.TuningReport) any {
	object := a.object()
	object.Choices = []openai.CompletionChoice{{Index: p.choice, Text: p.text, Logprobs: a.logprobs(p.tokens), FinishReason: p.finish}}
	object.Tuning = tuning
	return object
}

func (a *textAnswer) closing(usage *openai.Usage, tuning *openai.TuningReport) any {
	object := a.object()
	object.Choices = []openai.CompletionChoice{}
	object.Usage, object.Tuning = openai.Some(usage), tuning
	return object
}

func (a *textAnswer) object() *openai.Completion {
	object := &openai.Completion{ID: a.id, Object: openai.ObjectCompletion, Created: a.created, Model: a.model}
	if a.usage {
		object.Usage = openai.Some[*openai.Usage](nil)
	}
	return object
}

// logprobs tells tokens as the completions endpoint does, nil if nobody asked: the
// best tokens of a position hold the chosen one too, wherever it ranks.
func (a *textAnswer) logprobs(tokens []told) *openai.CompletionLogprobs {
	if !a.plan.logprobs {
		return nil
	}
	out := &openai.CompletionLogprobs{}
	for _, t := range tokens {
		out.Tokens = append(out.Tokens, a.plan.text(t.id))
		out.Logprobs = append(out.Logprobs, openai.Logprob(t.logprob))
		out.Offsets = append(out.Offsets, t.offset)
		top := make([]openai.TopLogprob, 0, len(t.top)+1)
		for _, s := range t.top {
			top = append(top, a.plan.candidate(s))
		}
		if !slices.ContainsFunc(t.top, func(s scored) bool { return s.id == t.id }) {
			top = append(top, a.plan.candidate(t.scored))
		}
		out.Top = append(out.Top, top)
	}
	return out
}
