package openaitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

type request struct {
	Model       string             `json:"model"`
	Prompt      json.RawMessage    `json:"prompt"`
	MaxTokens   int                `json:"max_tokens"`
	Temperature *float64           `json:"temperature"`
	TopP        *float64           `json:"top_p"`
	Logprobs    json.RawMessage    `json:"logprobs"`
	TopLogprobs int                `json:"top_logprobs"`
	AsIDs       bool               `json:"return_tokens_as_token_ids"`
	LogitBias   map[string]float64 `json:"logit_bias"`
	IgnoreEOS   bool               `json:"ignore_eos"`
	Stream      bool               `json:"stream"`

	k           int // how many of the best are told; 0 is none
	temperature float64
}

func (s *Server) completions(w http.ResponseWriter, r *http.Request) {
	o := s.now()
	if o.ChatOnly {
		http.NotFound(w, r)
		return
	}
	body, err := s.requests.Read(r)
	if err != nil {
		return
	}
	in, prompts, err := o.read(body)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if in.Stream {
		s.stream(w, r, in, prompts[0])
		return
	}
	choices, count := []map[string]any{}, 0
	for i, prompt := range prompts {
		run := run{server: s, options: o, in: in, ids: prompt}
		for run.step() {
		}
		choices, count = append(choices, run.choice(i, 0)), count+len(prompt)
	}
	if o.Reverse {
		slices.Reverse(choices)
	}
	answer := map[string]any{"object": "text_completion", "model": o.Answers, "choices": choices}
	if o.CountFirst {
		count = len(prompts[0])
	}
	if !o.NoUsage {
		answer["usage"] = map[string]int{"prompt_tokens": count}
	}
	reply(w, answer)
}

// read decodes and checks a body.
func (o *Options) read(body []byte) (*request, [][]eft.Token, error) {
	in := &request{temperature: 1}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(in); err != nil {
		return nil, nil, err
	}
	if in.Model != o.Name {
		return nil, nil, fmt.Errorf("the model %q does not exist", in.Model)
	}
	if o.Strict && (in.AsIDs || in.TopLogprobs > 0) {
		return nil, nil, errors.New("unrecognized request argument supplied")
	}
	if in.Temperature != nil {
		in.temperature = *in.Temperature
	}
	if err := o.readLogprobs(in); err != nil {
		return nil, nil, err
	}
	prompts, err := o.readPrompts(in.Prompt)
	return in, prompts, err
}

// readLogprobs takes a number, and with Chat also true beside top_logprobs.
func (o *Options) readLogprobs(in *request) error {
	switch raw := string(in.Logprobs); {
	case raw == "" || raw == "null" || raw == "false":
	case raw == "true" && o.Chat:
		in.k = in.TopLogprobs
	case json.Unmarshal(in.Logprobs, &in.k) != nil:
		return errors.New("logprobs is not an integer")
	}
	if o.Most > 0 && in.k > o.Most {
		if !o.Clamp {
			return fmt.Errorf("logprobs must be at most %d", o.Most)
		}
		in.k = o.Most
	}
	return nil
}

func (o *Options) readPrompts(raw json.RawMessage) ([][]eft.Token, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return [][]eft.Token{o.cut(text)}, nil
	}
	var ids []eft.Token
	var lists [][]eft.Token
	switch {
	case o.TextOnly:
		return nil, errors.New("prompt should be a valid string")
	case json.Unmarshal(raw, &ids) == nil:
		lists = [][]eft.Token{ids}
	case !o.Lists || json.Unmarshal(raw, &lists) != nil:
		return nil, errors.New("prompt is not understood")
	}
	if o.FirstToIDs {
		for i := range lists {
			lists[i] = slices.Concat(o.First, lists[i])
		}
	}
	return lists, nil
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, in *request, prompt []eft.Token) {
	o := s.now()
	if o.SilentStream {
		in.k = 0
	}
	enginetest.Stream(w)
	run := run{server: s, options: o, in: in, ids: prompt}
	for more := true; more && r.Context().Err() == nil; {
		sent := len(run.out)
		more = run.step()
		enginetest.Send(w, map[string]any{"object": "text_completion", "model": o.Answers, "choices": []any{run.choice(0, sent)}})
	}
	enginetest.Done(w)
}
