package gateway

import (
	"net/http"
	"slices"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/openai"
)

// completions answers POST /v1/completions.
func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	arrived := time.Now()
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if passed, err := s.pass(w, r, body); passed || err != nil {
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
	if err := p.tellText(request); err != nil {
		return err
	}
	leave, err := s.admission.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	if err := p.plainPrompts(request.Prompts, request.AddSpecialTokens); err != nil {
		return err
	}
	if err := p.limit("prompt", request.MaxTokens, request.MinTokens); err != nil {
		return err
	}
	a := textAnswer{
		plan: p, id: newID("cmpl-"), created: arrived.Unix(), model: request.Model, usage: request.IncludeUsage, begun: make([]bool, p.choices()),
	}
	return s.answer(w, r, p, arrived, &a, &request.Generation)
}

// textAnswer shapes the pieces of a plan as OpenAI's text completions.
type textAnswer struct {
	plan    *plan
	id      string
	created int64
	model   string
	usage   bool
	begun   []bool // choices whose prompt's ids have been told
}

func (a *textAnswer) whole(choices []finished, usage *openai.Usage, tuning *openai.TuningReport) any {
	answer := a.object()
	for i, c := range choices {
		answer.Choices = append(answer.Choices, a.choice(i, c.text, c.tokens, c.reason))
	}
	answer.Usage, answer.Tuning = openai.Some(usage), tuning
	return answer
}

func (a *textAnswer) opening(int) any { return nil }

func (a *textAnswer) event(p piece, tuning *openai.TuningReport) any {
	object := a.object()
	object.Choices = []openai.CompletionChoice{a.choice(p.choice, p.text, p.tokens, p.finish)}
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

// choice is all or a piece of one.
func (a *textAnswer) choice(i int, text string, tokens []told, reason openai.FinishReason) openai.CompletionChoice {
	c := openai.CompletionChoice{Index: i, Text: text, Logprobs: a.logprobs(tokens), FinishReason: reason}
	if !a.plan.ids {
		return c
	}
	if !a.begun[i] {
		a.begun[i] = true
		c.PromptTokenIDs = a.plan.prompts[i/a.plan.n].base
	}
	c.TokenIDs = make([]eft.Token, 0, len(tokens))
	for _, t := range tokens {
		c.TokenIDs = append(c.TokenIDs, t.id)
	}
	return c
}

// logprobs tells tokens as the completions endpoint does, nil if nobody asked.
func (a *textAnswer) logprobs(tokens []told) *openai.CompletionLogprobs {
	if !a.plan.logprobs {
		return nil
	}
	out := &openai.CompletionLogprobs{Top: []openai.Top{}}
	for _, t := range tokens {
		out.Tokens = append(out.Tokens, a.plan.text(t.id))
		out.Logprobs = append(out.Logprobs, float32(t.logprob))
		out.Offsets = append(out.Offsets, t.offset)
		out.Top = append(out.Top, a.top(t))
	}
	return out
}

// top are the tokens told beside a token, which is always among them.
func (a *textAnswer) top(t told) openai.Top {
	if a.plan.whole {
		return t.whole
	}
	all := t.top
	if !slices.ContainsFunc(all, func(s scored) bool { return s.id == t.id }) {
		all = append(slices.Clip(all), t.scored)
	}
	if a.plan.names {
		top := make(openai.ByID, 0, len(all))
		for _, s := range all {
			top = append(top, eft.Scored{ID: s.id, LogProb: float32(s.logprob)})
		}
		return top
	}
	top := make(openai.ByText, 0, len(all))
	for _, s := range all {
		top = append(top, openai.Candidate{Text: a.plan.text(s.id), LogProb: float32(s.logprob)})
	}
	return top
}
