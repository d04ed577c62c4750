package sglang

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/graft-gateway/graft/proxy"
)

// Dialect is SGLang's.
type Dialect struct{}

// Name is sglang.
func (Dialect) Name() string { return "sglang" }

// Recognise asks for /model_info, which no other server has, and then tries out what
// /generate can do.
func (Dialect) Recognise(ctx context.Context, client *proxy.Client, want proxy.Want) (proxy.Server, error) {
	info, err := askModel(ctx, client)
	if err != nil {
		return nil, otherDialect(err)
	}
	if info.ModelPath == "" || info.IsGeneration == nil {
		return nil, fmt.Errorf("%w: /model_info names no model_path", proxy.ErrOtherDialect)
	}
	if !*info.IsGeneration {
		return nil, fmt.Errorf("SGLang serves %s as an embedding model: start it without --is-embedding", info.ModelPath)
	}
	if err := preferredLeavesRows(info.Preferred); err != nil {
		return nil, err
	}
	s := &server{client: client, vocabulary: want.Vocabulary, pass: true, segment: streamSegment}
	s.caps = proxy.Caps{
		Dialect: "sglang", TopLogprobsCap: -1, Names: maxNames, Tokens: proxy.TokenIDs,
		Batch: true, Scoring: proxy.ScoringPass, Stream: true, PrefixCache: "unknown",
	}
	if err := s.nameModel(ctx, want.Model); err != nil {
		return nil, err
	}
	more, err := askServer(ctx, client)
	if err != nil {
		return nil, err
	}
	s.about(info, more)
	if want.Vocabulary == nil {
		return s, nil // nobody will ask for rows
	}
	if err := s.askVocabularySize(ctx); err != nil {
		return nil, err
	}
	if err := s.chooseK(want.TopLogprobs); err != nil {
		return nil, err
	}
	if err := s.try(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// otherDialect says of what a server answered to /model_info that it is none of ours.
// A server that did not answer is not judged.
func otherDialect(err error) error {
	if failure := (*proxy.Error)(nil); errors.As(err, &failure) && (failure.Fault == proxy.Refused || failure.Fault == proxy.Malformed) {
		return fmt.Errorf("%w: %w", proxy.ErrOtherDialect, err)
	}
	return err
}

// preferredLeavesRows refuses defaults of the server that requests do not override.
func preferredLeavesRows(raw json.RawMessage) error {
	if absent(raw) {
		return nil
	}
	// The flag's value is JSON; servers tell it as such or as the string it was.
	if text := ""; json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(cmp.Or(text, "{}"))
	}
	var preferred map[string]json.RawMessage
	if err := json.Unmarshal(raw, &preferred); err != nil {
		return fmt.Errorf("SGLang was started with --preferred-sampling-params %s, which cannot be read: start it without", raw)
	}
	for name, value := range preferred {
		if !absent(value) && !slices.Contains(named, name) {
			return fmt.Errorf("SGLang was started with --preferred-sampling-params that set %q, which may change every row: start it without", name)
		}
	}
	return nil
}

// askModel asks for /model_info under its name and its old one.
func askModel(ctx context.Context, client *proxy.Client) (modelInfo, error) {
	var info modelInfo
	err := client.Get(ctx, "/model_info", &info)
	if missing(err) {
		err = client.Get(ctx, "/get_model_info", &info)
	}
	return info, err
}

// askServer asks for /server_info under its name and its old one. A server that keeps
// it from us is one that does not tell.
func askServer(ctx context.Context, client *proxy.Client) (serverInfo, error) {
	var info serverInfo
	err := client.Get(ctx, "/server_info", &info)
	if missing(err) {
		err = client.Get(ctx, "/get_server_info", &info)
	}
	if refused(err) {
		return serverInfo{}, nil
	}
	return info, err
}

// nameModel finds the model that is asked for, and its context.
func (s *server) nameModel(ctx context.Context, model string) error {
	var list modelList
	if err := s.client.Get(ctx, "/v1/models", &list); err != nil {
		return err
	}
	var names []string
	for _, m := range list.Data {
		if m.Parent != nil {
			if m.ID == model {
				return fmt.Errorf("model %q is an adapter that SGLang loads at will, and its rows could change under its name: serve it merged into %s", model, *m.Parent)
			}
			continue
		}
		names = append(names, m.ID)
		if model == "" || m.ID == model {
			s.caps.Model, s.caps.Context = m.ID, m.MaxModelLen
		}
	}
	switch {
	case len(names) == 0:
		return s.client.Malformed("GET /v1/models", "the list names no model")
	case s.caps.Model == "" || model == "" && len(names) > 1:
		return fmt.Errorf("model %q: SGLang serves %s", model, strings.Join(names, ", "))
	}
	return nil
}

// about fills in what the server says of itself.
func (s *server) about(info modelInfo, more serverInfo) {
	s.caps.Version, s.caps.Identity = more.Version, identity(info, more)
	s.weights = info.WeightVersion
	// A text of c tokens needs the row behind c−1 of them, and the server takes
	// prompts of less than this many.
	if most := more.MaxReqInputLen; most > 0 && (s.caps.Context == 0 || most < s.caps.Context) {
		s.caps.Context = most
	}
	if more.Version == "" {
		s.note("the server keeps /server_info from this key: its version, its number format and the size of its cache are not known, and a restart with other ones would not be seen")
	}
	if more.DisableRadix {
		s.caps.PrefixCache = "no"
		s.note("the server keeps no prefixes: every row costs the whole text; start it without --disable-radix-cache")
	}
}

// identity is everything that rows depend on by more than rounding.
func identity(info modelInfo, more serverInfo) string {
	parts := []string{info.ModelPath, info.TokenizerPath}
	for _, raw := range []json.RawMessage{info.WeightVersion, more.Revision, more.Dtype, more.Quantization, more.KVCacheDtype} {
		if absent(raw) {
			raw = nil
		}
		parts = append(parts, string(raw))
	}
	return "sglang:" + strings.Join(parts, "|")
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func missing(err error) bool {
	failure := (*proxy.Error)(nil)
	return errors.As(err, &failure) && failure.Status == http.StatusNotFound
}

func refused(err error) bool {
	failure := (*proxy.Error)(nil)
	return errors.As(err, &failure) && failure.Fault == proxy.Refused
}
