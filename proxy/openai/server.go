package openai

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

const completions = "/v1/completions"

// server is one model of an OpenAI-like server. It does not change once it was
// recognised, but for other.
type server struct {
	client     *proxy.Client
	vocabulary *eft.Vocabulary
	caps       proxy.Caps
	naming     naming
	listed     bool                    // /v1/models tells the model
	answers    string                  // the model that answers name
	other      *atomic.Pointer[string] // the one that did so last, if another; nil for none
	cut        *cutter                 // nil if prompts are ids
	chatLike   bool                    // logprobs: true, top_logprobs: k
	cold       float64                 // the temperature that leaves rows raw
	pin        eft.Token               // a bias on it makes it the next token and leaves rows raw; −1 for none
	same       []eft.Token             // a text to ask for again
}

// Caps returns what was found at recognition.
func (s *server) Caps() proxy.Caps { return s.caps }

// Identify asks the list of models for what it says of this one; of a server without
// such a list, the name that it answers by. A list may name the model as before when
// another one answers by now.
func (s *server) Identify(ctx context.Context) (string, error) {
	if other := s.other.Load(); other != nil {
		return identity(s.caps.Model, listedModel{}, *other), nil
	}
	if s.listed {
		found, err := findModel(ctx, s.client, s.caps.Model)
		if err != nil {
			return "", err
		}
		return identity(s.caps.Model, found, s.answers), nil
	}
	out, err := s.ask(ctx, s.request(s.same))
	var changed *proxy.Error
	if errors.As(err, &changed) && changed.Fault == proxy.Changed {
		return identity(s.caps.Model, listedModel{}, out.Model), nil
	}
	if err != nil {
		return "", err
	}
	return identity(s.caps.Model, listedModel{}, out.Model), nil
}

// identity is what can be known of who the model is.
func identity(model string, found listedModel, answers string) string {
	return strings.Join([]string{"openai:" + model, found.OwnedBy, string(found.Root), answers}, "|")
}

// Begin starts a text. The protocol has nothing to keep tenants apart.
func (s *server) Begin(string) proxy.Text { return &text{server: s} }

// Tokenize is not in the protocol.
func (s *server) Tokenize(context.Context, string) ([]eft.Token, error) {
	return nil, fmt.Errorf("the OpenAI protocol does not tell tokens: %w", errors.ErrUnsupported)
}

// Detokenize is not in the protocol.
func (s *server) Detokenize(context.Context, []eft.Token) (string, error) {
	return "", fmt.Errorf("the OpenAI protocol does not tell tokens: %w", errors.ErrUnsupported)
}

// request asks for one row behind prompt.
func (s *server) request(prompt any) request {
	r := request{Model: s.caps.Model, Prompt: prompt, MaxTokens: 1, Temperature: s.cold, TopP: 1, AsIDs: s.naming.asIDs}
	switch k := s.caps.TopLogprobs; {
	case k == 0:
	case s.chatLike:
		r.Logprobs, r.TopLogprobs = true, k
	default:
		r.Logprobs = k
	}
	return r
}

// pinned is request with a bias that makes another token than an end token the next.
func (s *server) pinned(prompt any, id eft.Token) request {
	r := s.request(prompt)
	r.LogitBias = map[string]float64{strconv.Itoa(int(id)): 100}
	return r
}

// ask sends r, whose prompt counts for tokens, and checks who answered, and to what.
func (s *server) ask(ctx context.Context, r request) (completion, error) {
	var out completion
	if err := s.client.Post(ctx, completions, r, &out); err != nil {
		return out, err
	}
	return out, s.check(&out, r.Prompt)
}

// check refuses an answer of another model, or to another prompt.
func (s *server) check(out *completion, prompt any) error {
	if len(out.Error) > 0 && string(out.Error) != "null" {
		return s.failed(out.Error)
	}
	if s.answers != "" && out.Model != "" && out.Model != s.answers {
		s.other.Store(&out.Model)
		e := s.malformed("model %q answered, and %q did at first", out.Model, s.answers)
		e.Fault = proxy.Changed
		return e
	}
	if out.Usage == nil {
		return nil
	}
	counted := out.Usage.PromptTokens
	switch p := prompt.(type) { // a text was cut by the server before it was sent
	case []eft.Token:
		if counted != len(p) {
			return s.miscounted(len(p), counted)
		}
	case [][]eft.Token:
		want := 0
		for _, one := range p {
			want += len(one)
		}
		// Some servers count the first of several prompts only.
		if counted != want && counted != len(p[0]) {
			return s.miscounted(want, counted)
		}
	}
	return nil
}

func (s *server) miscounted(want, counted int) error {
	return s.malformed("the prompt had %d tokens, and the server counts %d", want, counted)
}

// failed is the error of a server that gave up after it had begun to answer.
func (s *server) failed(said []byte) error {
	e := s.malformed("%.300s", said)
	e.Fault = proxy.Failed
	return e
}

