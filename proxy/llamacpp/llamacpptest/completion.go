package llamacpptest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// request is the body of /completion, as far as this server knows it. Like the real one
// it passes over whatever else there is.
type request struct {
	Prompt      json.RawMessage `json:"prompt"`
	Slot        *int            `json:"id_slot"`
	CachePrompt *bool           `json:"cache_prompt"`
	Stream      bool            `json:"stream"`
	Predict     *int            `json:"n_predict"`
	Probs       int             `json:"n_probs"`
	Grammar     string          `json:"grammar"`
	LogitBias   [][2]float64    `json:"logit_bias"`
	Temperature *float64        `json:"temperature"`
	IgnoreEnd   bool            `json:"ignore_eos"`
	Fields      []string        `json:"response_fields"`

	path []eft.Token // that the grammar forces
}

// refusal is why a request is not answered.
type refusal struct {
	status        int
	kind, message string
}

func (r *refusal) Error() string { return r.message }

func invalid(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_request_error", fmt.Sprintf(format, args...)}
}

func (s *Server) completion(w http.ResponseWriter, r *http.Request) {
	body, err := s.requests.Read(r)
	if err != nil {
		return // the client left in the middle of it
	}
	in, prompts, list, no := s.read(body)
	answers := []any{}
	for i, prompt := range prompts {
		if no != nil {
			break
		}
		var answer any
		if answer, no = s.answer(w, r, in, i, prompt); answer == nil && no == nil {
			return // it was streamed, or nobody waits for it
		}
		answers = append(answers, answer)
	}
	switch {
	case no != nil:
		fail(w, no.status, no.kind, no.message)
	case list:
		reply(w, answers)
	default:
		reply(w, answers[0])
	}
}

// read decodes and checks a body. The third result says that it holds a list of prompts.
func (s *Server) read(body []byte) (*request, [][]eft.Token, bool, *refusal) {
	o, in := s.now(), &request{}
	if err := json.Unmarshal(body, in); err != nil {
		return nil, nil, false, invalid("%v", err)
	}
	if temperature := in.Temperature; temperature == nil || *temperature > 0 {
		return nil, nil, false, invalid("this server is for tests, and samples nothing: set temperature to 0")
	}
	if in.Grammar != "" && o.Grammars == Forced {
		path, ok := parseGrammar(in.Grammar)
		if !ok {
			return nil, nil, false, invalid("Failed to parse grammar")
		}
		in.path = path
	} else if in.Grammar != "" && o.Grammars == Refused {
		return nil, nil, false, invalid("Failed to parse grammar")
	}
	raw := []json.RawMessage{in.Prompt}
	var lists [][]json.RawMessage
	list := json.Unmarshal(in.Prompt, &lists) == nil && len(lists) > 0
	if list {
		if err := json.Unmarshal(in.Prompt, &raw); err != nil {
			return nil, nil, false, invalid("%v", err)
		}
	}
	if list && in.Stream && len(raw) > 1 {
		return nil, nil, false, invalid("this server is for tests, and streams one prompt at a time")
	}
	var prompts [][]eft.Token
	for _, one := range raw {
		prompt, err := o.cut(one)
		if err != nil {
			return nil, nil, false, invalid("%v", err)
		}
		if no := s.checkPrompt(o, prompt); no != nil {
			return nil, nil, false, no
		}
		prompts = append(prompts, prompt)
	}
	return in, prompts, list, nil
}

func (s *Server) checkPrompt(o Options, prompt []eft.Token) *refusal {
	switch {
	case len(prompt) == 0:
		return invalid("Input prompt is empty")
	case slices.ContainsFunc(prompt, func(id eft.Token) bool { return id < 0 || int(id) >= s.vocab }):
		return invalid("Prompt contains invalid tokens")
	case len(prompt) >= o.Context:
		return &refusal{http.StatusBadRequest, "exceed_context_size_error", fmt.Sprintf(
			"request (%d tokens) exceeds the available context size (%d tokens), try increasing it", len(prompt), o.Context)}
	}
	return nil
}

var grammarForm = regexp.MustCompile(`^root ::=((?: <\[\d+\]>)+)$`)

// parseGrammar knows one kind of grammar: a list of token ids.
func parseGrammar(grammar string) ([]eft.Token, bool) {
	m := grammarForm.FindStringSubmatch(grammar)
	if m == nil {
		return nil, false
	}
	var path []eft.Token
	for _, word := range strings.Fields(m[1]) {
		id, err := strconv.Atoi(strings.Trim(word, "<[]>"))
		if err != nil {
			return nil, false
		}
		path = append(path, eft.Token(id))
	}
	return path, true
}

// answer has a slot answer one prompt. A stream is answered here; then, and for a client
// that has left, there is no answer to return.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, in *request, index int, prompt []eft.Token) (any, *refusal) {
	slot, ok := s.enter(r.Context(), in, prompt)
	if !ok {
		return nil, nil
	}
	defer func() { <-slot.turn }()
	run := s.start(in, slot, index, prompt)
	if in.Stream {
		run.stream(w, r.Context())
		return nil, nil
	}
	for more := true; more; {
		var no *refusal
		if more, no = run.step(); no != nil {
			return nil, no
		}
	}
	return run.last(), nil
}

// enter waits for the slot that was asked for (ids beyond the last wrap around), or for
// the one that holds most of the prompt.
func (s *Server) enter(ctx context.Context, in *request, prompt []eft.Token) (*slot, bool) {
	s.mu.Lock()
	slots := s.slots
	s.mu.Unlock()
	if in.Slot != nil && *in.Slot >= 0 {
		one := slots[*in.Slot%len(slots)]
		select {
		case one.turn <- struct{}{}:
			return one, true
		case <-ctx.Done():
			return nil, false
		}
	}
	var best *slot
	for _, one := range slots {
		select {
		case one.turn <- struct{}{}:
		default:
			continue
		}
		if best == nil || enginetest.Common(one.tokens, prompt) > enginetest.Common(best.tokens, prompt) {
			one, best = best, one
		}
		if one != nil {
			<-one.turn
		}
	}
	if best != nil {
		return best, true
	}
	select {
	case slots[0].turn <- struct{}{}:
		return slots[0], true
	case <-ctx.Done():
		return nil, false
	}
}
