package sglangtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// request is the body of /generate, as far as the server knows it: it refuses others.
type request struct {
	InputIDs      json.RawMessage `json:"input_ids"`
	Sampling      json.RawMessage `json:"sampling_params"`
	ReturnLogprob bool            `json:"return_logprob"`
	LogprobStart  starts          `json:"logprob_start_len"`
	TopLogprobs   int             `json:"top_logprobs_num"`
	Named         []eft.Token     `json:"token_ids_logprob"`
	ReturnText    bool            `json:"return_text_in_logprobs"`
	Stream        bool            `json:"stream"`
	ExtraKey      string          `json:"extra_key"`
	CacheSalt     string          `json:"cache_salt"`

	params sampling
}

// starts is where the log-probs of the prompt begin: a number for all prompts, or one for
// each. Nil is for none.
type starts []int

// UnmarshalJSON implements json.Unmarshaler.
func (s *starts) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return json.Unmarshal(data, (*[]int)(s))
	}
	one := -1
	err := json.Unmarshal(data, &one)
	*s = starts{one}
	return err
}

// of is that of the i'th prompt.
func (s starts) of(i int) int {
	switch {
	case len(s) == 0:
		return -1
	case len(s) == 1:
		return s[0]
	}
	return s[i]
}

type sampling struct {
	MaxNewTokens      int                `json:"max_new_tokens"`
	MinNewTokens      int                `json:"min_new_tokens"`
	Temperature       float64            `json:"temperature"`
	TopK              int                `json:"top_k"`
	TopP              float64            `json:"top_p"`
	MinP              float64            `json:"min_p"`
	FrequencyPenalty  float64            `json:"frequency_penalty"`
	PresencePenalty   float64            `json:"presence_penalty"`
	RepetitionPenalty float64            `json:"repetition_penalty"`
	IgnoreEOS         bool               `json:"ignore_eos"`
	LogitBias         map[string]float64 `json:"logit_bias"`
}

// refusal is an error in the words of the server.
type refusal string

func (r refusal) Error() string { return string(r) }

func (s *Server) generate(w http.ResponseWriter, r *http.Request) {
	body, err := s.requests.Read(r)
	if err != nil {
		return
	}
	in, prompts, list, err := s.read(body)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	var answers []any
	for i, ids := range prompts {
		run, err := s.start(in, ids, in.LogprobStart.of(i))
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		if in.Stream {
			s.stream(w, r, run)
			return
		}
		for run.step() {
		}
		answers = append(answers, run.whole())
	}
	if list {
		reply(w, answers)
		return
	}
	reply(w, answers[0])
}

// read decodes and checks a body. The second result says that it holds a list.
func (s *Server) read(body []byte) (*request, [][]eft.Token, bool, error) {
	o := s.now()
	in := &request{}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(in); err != nil {
		return nil, nil, false, err
	}
	in.params = sampling{MaxNewTokens: 128, Temperature: 1, TopK: -1, TopP: 1, RepetitionPenalty: 1}
	for _, raw := range []json.RawMessage{o.Preferred, in.Sampling} {
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &in.params); err != nil {
				return nil, nil, false, err
			}
		}
	}
	for key := range in.params.LogitBias {
		if id, err := strconv.Atoi(key); err != nil || id < 0 || id >= s.vocab {
			return nil, nil, false, refusal(fmt.Sprintf("logit_bias must has keys in [0, %d], got %s.", s.vocab-1, key))
		}
	}
	for _, id := range in.Named {
		if id < 0 || int(id) >= s.vocab {
			return nil, nil, false, refusal(fmt.Sprintf("token_ids_logprob contains out-of-vocabulary token id %d; valid range is [0, %d).", id, s.vocab))
		}
	}
	var one []eft.Token
	if err := json.Unmarshal(in.InputIDs, &one); err == nil {
		return in, [][]eft.Token{one}, false, nil
	}
	var many [][]eft.Token
	if err := json.Unmarshal(in.InputIDs, &many); err != nil || len(many) == 0 {
		return nil, nil, false, errors.New("input_ids should be a list of lists for batch processing")
	}
	if n := len(in.LogprobStart); n > 1 && (n != len(many) || o.OneStart) {
		return nil, nil, false, fmt.Errorf("%d logprob_start_len for %d prompts", n, len(many))
	}
	return in, many, true, nil
}

// stream sends an event for every Interval tokens. Without Incremental each holds all
// that came before.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, run *run) {
	o := s.now()
	enginetest.Stream(w)
	sent := 0
	for more := true; more; {
		for n := 0; n < o.Interval && more; n++ {
			more = run.step()
		}
		if r.Context().Err() != nil {
			return
		}
		event := run.whole()
		if o.Incremental {
			run.cut(event, sent)
		}
		sent = len(run.out)
		enginetest.Send(w, event)
	}
	enginetest.Done(w)
}
