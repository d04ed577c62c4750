package llamacpp

import (
	"encoding/json"
	"math"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// question is the body of POST /completion. Whatever a server's own flags could put
// between a row and us is set, so that no default of theirs counts.
type question struct {
	Model       string      `json:"model,omitempty"` // a router looks at it, a single server does not
	Prompt      []eft.Token `json:"prompt"`          // ids: nothing is added in front of them
	Slot        int         `json:"id_slot"`         // -1: any that is idle
	CachePrompt bool        `json:"cache_prompt"`
	Stream      bool        `json:"stream"`
	Predict     int         `json:"n_predict"`
	Probs       int         `json:"n_probs"`
	Grammar     string      `json:"grammar,omitempty"`
	LogitBias   []bias      `json:"logit_bias"`

	Samplers     []string `json:"samplers"`
	Temperature  float64  `json:"temperature"`
	Dynatemp     float64  `json:"dynatemp_range"`
	Mirostat     int      `json:"mirostat"`
	PostSampling bool     `json:"post_sampling_probs"`
	IgnoreEnd    bool     `json:"ignore_eos"`
	Stop         []string `json:"stop"`
	Indent       int      `json:"n_indent"`
	// Fields leaves the settings and the prompt's text out of the answer, and out of a
	// stream's last event, which must keep its stop.
	Fields []string `json:"response_fields"`
}

func newQuestion(model string, prompt []eft.Token, predict, probs int) question {
	return question{
		Model: model, Prompt: prompt, Slot: -1, CachePrompt: true, Predict: predict, Probs: probs,
		LogitBias: []bias{}, Samplers: []string{"temperature"}, Stop: []string{},
		Fields: []string{"completion_probabilities", "tokens_evaluated", "timings", "stop"},
	}
}

// bias is a pair on the wire: [id, bias].
type bias struct {
	id    eft.Token
	value float64
}

func (b bias) MarshalJSON() ([]byte, error) { return json.Marshal([2]any{b.id, b.value}) }

// answer is a whole answer, or one event of a stream.
type answer struct {
	Positions []position `json:"completion_probabilities"`
	// Evaluated is the length of the prompt as the server understood it; 0 if it
	// does not tell.
	Evaluated int `json:"tokens_evaluated"`
	// Predicted counts the tokens generated so far.
	Predicted int  `json:"tokens_predicted"`
	Stop      bool `json:"stop"`
	Timings   struct {
		Cached *int `json:"cache_n"` // how many tokens of the prompt were evaluated before
	} `json:"timings"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// position is a generated token and what it was chosen from.
type position struct {
	ID  *eft.Token `json:"id"`
	Top listing    `json:"top_logprobs"`
}

// impossible is where log-probs end: the server writes the lowest float32 for −∞.
const impossible = -1e30

// rows is what a row is made of: k log-probs, or all of vocabulary's.
type rows struct {
	vocabulary int // ids that the server scores
	k          int
	dense      bool
	// found is the error of an answer that is not the protocol's.
	found func(format string, args ...any) *proxy.Error
}

// asked is n_probs for such a row. Which ids of equal log-prob are among the first n
// is the server's whim, so a few more than k are asked for, and of those the canonical
// row takes the lowest ids.
func (r rows) asked() int {
	if r.dense {
		return r.vocabulary
	}
	return min(r.k+4, r.vocabulary)
}

// read makes the row of a position.
func (r rows) read(p position) (eft.Row, error) {
	if p.ID == nil {
		return eft.Row{}, r.found("a token of completion_probabilities has no id: this llama-server is too old, or answers for another API")
	}
	if len(p.Top) < r.asked() {
		return eft.Row{}, r.found("%d log-probs for a token where n_probs asks for %d", len(p.Top), r.asked())
	}
	seen := make(map[eft.Token]bool, len(p.Top))
	listed := make([]eft.Scored, 0, len(p.Top))
	for _, top := range p.Top {
		switch {
		case !top.told:
			return eft.Row{}, r.found("id %d has no log-prob", top.id)
		case top.id < 0 || int(top.id) >= r.vocabulary:
			return eft.Row{}, r.found("a log-prob of id %d, but the server has %d ids", top.id, r.vocabulary)
		case seen[top.id]:
			return eft.Row{}, r.found("two log-probs of id %d", top.id)
		// A softmax in single precision may pass 1 by a little.
		case top.logProb > 0.01:
			return eft.Row{}, r.found("id %d has log-prob %g", top.id, top.logProb)
		}
		seen[top.id] = true
		if top.logProb > impossible {
			listed = append(listed, eft.Scored{ID: top.id, LogProb: float32(top.logProb)})
		}
	}
	if len(listed) == 0 {
		return eft.Row{}, r.found("no log-prob of a token is finite: the model's weights or its quantisation are broken")
	}
	if !r.dense {
		return eft.Canonical(listed, r.k), nil
	}
	scores := make([]float32, r.vocabulary)
	for i := range scores {
		scores[i] = float32(math.Inf(-1))
	}
	for _, s := range listed {
		scores[s.ID] = s.LogProb
	}
	return eft.Row{Scores: scores}, nil
}

// checkPrompt refuses an answer to another prompt than ours.
func (r rows) checkPrompt(a answer, prompt []eft.Token) error {
	if a.Evaluated != 0 && a.Evaluated != len(prompt) {
		return r.found("the server evaluated %d tokens of a prompt of %d: it adds tokens, or cuts prompts (start it without --context-shift)",
			a.Evaluated, len(prompt))
	}
	return nil
}

// decode reads one event of a stream.
func (r rows) decode(data []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(data, &a); err != nil {
		return answer{}, r.found("an event is not the JSON expected: %v", err)
	}
	if a.Error != nil {
		fault := r.found("in mid-stream: %s", a.Error.Message)
		fault.Fault = proxy.Failed
		return answer{}, fault
	}
	return a, nil
}
