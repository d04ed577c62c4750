package sglang

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

const (
	generate = "/generate"
	// startNone asks for no log-probs of the prompt.
	startNone = -1
	// maxNames is how many ids may be named at a position. The server has no bound;
	// this keeps requests small.
	maxNames = 128
)

var errEmpty = errors.New("SGLang cannot score an empty prompt")

// server is one SGLang server. It does not change once it was recognised.
type server struct {
	client     *proxy.Client
	vocabulary *eft.Vocabulary
	caps       proxy.Caps
	weights    json.RawMessage // the weight_version that every answer must carry, if it carries one
	pass       bool            // a path is scored in one pass
	segment    int             // the most tokens that one stream is asked for
}

// Caps returns what was found at recognition.
func (s *server) Caps() proxy.Caps { return s.caps }

// Identify asks who the model is, and in which numbers it runs.
func (s *server) Identify(ctx context.Context) (string, error) {
	info, err := askModel(ctx, s.client)
	if err != nil {
		return "", err
	}
	more, err := askServer(ctx, s.client)
	if err != nil {
		return "", err
	}
	return identity(info, more), nil
}

// Begin starts a text.
func (s *server) Begin(tenant string) proxy.Text { return &text{server: s, tenant: tenant} }

// Tokenize asks the server's tokenizer, which versions before 0.5 keep to themselves.
func (s *server) Tokenize(ctx context.Context, text string) ([]eft.Token, error) {
	request := struct {
		Model   string `json:"model"`
		Prompt  string `json:"prompt"`
		Special bool   `json:"add_special_tokens"`
	}{s.caps.Model, text, false}
	var out struct {
		Tokens []eft.Token `json:"tokens"`
	}
	if err := s.client.Post(ctx, "/tokenize", request, &out); missing(err) {
		return nil, fmt.Errorf("SGLang %s has no /tokenize: %w", s.caps.Version, errors.ErrUnsupported)
	} else if err != nil {
		return nil, err
	}
	return out.Tokens, nil
}

// Detokenize shows special tokens, too.
func (s *server) Detokenize(ctx context.Context, ids []eft.Token) (string, error) {
	request := struct {
		Model  string      `json:"model"`
		Tokens []eft.Token `json:"tokens"`
		Skip   bool        `json:"skip_special_tokens"`
	}{s.caps.Model, ids, false}
	var out struct {
		Text string `json:"text"`
	}
	if err := s.client.Post(ctx, "/detokenize", request, &out); missing(err) {
		return "", fmt.Errorf("SGLang %s has no /detokenize: %w", s.caps.Version, errors.ErrUnsupported)
	} else if err != nil {
		return "", err
	}
	return out.Text, nil
}

// request asks for one row behind ids. An end token that the model chooses ends
// nothing: its row is wanted like any other.
func (s *server) request(ids any, tenant string) generateRequest {
	r := generateRequest{InputIDs: ids, Sampling: greedy(1, true), ReturnLogprob: true, LogprobStart: startNone, TopLogprobs: s.caps.TopLogprobs}
	switch s.caps.Isolation {
	case "extra_key":
		r.ExtraKey = tenant
	case "cache_salt":
		r.CacheSalt = tenant
	}
	return r
}

// rows are those behind prefix and each token of path.
func (s *server) rows(ctx context.Context, tenant string, prefix, path []eft.Token) ([]eft.Row, error) {
	if len(prefix) == 0 {
		return nil, errEmpty
	}
	if len(path) > 0 && !s.pass {
		rows, err := s.batch(ctx, tenant, extensions(prefix, path))
		return slices.Concat(rows...), err
	}
	request := s.request(slices.Concat(prefix, path), tenant)
	if len(path) > 0 {
		request.LogprobStart = len(prefix) - 1
	}
	var out answer
	if err := s.client.Post(ctx, generate, request, &out); err != nil {
		return nil, err
	}
	return s.passed(&out, prefix, path)
}

// passed reads the answer of one pass.
func (s *server) passed(out *answer, prefix, path []eft.Token) ([]eft.Row, error) {
	if err := s.check(out, len(prefix)+len(path), 1); err != nil {
		return nil, err
	}
	positions, err := s.positions(out, prefix, path, out.Meta.InputTop, out.Meta.OutputTop)
	if err != nil {
		return nil, err
	}
	return s.canonical(positions)
}

