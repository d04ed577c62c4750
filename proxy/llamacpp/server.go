package llamacpp

import (
	"context"
	"fmt"
	"math"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// server is one model of a llama-server. It is safe for concurrent use: what changes
// is in pool and forcing, which guard themselves.
type server struct {
	client  *proxy.Client
	caps    proxy.Caps
	rows    rows
	pin     eft.Token // one ASCII letter
	pool    *pool
	forcing *forcing
}

// Caps is what Recognise found.
func (s *server) Caps() proxy.Caps { return s.caps }

// Identify asks for /props and /v1/models again: the path is in one, what the file
// holds in the other, and the server has both at hand.
func (s *server) Identify(ctx context.Context) (string, error) {
	a, err := inquire(ctx, s.client, s.caps.Model)
	if err != nil {
		return "", err
	}
	return a.identity(), nil
}

// Begin starts a text; its slot is chosen when its first prefix is known.
func (s *server) Begin(tenant string) proxy.Text { return &text{server: s, tenant: tenant} }

// room is how many tokens a slot's context has behind n.
func (s *server) room(n int) int {
	if s.caps.Context == 0 {
		return math.MaxInt32
	}
	return s.caps.Context - n
}

// Tokenize finds special tokens in the text, as tokenizers of the Hub do, and adds none.
func (s *server) Tokenize(ctx context.Context, text string) ([]eft.Token, error) {
	in := struct {
		Model   string `json:"model,omitempty"`
		Content string `json:"content"`
		Add     bool   `json:"add_special"`
		Parse   bool   `json:"parse_special"`
	}{s.caps.Model, text, false, true}
	var out struct {
		Tokens []eft.Token `json:"tokens"`
	}
	if err := s.client.Post(ctx, "/tokenize", in, &out); err != nil {
		return nil, err
	}
	if out.Tokens == nil {
		return nil, s.client.Malformed("POST /tokenize", "the answer has no tokens")
	}
	return out.Tokens, nil
}

// Detokenize gives special tokens their text. What is no UTF-8 comes back as U+FFFD.
func (s *server) Detokenize(ctx context.Context, ids []eft.Token) (string, error) {
	if err := s.known(ids); err != nil {
		return "", err
	}
	in := struct {
		Model  string      `json:"model,omitempty"`
		Tokens []eft.Token `json:"tokens"`
	}{s.caps.Model, append([]eft.Token{}, ids...)}
	var out struct {
		Content *string `json:"content"`
	}
	if err := s.client.Post(ctx, "/detokenize", in, &out); err != nil {
		return "", err
	}
	if out.Content == nil {
		return "", s.client.Malformed("POST /detokenize", "the answer has no content")
	}
	return *out.Content, nil
}

// known refuses ids that the server has not: it does not check them everywhere itself.
func (s *server) known(ids []eft.Token) error {
	for _, id := range ids {
		if id < 0 || int(id) >= s.caps.VocabSize {
			return fmt.Errorf("id %d: the server has the ids 0 … %d", id, s.caps.VocabSize-1)
		}
	}
	return nil
}
