package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/graft-gateway/graft/proxy"
)

// Dialect is OpenAI's legacy completions, as far as each server speaks it. It is the
// last to be tried: it takes any server that gives rows at all.
type Dialect struct{}

// Name is openai.
func (Dialect) Name() string { return "openai" }

// Recognise finds the model, and then tries out everything else.
func (Dialect) Recognise(ctx context.Context, client *proxy.Client, want proxy.Want) (proxy.Server, error) {
	s := &server{client: client, vocabulary: want.Vocabulary, pin: -1, cold: 1, other: new(atomic.Pointer[string])}
	s.caps = proxy.Caps{Dialect: "openai", PrefixCache: "unknown", Scoring: proxy.ScoringSingly}
	found, err := s.nameModel(ctx, want.Model)
	if err != nil {
		return nil, err
	}
	s.caps.Context = max(found.MaxModelLen, found.ContextLength, found.ContextWindow)
	if want.Vocabulary == nil {
		s.caps.Identity = identity(s.caps.Model, found, "")
		return s, nil
	}
	if want.TopLogprobs < 0 {
		return nil, errors.New("top_logprobs: all was asked for, and whole rows cannot be told from long ones in the OpenAI protocol: ask for a number, or use vLLM, SGLang or llama-server")
	}
	s.naming = newNaming(want.Vocabulary)
	if err := s.choosePrompt(ctx); err != nil {
		return nil, err
	}
	s.caps.Identity = identity(s.caps.Model, found, s.answers)
	if err := s.chooseLogprobs(ctx, want.TopLogprobs); err != nil {
		return nil, err
	}
	if err := s.tryOut(ctx); err != nil {
		return nil, err
	}
	s.tell(found, want.TopLogprobs)
	return s, nil
}

// nameModel finds the model that is asked for. Servers list more than they have, and
// have more than they list: only a name that is not given must be found there.
func (s *server) nameModel(ctx context.Context, model string) (listedModel, error) {
	var list modelList
	err := s.client.Get(ctx, "/v1/models", &list)
	switch {
	case absentRoute(err) && model != "":
		s.caps.Model = model
		return listedModel{}, nil
	case absentRoute(err):
		return listedModel{}, fmt.Errorf("%w: there is no /v1/models, and no model is named: give it as `model`", proxy.ErrOtherDialect)
	case malformed(err):
		return listedModel{}, fmt.Errorf("%w: %w", proxy.ErrOtherDialect, err)
	case status(err) == http.StatusUnauthorized || status(err) == http.StatusForbidden:
		return listedModel{}, fmt.Errorf("the server wants another key (api_key_env): %w", err)
	case err != nil:
		return listedModel{}, err
	}
	s.listed = true
	if model == "" {
		if len(list) != 1 {
			return listedModel{}, fmt.Errorf("the server lists %d models: name one of them as `model`: %s", len(list), names(list))
		}
		s.caps.Model = list[0].ID
		return list[0], nil
	}
	s.caps.Model = model
	for _, m := range list {
		if m.ID == model {
			return m, nil
		}
	}
	s.note("the server does not list model %q: another model under that name would not be seen", model)
	return listedModel{}, nil
}

// tell says what is worse with this server than with others.
func (s *server) tell(found listedModel, asked int) {
	for owner, dialect := range map[string]string{"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp"} {
		if found.OwnedBy == owner {
			s.note("the server says that it is %s: dialect: %s does more with it", owner, dialect)
		}
	}
	switch s.caps.Tokens {
	case proxy.TokenText:
		s.note("tokens come back as text: a row ends above the first that cannot be told from others, and an answer fails where that is the best")
	case proxy.TokenBytes:
		if n := s.naming.pieces.Ambiguous(); n > 0 {
			s.note("tokens come back as bytes, which %d ids share with others: a row ends above the first of them", n)
		}
	}
	if asked == 0 && s.caps.TopLogprobs < proxy.DefaultTopLogprobs {
		s.note("the server gives the %d best log-probs only: the rest of every row is completed from the untuned model", s.caps.TopLogprobs)
	}
	if !s.caps.Batch {
		s.note("every position of a path is a request of its own")
	}
	if s.cold != 0 {
		s.note("log-probs are after temperature: rows are asked for at temperature 1, and nothing is streamed")
	} else if !s.caps.Stream {
		s.note("the server's own continuation does not come with a row for each token: every token is a request")
	}
	if s.pin < 0 {
		s.note("a bias on a token is refused or changes the row, so an answer fails where the model ends the text, the server does not tell that row, and ignore_eos does not bring it out")
	}
	s.note("the protocol cannot keep the caches of clients apart, nor tell a model that was changed under its name")
}

func (s *server) note(format string, args ...any) {
	s.caps.Notes = append(s.caps.Notes, fmt.Sprintf(format, args...))
}

func status(err error) int {
	failure := (*proxy.Error)(nil)
	if errors.As(err, &failure) {
		return failure.Status
	}
	return 0
}

func absentRoute(err error) bool {
	return status(err) == http.StatusNotFound || status(err) == http.StatusMethodNotAllowed
}

// rejected says whether the server would not have the request, in whatever words:
// some break over what they do not know.
func rejected(err error) bool {
	failure := (*proxy.Error)(nil)
	return errors.As(err, &failure) && (failure.Fault == proxy.Refused || failure.Fault == proxy.Failed || failure.Fault == proxy.Malformed)
}

func malformed(err error) bool {
	failure := (*proxy.Error)(nil)
	return errors.As(err, &failure) && failure.Fault == proxy.Malformed
}
