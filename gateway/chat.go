package gateway

import (
	"net/http"
	"time"

	"github.com/graft-gateway/graft/gateway/openai"
)

// chat answers POST /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) error {
	arrived := time.Now()
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if passed, err := s.pass(w, r, body); passed || err != nil {
		return err
	}
	request, err := openai.DecodeChat(body)
	if err != nil {
		return err
	}
	p, err := s.plan(r, &request.Generation)
	if err != nil {
		return err
	}
	if err := p.tellChat(request); err != nil {
		return err
	}
	leave, err := s.admission.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	if err := p.chatPrompt(r.Context(), request.Messages); err != nil {
		return err
	}
	if err := p.limit("messages", request.MaxTokens, request.MinTokens); err != nil {
		return err
	}
	a := chatAnswer{plan: p, id: newID("chatcmpl-"), created: arrived.Unix(), model: request.Model, usage: request.IncludeUsage}
	return s.answer(w, r, p, arrived, &a, &request.Generation)
}

// chatAnswer shapes the pieces of a plan as OpenAI's chat answers.
type chatAnswer struct {
	plan    *plan
	id      string
	created int64
	model   string
	usage   bool
}

func (a *chatAnswer) whole(choices []finished, usage *openai.Usage, tuning *openai.TuningReport) any {
	answer := openai.ChatCompletion{ID: a.id, Object: openai.ObjectChat, Created: a.created, Model: a.model, Usage: *usage, Tuning: tuning}
	for i, c := range choices {
		answer.Choices = append(answer.Choices, openai.ChatChoice{
			Index: i, Message: openai.AnswerMessage{Role: "assistant", Content: c.text},
			Logprobs: a.logprobs(c.tokens), FinishReason: c.reason,
		})
	}
	return answer
}

func (a *chatAnswer) opening(choice int) any {
	return a.chunk(openai.ChunkChoice{Index: choice, Delta: openai.Delta{Role: "assistant", Content: openai.Some("")}})
}

func (a *chatAnswer) event(p piece, tuning *openai.TuningReport) any {
	choice := openai.ChunkChoice{Index: p.choice, FinishReason: p.finish, Logprobs: a.logprobs(p.tokens)}
	if p.text != "" {
		choice.Delta.Content = openai.Some(p.text)
	}
	chunk := a.chunk(choice)
	chunk.Tuning = tuning
	return chunk
}

func (a *chatAnswer) closing(usage *openai.Usage, tuning *openai.TuningReport) any {
	chunk := a.chunk()
	chunk.Usage, chunk.Tuning = openai.Some(usage), tuning
	return chunk
}

func (a *chatAnswer) chunk(choices ...openai.ChunkChoice) *openai.ChatChunk {
	chunk := &openai.ChatChunk{ID: a.id, Object: openai.ObjectChatChunk, Created: a.created, Model: a.model, Choices: choices}
	if choices == nil {
		chunk.Choices = []openai.ChunkChoice{}
	}
	if a.usage {
		chunk.Usage = openai.Some[*openai.Usage](nil)
	}
	return chunk
}

// logprobs tells tokens as the chat endpoint does, nil if nobody asked.
func (a *chatAnswer) logprobs(tokens []told) *openai.ChatLogprobs {
	if !a.plan.logprobs {
		return nil
	}
	out := &openai.ChatLogprobs{}
	for _, t := range tokens {
		entry := openai.TokenLogprob{TopLogprob: a.plan.candidate(t.scored)}
		for _, s := range t.top {
			entry.Top = append(entry.Top, a.plan.candidate(s))
		}
		out.Content = append(out.Content, entry)
	}
	return out
}