// rows are those behind prefix and each token of path.
func (s *server) rows(ctx context.Context, prefix, path []eft.Token) ([]eft.Row, error) {
	if len(prefix) == 0 {
		return nil, errors.New("an OpenAI-like server scores no empty prompt")
	}
	whole := slices.Concat(prefix, path)
	prompts := make([][]eft.Token, len(path)+1)
	for i := range prompts {
		prompts[i] = whole[:len(prefix)+i]
	}
	if s.caps.Batch && len(prompts) > 1 {
		return s.batch(ctx, prompts)
	}
	rows := make([]eft.Row, len(prompts))
	for i, prompt := range prompts {
		row, err := s.one(ctx, prompt)
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

// one is the row behind ids.
func (s *server) one(ctx context.Context, ids []eft.Token) (eft.Row, error) {
	prompt, err := s.prompt(ctx, ids)
	if err != nil {
		return eft.Row{}, err
	}
	out, err := s.ask(ctx, s.request(prompt))
	if err != nil {
		return eft.Row{}, err
	}
	if len(out.Choices) != 1 {
		return eft.Row{}, s.malformed("%d choices for one prompt", len(out.Choices))
	}
	return s.first(ctx, prompt, out.Choices[0])
}

// batch asks for the rows behind several prompts at once. Choices come in any order.
func (s *server) batch(ctx context.Context, prompts [][]eft.Token) ([]eft.Row, error) {
	out, err := s.ask(ctx, s.request(prompts))
	if err != nil {
		return nil, err
	}
	if len(out.Choices) != len(prompts) {
		return nil, s.malformed("%d choices for %d prompts", len(out.Choices), len(prompts))
	}
	rows := make([]eft.Row, len(prompts))
	for _, c := range out.Choices {
		if c.Index < 0 || c.Index >= len(rows) || rows[c.Index].IDs != nil {
			return nil, s.malformed("choice %d of %d is not there, or there twice", c.Index, len(rows))
		}
		if rows[c.Index], err = s.first(ctx, prompts[c.Index], c); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// first is the row of the token that c generated. Where the server tells nothing of it,
// such as of an end token, or of one that ends within a character, another token is
// pinned, which leaves the row as it is.
func (s *server) first(ctx context.Context, prompt any, c choice) (eft.Row, error) {
	switch len(c.Logprobs) {
	case 1:
		return s.row(c.Logprobs[0], s.cold == 0)
	case 0:
	default:
		return eft.Row{}, s.malformed("log-probs of %d tokens, want those of 1", len(c.Logprobs))
	}
	if s.pin < 0 {
		if c.Finish == nil || *c.Finish != "stop" || c.Text != "" {
			return eft.Row{}, s.malformed("a token without log-probs")
		}
		return s.end(ctx, prompt)
	}
	p, err := s.positionAt(ctx, s.pinned(prompt, s.pin))
	if err != nil {
		return eft.Row{}, err
	}
	if len(p.top) == 0 {
		return eft.Row{}, s.malformed("no log-probs, not even of a token that was pinned")
	}
	return s.row(p, false)
}

// end is the row by which the model ended the text behind prompt, had by asking it not
// to end. A server may do so by forbidding end tokens, which makes another row. So the
// token that came must be the best of the row, and one that the server does not show in
// its text, as it does not show end tokens.
func (s *server) end(ctx context.Context, prompt any) (eft.Row, error) {
	refused := s.malformed("the server's model ended the text, and the server does not tell the row that it ended by, neither by a bias on another token nor by ignore_eos; llama-server, vLLM and SGLang tell it")
	refused.Fault = proxy.Refused
	if s.cold != 0 {
		return eft.Row{}, refused
	}
	r := s.request(prompt)
	r.IgnoreEOS = true
	out, err := s.ask(ctx, r)
	if rejected(err) || err == nil && (len(out.Choices) != 1 || len(out.Choices[0].Logprobs) != 1) {
		return eft.Row{}, refused
	}
	if err != nil {
		return eft.Row{}, err
	}
	c := out.Choices[0]
	row, err := s.row(c.Logprobs[0], true)
	if err != nil {
		return eft.Row{}, err
	}
	chosen, err := s.naming.id(c.Logprobs[0].chosen)
	piece := s.vocabulary.Piece(chosen)
	if err != nil || chosen != row.IDs[0] || c.Text != "" || len(piece) == 0 || !utf8.Valid(piece) {
		return eft.Row{}, refused
	}
	return row, nil
}

// findModel looks model up in /v1/models. A list without it is an empty answer.
func findModel(ctx context.Context, client *proxy.Client, model string) (listedModel, error) {
	var list modelList
	if err := client.Get(ctx, "/v1/models", &list); err != nil {
		return listedModel{}, err
	}
	if i := slices.IndexFunc(list, func(m listedModel) bool { return m.ID == model }); i >= 0 {
		return list[i], nil
	}
	return listedModel{}, nil
}

// names words the models of a list, the first few of them.
func names(list modelList) string {
	const most = 8
	set := map[string]bool{}
	for _, m := range list {
		set[m.ID] = true
	}
	sorted := slices.Sorted(maps.Keys(set))
	if more := len(sorted) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(sorted[:most], ", "), more)
	}
	return strings.Join(sorted, ", ")
}
