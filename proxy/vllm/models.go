package vllm

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/graft-gateway/graft/proxy"
)

const (
	modelsPath = "/v1/models"
	ownerVLLM  = "vllm"
	ownerGraft = "graft"
)

type modelList struct {
	Data []model `json:"data"`
}

// model is an entry of the list. What changes from one request to the next, such as
// the time that vLLM gives as created, is not read.
type model struct {
	ID      string `json:"id"`
	Owner   string `json:"owned_by"`
	Root    string `json:"root"`   // the folder or Hub name; of an adapter, its own
	Parent  string `json:"parent"` // of an adapter: the model it belongs to
	Context int    `json:"max_model_len"`

	// Graft's own, and only in GET /v1/models/{id}.
	VocabSize   int    `json:"vocab_size"`
	MaxLogprobs int    `json:"max_logprobs"`
	Fingerprint string `json:"fingerprint"`
}

func getModels(ctx context.Context, client *proxy.Client) (modelList, error) {
	var list modelList
	err := client.Get(ctx, modelsPath, &list)
	return list, err
}

// getModel asks a Graft for what it tells of one model.
func getModel(ctx context.Context, client *proxy.Client, id string) (model, error) {
	var m model
	path := modelsPath + "/" + url.PathEscape(id)
	if err := client.Get(ctx, path, &m); err != nil {
		return model{}, err
	}
	if m.ID != id {
		return model{}, client.Malformed("GET "+path, "it tells of %q", m.ID)
	}
	return m, nil
}

// choose finds the model of that name; without a name, the only one there is. Several
// names of one model are one.
func (l modelList) choose(name string) (model, error) {
	if len(l.Data) == 0 {
		return model{}, errors.New("the server lists no model")
	}
	if name == "" {
		first := l.Data[0]
		for _, m := range l.Data[1:] {
			if first.Root == "" || m.Root != first.Root || m.Parent != first.Parent {
				return model{}, fmt.Errorf("the server has several models, so the configuration must name one: %s", l.names())
			}
		}
		return first, nil
	}
	for _, m := range l.Data {
		if m.ID == name {
			return m, nil
		}
	}
	return model{}, fmt.Errorf("the server has no model %q; it has %s", name, l.names())
}

func (l modelList) names() string {
	names := make([]string, len(l.Data))
	for i, m := range l.Data {
		names[i] = m.ID
	}
	return strings.Join(names, ", ")
}

// identity is what a cache key may rely on as long as it stays the same.
func (m model) identity() string {
	if m.Owner == ownerGraft {
		return fmt.Sprintf("graft %q fingerprint %s", m.ID, m.Fingerprint)
	}
	return fmt.Sprintf("vllm %q root %q parent %q context %d", m.ID, m.Root, m.Parent, m.Context)
}
