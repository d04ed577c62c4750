package vllm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// Server is one model of a vLLM server. It never changes after it was recognised.
type Server struct {
	client *proxy.Client
	caps   proxy.Caps
	shape  shape
	graft  bool
}

// Caps is what was found by probing.
func (s *Server) Caps() proxy.Caps {
	caps := s.caps
	caps.Notes = slices.Clone(caps.Notes)
	return caps
}

// Identify asks for the models again.
func (s *Server) Identify(ctx context.Context) (string, error) {
	var model model
	var err error
	if s.graft {
		model, err = getModel(ctx, s.client, s.caps.Model)
	} else {
		var list modelList
		if list, err = getModels(ctx, s.client); err == nil {
			model, err = list.choose(s.caps.Model)
		}
	}
	if err == nil {
		return model.identity(), nil
	}
	if fault := (*proxy.Error)(nil); errors.As(err, &fault) && fault.Status != http.StatusNotFound {
		return "", err
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return "", s.fault("GET "+modelsPath, proxy.Changed, 0, err.Error())
}

// Begin starts a text.
func (s *Server) Begin(tenant string) proxy.Text {
	text := &Text{server: s}
	if tenant != "" && s.caps.Isolation != "" {
		sum := sha256.Sum256([]byte("graft cache salt\x00" + tenant))
		salt := hex.EncodeToString(sum[:])
		text.salt = &salt
	}
	return text
}

// Tokenize asks the server's tokenizer.
func (s *Server) Tokenize(ctx context.Context, text string) ([]eft.Token, error) {
	var out struct {
		Tokens []eft.Token `json:"tokens"`
	}
	in := map[string]any{"model": s.caps.Model, "prompt": text, "add_special_tokens": false}
	if err := s.client.Post(ctx, "/tokenize", in, &out); err != nil {
		return nil, unsupported(err)
	}
	if out.Tokens == nil {
		return nil, s.client.Malformed("POST /tokenize", "the answer has no tokens")
	}
	return out.Tokens, nil
}

// Detokenize asks the server's tokenizer.
func (s *Server) Detokenize(ctx context.Context, ids []eft.Token) (string, error) {
	var out struct {
		Prompt *string `json:"prompt"`
	}
	if ids == nil {
		ids = []eft.Token{}
	}
	in := map[string]any{"model": s.caps.Model, "tokens": ids}
	if err := s.client.Post(ctx, "/detokenize", in, &out); err != nil {
		return "", unsupported(err)
	}
	if out.Prompt == nil {
		return "", s.client.Malformed("POST /detokenize", "the answer has no prompt")
	}
	return *out.Prompt, nil
}

// unsupported tells a server that has no such endpoint from other failures.
func unsupported(err error) error {
	if fault := (*proxy.Error)(nil); errors.As(err, &fault) {
		switch fault.Status {
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
			return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
	}
	return err
}

func (s *Server) fault(op string, fault proxy.Fault, status int, message string) *proxy.Error {
	err := s.client.Malformed(op, "%s", message)
	err.Fault, err.Status = fault, status
	return err
}

// complete asks and returns the answer's positions, one list a prompt. Of a choice
// the token number and what it has in it are for the caller to check.
func complete(ctx context.Context, client *proxy.Client, in request) ([][]position, usage, error) {
	var out answer
	if err := client.Post(ctx, completions, in, &out); err != nil {
		return nil, usage{}, err
	}
	positions := make([][]position, len(in.Prompt))
	for _, c := range out.choices {
		if c.index < 0 || c.index >= len(positions) {
			return nil, usage{}, client.Malformed("POST "+completions, "choice %d of %d prompts", c.index, len(positions))
		}
		if positions[c.index] != nil {
			return nil, usage{}, client.Malformed("POST "+completions, "choice %d comes twice", c.index)
		}
		if len(c.positions) != in.MaxTokens {
			return nil, usage{}, client.Malformed("POST "+completions, "choice %d has log-probs of %d tokens, want %d", c.index, len(c.positions), in.MaxTokens)
		}
		positions[c.index] = c.positions
	}
	for i, p := range positions {
		if p == nil {
			return nil, usage{}, client.Malformed("POST "+completions, "choice %d of %d prompts is missing", i, len(positions))
		}
	}
	return positions, out.usage, nil
}
