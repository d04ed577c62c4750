package llamacpp

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// Dialect recognises llama-server.
type Dialect struct{}

// Name is what a configuration calls it.
func (Dialect) Name() string { return "llamacpp" }

// Recognise asks what the server has, and then tries on a few letters whatever rows
// are to be had by.
func (Dialect) Recognise(ctx context.Context, client *proxy.Client, want proxy.Want) (proxy.Server, error) {
	a, err := inquire(ctx, client, want.Model)
	if err != nil {
		return nil, err
	}
	s := &server{client: client, pool: newPool(1)}
	s.caps = proxy.Caps{
		Dialect: "llamacpp", Version: a.Build, Model: a.name, Identity: a.identity(), Context: a.Settings.Context,
		TopLogprobsCap: -1, Tokens: proxy.TokenIDs, Scoring: proxy.ScoringSingly, PrefixCache: "unknown",
		Isolation: "cache_prompt; a text evaluates its prompt anew where there are several tenants",
	}
	vocabulary, err := s.measure(ctx, a, want.Vocabulary)
	if err != nil {
		return nil, err
	}
	if err := s.size(want); err != nil {
		return nil, err
	}
	s.forcing = &forcing{vocabulary: vocabulary, ids: s.caps.VocabSize, refused: map[eft.Token]bool{}}
	if err := s.probe(ctx); err != nil {
		return nil, unable(err)
	}
	s.caps.Notes = append(s.caps.Notes, slotNotes(a.Slots)...)
	s.pool = newPool(a.Slots)
	return s, nil
}

// measure finds out how many ids there are, and that they are the pairs'. Where there
// are no pairs the server's word is taken for what its ids stand for.
func (s *server) measure(ctx context.Context, a about, vocabulary *eft.Vocabulary) (*eft.Vocabulary, error) {
	if a.Meta == nil || a.Meta.Vocabulary < 1 || a.Meta.Vocabulary > idsMost {
		return nil, errors.New("llama-server's /v1/models tells no meta.n_vocab that can be: this version is too old, or the model is not loaded")
	}
	s.caps.VocabSize = a.Meta.Vocabulary
	switch {
	case vocabulary == nil:
		return s.vocabulary(ctx)
	case vocabulary.Size() > s.caps.VocabSize:
		return nil, fmt.Errorf("the server has %d ids and the pairs %d: serve a model of the pairs' family", s.caps.VocabSize, vocabulary.Size())
	}
	return vocabulary, s.comparePieces(ctx, vocabulary)
}

// size settles what rows are made of.
func (s *server) size(want proxy.Want) error {
	switch k := want.TopLogprobs; {
	case k < -1:
		return fmt.Errorf("top_logprobs is %d: want −1 for the whole vocabulary, 0 for the default, or a number of log-probs", k)
	case k == -1:
		s.caps.Dense, s.caps.TopLogprobs = true, s.caps.VocabSize
	case k > s.caps.VocabSize:
		return fmt.Errorf("top_logprobs is %d, but the server has only %d ids: set it to −1 for all of them", k, s.caps.VocabSize)
	case k == 0:
		s.caps.TopLogprobs = min(proxy.DefaultTopLogprobs, s.caps.VocabSize)
	default:
		s.caps.TopLogprobs = k
	}
	s.rows = rows{vocabulary: s.caps.VocabSize, k: s.caps.TopLogprobs, dense: s.caps.Dense}
	s.rows.found = func(format string, args ...any) *proxy.Error {
		return s.client.Malformed("POST /completion", format, args...)
	}
	return nil
}

// unable explains refusals of the first question that needs the model.
func unable(err error) error {
	var fault *proxy.Error
	if !errors.As(err, &fault) {
		return err
	}
	switch fault.Status {
	case http.StatusNotImplemented:
		return fmt.Errorf("llama-server gives no completions, since it was started for embeddings or ranking: start it without --embeddings and --rerank: %w", err)
	case http.StatusNotFound:
		return fmt.Errorf("llama-server's POST /completion cannot be had: let /props, /completion, /tokenize and /detokenize through whatever stands in front of it: %w", err)
	}
	return loading(err)
}

// slotNotes says what more texts than slots cost.
func slotNotes(slots int) []string {
	if slots >= 4 {
		return nil
	}
	return []string{fmt.Sprintf("%d of the server's slots (-np) keep a prefix: more texts than that at once evaluate their prefixes again and again; start it with -np 8 or more, and with -c 8 times as long a context", slots)}
}