// positions are the entries of the rows behind prefix and each token of path, out of
// those of the prompt and of the one token behind it.
func (s *server) positions(out *answer, prefix, path []eft.Token, input, output [][]entry) ([][]entry, error) {
	if len(output) != 1 {
		return nil, s.malformed("the log-probs of %d generated tokens, want those of 1", len(output))
	}
	if len(path) == 0 {
		return output, nil
	}
	if len(input) != len(path)+1 || len(out.Meta.InputTokens) != len(input) {
		return nil, s.malformed("log-probs of %d tokens of the prompt, %d of them listed, want %d: one of the prefix and all of the path", len(out.Meta.InputTokens), len(input), len(path)+1)
	}
	for i, token := range append(prefix[len(prefix)-1:len(prefix):len(prefix)], path...) {
		// The server writes 0 for the last id of its vocabulary, and what is beyond.
		if said := out.Meta.InputTokens[i].ID; said != token && (said != 0 || int(token) < s.caps.VocabSize-1) {
			return nil, s.malformed("log-probs of id %d where id %d of the prompt was scored", said, token)
		}
	}
	return append(slices.Clone(input[1:]), output...), nil
}

// check refuses an answer to another question than the one that was asked: from other
// weights, or to a prompt that was cut.
func (s *server) check(out *answer, prompt, completion int) error {
	if out.Error != nil {
		return s.refused(out.Error.Code, out.Error.Message)
	}
	m := &out.Meta
	if m.Finish != nil && m.Finish.Type == "abort" {
		return s.refused(m.Finish.StatusCode, m.Finish.Message)
	}
	if m.PromptTokens != prompt {
		return s.malformed("the prompt had %d tokens, and %d were read: start SGLang without --allow-auto-truncate", prompt, m.PromptTokens)
	}
	if completion > 0 && m.CompletionTokens != completion {
		return s.malformed("%d tokens were generated, want %d", m.CompletionTokens, completion)
	}
	if !absent(m.WeightVersion) && !absent(s.weights) && !bytes.Equal(m.WeightVersion, s.weights) {
		e := s.malformed("the answer is from weights %s, and %s were recognised", m.WeightVersion, s.weights)
		e.Fault = proxy.Changed
		return e
	}
	return nil
}

// canonical makes rows of what was listed.
func (s *server) canonical(positions [][]entry) ([]eft.Row, error) {
	rows := make([]eft.Row, len(positions))
	for i, p := range positions {
		row, err := s.row(p)
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

// row makes one row. Ids beyond the vocabulary are padding and fall out, here as in a
// dense row.
func (s *server) row(listed []entry) (eft.Row, error) {
	if len(listed) < s.caps.TopLogprobs {
		return eft.Row{}, s.malformed("a row of %d log-probs, want %d", len(listed), s.caps.TopLogprobs)
	}
	seen := make(map[eft.Token]bool, len(listed))
	scored := make([]eft.Scored, 0, len(listed))
	for _, e := range listed {
		if seen[e.ID] {
			return eft.Row{}, s.malformed("a row lists id %d twice", e.ID)
		}
		seen[e.ID] = true
		if int(e.ID) < s.vocabulary.Size() {
			scored = append(scored, eft.Scored{ID: e.ID, LogProb: e.LogProb})
		}
	}
	if !s.caps.Dense {
		row := eft.Canonical(scored, s.caps.TopLogprobs)
		if len(row.IDs) == 0 {
			return eft.Row{}, s.malformed("a row without a finite log-prob")
		}
		return row, nil
	}
	if want := min(s.caps.VocabSize, s.vocabulary.Size()); len(scored) != want {
		return eft.Row{}, s.malformed("a whole row scores %d ids of the vocabulary, want %d", len(scored), want)
	}
	row := eft.Row{Scores: make([]float32, len(scored))}
	for _, e := range scored {
		if int(e.ID) >= len(row.Scores) {
			return eft.Row{}, s.malformed("a row lists id %d, and the server scores %d", e.ID, s.caps.VocabSize)
		}
		row.Scores[e.ID] = e.LogProb
	}
	return row, nil
}

func (s *server) malformed(format string, args ...any) *proxy.Error {
	return s.client.Malformed("POST "+generate, format, args...)
}

// refused is the error of a request that the server gave up on after it began to
// answer.
func (s *server) refused(status int, message string) *proxy.Error {
	e := s.malformed("%s", message)
	e.Status = status
	switch {
	case status == 429 || status == 503:
		e.Fault = proxy.Overloaded
	case status >= 400 && status < 500:
		e.Fault = proxy.Refused
	default:
		e.Fault = proxy.Failed
	}
	return e
}
