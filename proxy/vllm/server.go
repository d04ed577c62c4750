package vllm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

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
	return &Text{server: s, salt: s.salt(tenant)}
}

// salt keeps a tenant's prefixes apart; nil is no salt.
func (s *Server) salt(tenant string) *string {
	if tenant == "" || s.caps.Isolation == "" {
		return nil
	}
	sum := sha256.Sum256([]byte("graft cache salt\x00" + tenant))
	salt := hex.EncodeToString(sum[:])
	return &salt
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

const (
	// shortTries is how often rows that come short are asked for.
	shortTries = 4
	// shortPause is before the second try; each further one waits twice as long. A step of
	// a large model takes some 30 ms.
	shortPause = 20 * time.Millisecond
)

// completeRows completes prompts by one token each and returns what is listed for it. What
// is short is asked for again: whoever asks vLLM's V1 model runner for log-probs by id
// takes those of all requests that are computed in the same step.
func completeRows(ctx context.Context, client *proxy.Client, in request, short func([]eft.Scored) error) ([][]eft.Scored, usage, error) {
	lists := make([][]eft.Scored, len(in.Prompt))
	left := make([]int, len(lists)) // prompts of in, by their places in lists
	for i := range left {
		left[i] = i
	}
	for try, pause := 1, shortPause; ; try, pause = try+1, 2*pause {
		positions, usage, err := complete(ctx, client, in)
		if err != nil {
			return nil, usage, err
		}
		var lacks error
		var prompts [][]eft.Token
		again := left[:0]
		for i, at := range left {
			if err := short(positions[i][0].listed); err != nil {
				lacks, again, prompts = err, append(again, at), append(prompts, in.Prompt[i])
				continue
			}
			lists[at] = positions[i][0].listed
		}
		switch {
		case lacks == nil:
			return lists, usage, nil
		case try == shortTries:
			return nil, usage, client.Malformed("POST "+completions, "%v, %d times in a row; another client may ask this server for log-probs by id, which spoils those of others in vLLM's V1 model runner", lacks, try)
		}
		left, in.Prompt = again, prompts
		select {
		case <-ctx.Done():
			return nil, usage, ctx.Err()
		case <-time.After(pause):
		}
	}
}
