package llamacpp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/graft-gateway/graft/proxy"
)

// Larger numbers are no server's, but would be believed with memory.
const (
	slotsMost = 1 << 16
	idsMost   = 1 << 24
)

// props is what GET /props tells.
type props struct {
	Role     string `json:"role"` // "router" in front of several models
	Settings *struct {
		Context int `json:"n_ctx"` // of one slot
		Params  struct {
			Adapters json.RawMessage `json:"lora"`
		} `json:"params"`
	} `json:"default_generation_settings"`
	Slots int    `json:"total_slots"`
	Alias string `json:"model_alias"`
	Path  string `json:"model_path"`
	Build string `json:"build_info"`
}

// served is what GET /v1/models tells.
type served struct {
	Data []model `json:"data"`
}

type model struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases"`
	Owner   string   `json:"owned_by"`
	// Meta is null as long as the model is loading.
	Meta *meta `json:"meta"`
}

type meta struct {
	VocabType    int    `json:"vocab_type"`
	Vocabulary   int    `json:"n_vocab"`
	TrainContext int    `json:"n_ctx_train"`
	Width        int    `json:"n_embd"`
	Parameters   uint64 `json:"n_params"`
	Size         uint64 `json:"size"`
	FileType     string `json:"ftype"`
}

// about is one model of a llama-server.
type about struct {
	props
	model
	name string // what was asked for, or else the model's id
}

// inquire asks what the server has. Its error wraps proxy.ErrOtherDialect if the
// server is no llama-server.
func inquire(ctx context.Context, client *proxy.Client, name string) (about, error) {
	var p props
	if err := client.Get(ctx, "/props", &p); err != nil {
		return about{}, noProps(ctx, client, err)
	}
	if p.Settings == nil {
		return about{}, fmt.Errorf("%w: /props does not tell default_generation_settings", proxy.ErrOtherDialect)
	}
	if p.Role == "router" {
		return throughRouter(ctx, client, name, p)
	}
	m, err := find(ctx, client, name, p)
	if err != nil {
		return about{}, err
	}
	a := about{props: p, model: m, name: cmp.Or(name, m.ID)}
	return a, a.complete()
}

// throughRouter asks a server in front of several models. It tells of itself unless it
// is asked for a model, which it then loads; only then does it list what that is.
func throughRouter(ctx context.Context, client *proxy.Client, name string, p props) (about, error) {
	m, err := find(ctx, client, name, p)
	if err != nil {
		return about{}, err
	}
	a := about{name: cmp.Or(name, m.ID)}
	if err := client.Get(ctx, "/props?model="+url.QueryEscape(a.name), &a.props); err != nil {
		return about{}, loading(err)
	}
	if a.model, err = find(ctx, client, name, p); err != nil {
		return about{}, err
	}
	return a, a.complete()
}

// find lists the server's models and picks one.
func find(ctx context.Context, client *proxy.Client, name string, p props) (model, error) {
	var s served
	if err := client.Get(ctx, "/v1/models", &s); err != nil {
		return model{}, loading(err)
	}
	return s.pick(name, p)
}

// noProps tells other servers from a llama-server whose /props cannot be had. Servers
// answer a path that they do not know in many ways, so /v1/models decides, which all
// have.
func noProps(ctx context.Context, client *proxy.Client, err error) error {
	var fault *proxy.Error
	if !errors.As(err, &fault) || fault.Fault != proxy.Refused && fault.Fault != proxy.Failed && fault.Fault != proxy.Malformed {
		return loading(err)
	}
	var s served
	modelsErr := client.Get(ctx, "/v1/models", &s)
	var second *proxy.Error
	switch {
	case modelsErr == nil && slices.ContainsFunc(s.Data, func(m model) bool { return m.Owner == "llamacpp" }):
		return fmt.Errorf("a llama-server whose GET /props cannot be had, which tells its slots and its context: let /props, /completion, /tokenize and /detokenize through whatever stands in front of it: %w", err)
	case errors.As(modelsErr, &second) && (second.Status == http.StatusUnauthorized || second.Status == http.StatusForbidden):
		return modelsErr // nobody may know what it is
	case errors.As(modelsErr, &second) && second.Fault != proxy.Refused && second.Fault != proxy.Malformed:
		return loading(modelsErr)
	case modelsErr != nil && second == nil:
		return modelsErr
	}
	return fmt.Errorf("%w: GET /props gives no llama-server's properties (%v)", proxy.ErrOtherDialect, err)
}

// loading adds what to do about a server that is not ready.
func loading(err error) error {
	var fault *proxy.Error
	if errors.As(err, &fault) && fault.Status == http.StatusServiceUnavailable && strings.Contains(strings.ToLower(fault.Message), "loading") {
		return fmt.Errorf("llama-server is still loading its model, which can take minutes: wait until GET /health answers 200: %w", err)
	}
	return err
}

// pick finds the model that was asked for. A server of one model answers to every
// name, so it is our part to see that it is the right one.
func (s served) pick(name string, p props) (model, error) {
	var names []string
	for _, m := range s.Data {
		known := append([]string{m.ID}, m.Aliases...)
		if len(s.Data) == 1 && p.Role != "router" {
			known = append(known, p.Alias, p.Path, path.Base(p.Path), strings.TrimSuffix(path.Base(p.Path), ".gguf"))
		}
		if name != "" && slices.Contains(known, name) {
			return m, nil
		}
		names = append(names, m.ID)
	}
	switch {
	case len(s.Data) == 0:
		return model{}, errors.New("llama-server lists no model at /v1/models: start it with --model FILE")
	case name != "":
		return model{}, fmt.Errorf("llama-server has no model %q, it has %s: set `model` to that, or start it with --alias %s", name, strings.Join(names, ", "), name)
	case len(s.Data) > 1:
		return model{}, fmt.Errorf("llama-server has several models (%s): set `model` to one of them", strings.Join(names, ", "))
	}
	return s.Data[0], nil
}

// complete refuses what could not be used.
func (a about) complete() error {
	switch {
	case a.Settings == nil || a.Slots < 1 || a.Slots > slotsMost:
		return errors.New("llama-server's /props tells no total_slots that can be: this version is too old, or the model is not loaded")
	case a.Settings.Context < 1:
		return errors.New("llama-server's /props tells no n_ctx")
	}
	return nil
}

// identity is equal as long as file and model are the same: not the server's start,
// its version, its slots or its context.
func (a about) identity() string {
	data, err := json.Marshal([]any{a.Path, a.ID, a.Meta, a.Settings.Params.Adapters})
	if err != nil {
		panic("llamacpp: strings and numbers cannot fail to be JSON: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
