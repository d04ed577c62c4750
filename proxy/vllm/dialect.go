package vllm

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/graft-gateway/graft/proxy"
)

// Dialect recognises vLLM, and Graft. Its zero value is ready.
type Dialect struct{}

// Name is vllm.
func (Dialect) Name() string { return "vllm" }

// Recognise asks for the models and then, by some small completions and two streams of 16
// tokens, what the server can do.
func (Dialect) Recognise(ctx context.Context, client *proxy.Client, want proxy.Want) (proxy.Server, error) {
	list, err := getModels(ctx, client)
	if err != nil {
		return nil, otherUnless(err)
	}
	version, err := recogniseVersion(ctx, client, list)
	if err != nil {
		return nil, err
	}
	model, err := list.choose(want.Model)
	if err != nil {
		return nil, err
	}
	server := &Server{client: client, graft: model.Owner == ownerGraft}
	if server.graft {
		if model, err = getModel(ctx, client, model.ID); err != nil {
			return nil, err
		}
		if model.Fingerprint == "" || model.VocabSize <= 0 {
			return nil, fmt.Errorf("this Graft tells no fingerprint or vocabulary size of model %q: serve it with the same version of Graft as this one", model.ID)
		}
	}
	p := &probe{client: client, model: model, graft: server.graft, prompts: probePrompts(want.Vocabulary, model.Context)}
	if err := p.run(ctx, want.TopLogprobs); err != nil {
		return nil, err
	}
	server.shape = p.shape
	server.caps = p.caps()
	server.caps.Version = version
	return server, nil
}

// recogniseVersion returns the server's version, or [proxy.ErrOtherDialect] if the
// list is not a vLLM's or a Graft's. A router in front of several vLLMs may sign the
// list with its own name; it still has vLLM's version and its lists' fields.
func recogniseVersion(ctx context.Context, client *proxy.Client, list modelList) (string, error) {
	owner, context := "", 0
	if len(list.Data) > 0 {
		owner, context = list.Data[0].Owner, list.Data[0].Context
	}
	if owner == ownerGraft {
		return ownerGraft, nil
	}
	var tells struct {
		Version string `json:"version"`
	}
	err := client.Get(ctx, "/version", &tells)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if owner == ownerVLLM || err == nil && tells.Version != "" && context > 0 {
		return tells.Version, nil
	}
	return "", fmt.Errorf("%w: its models are owned by %q", proxy.ErrOtherDialect, owner)
}

// otherUnless makes [proxy.ErrOtherDialect] of a server that answers something else
// than a list of models. Servers that do not answer or refuse the key stay as they are.
func otherUnless(err error) error {
	fault := (*proxy.Error)(nil)
	if !errors.As(err, &fault) {
		return err
	}
	switch {
	case fault.Fault == proxy.Malformed,
		fault.Status == http.StatusNotFound, fault.Status == http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: %w", proxy.ErrOtherDialect, err)
	}
	return err
}
