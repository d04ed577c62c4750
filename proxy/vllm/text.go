package vllm

import (
	"context"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// promptsPerRequest keeps well below the number of prompts that vLLM takes at once
// (1,024, and VLLM_MAX_COMPLETION_PROMPTS may lower it).
const promptsPerRequest = 256

// Text is one text. The server keeps nothing for it but its cache.
type Text struct {
	server *Server
	salt   *string
}

// Close has nothing to free.
func (t *Text) Close() {}

// Rows sends the prefix and each of its extensions along path as a list.
func (t *Text) Rows(ctx context.Context, prefix, path []eft.Token) ([]eft.Row, error) {
	return t.server.rows(ctx, t.salt, extensions(prefix, path))
}

// Gather sends the lists of all asks as one.
func (s *Server) Gather(ctx context.Context, tenant string, asks []proxy.Ask) ([][]eft.Row, error) {
	var prompts [][]eft.Token
	for _, a := range asks {
		prompts = append(prompts, extensions(a.Prefix, a.Path)...)
	}
	rows, err := s.rows(ctx, s.salt(tenant), prompts)
	if err != nil {
		return nil, err
	}
	out := make([][]eft.Row, len(asks))
	for i, a := range asks {
		n := len(a.Path) + 1
		out[i], rows = rows[:n:n], rows[n:]
	}
	return out, nil
}

// Size counts each prefix.
func (s *Server) Size(a proxy.Ask) (prompts, ids int) {
	prompts = len(a.Path) + 1
	return prompts, prompts * (len(a.Prefix) + len(a.Path))
}

// rows are those behind prompts.
func (s *Server) rows(ctx context.Context, salt *string, prompts [][]eft.Token) ([]eft.Row, error) {
	rows := make([]eft.Row, 0, len(prompts))
	for part := range slices.Chunk(prompts, promptsPerRequest) {
		in := newRequest(s.caps.Model, part, s.shape.ask)
		in.Salt = salt
		lists, _, err := completeRows(ctx, s.client, in, s.shape.short)
		if err != nil {
			return nil, err
		}
		for _, listed := range lists {
			row, err := s.shape.row(listed)
			if err != nil {
				return nil, s.client.Malformed("POST "+completions, "%v", err)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// extensions returns prefix, and prefix with 1, 2 … tokens of path behind it.
func extensions(prefix, path []eft.Token) [][]eft.Token {
	whole := slices.Concat(prefix, path)
	prompts := make([][]eft.Token, len(path)+1)
	for i := range prompts {
		prompts[i] = whole[:len(prefix)+i]
	}
	return prompts
}

// Named asks for the union of neighbouring positions' names as long as it is within
// what the server takes: a path costs one request then, and not one a position.
func (t *Text) Named(ctx context.Context, prefix, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	prompts := extensions(prefix, path)
	out := make([][]eft.Scored, len(names))
	for i := 0; i < len(names); {
		group := t.group(names[i:])
		if err := t.named(ctx, prompts[i:], names[i:i+group], out[i:]); err != nil {
			return nil, err
		}
		i += group
	}
	return out, nil
}

// group is how many of names, one at least, make one request.
func (t *Text) group(names [][]eft.Token) int {
	var union []eft.Token
	for i, own := range names {
		if union = t.join(union, own); i > 0 && (len(union) > t.server.caps.Names || i == promptsPerRequest) {
			return i
		}
	}
	return len(names)
}

// join adds to union what of names the server scores and union lacks.
func (t *Text) join(union, names []eft.Token) []eft.Token {
	for _, id := range names {
		if t.scores(id) && !slices.Contains(union, id) {
			union = append(union, id)
		}
	}
	return union
}

// scores says whether the server has a score for id. A pair's vocabulary may be padded
// further than the base's.
func (t *Text) scores(id eft.Token) bool {
	return t.server.shape.vocabulary == 0 || int(id) < t.server.shape.vocabulary
}

// named fills dst for positions whose names fit in one request.
func (t *Text) named(ctx context.Context, prompts [][]eft.Token, names [][]eft.Token, dst [][]eft.Scored) error {
	in := newRequest(t.server.caps.Model, nil, 0)
	in.Salt = t.salt
	var asked []int // position by prompt
	for i, own := range names {
		if len(own) == 0 {
			continue
		}
		dst[i] = make([]eft.Scored, len(own))
		for j, id := range own {
			dst[i][j] = eft.Scored{ID: id, LogProb: float32(math.Inf(-1))}
		}
		if slices.ContainsFunc(own, t.scores) {
			in.Prompt, asked = append(in.Prompt, prompts[i]), append(asked, i)
			in.Names = t.join(in.Names, own)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	positions, _, err := complete(ctx, t.server.client, in)
	if err != nil {
		return err
	}
	for prompt, i := range asked {
		if err := t.pick(dst[i], positions[prompt][0].listed); err != nil {
			return err
		}
	}
	return nil
}

// pick gives dst the log-probs that were listed for its ids.
func (t *Text) pick(dst, listed []eft.Scored) error {
	for j, want := range dst {
		if !t.scores(want.ID) {
			continue
		}
		at := slices.IndexFunc(listed, func(s eft.Scored) bool { return s.ID == want.ID })
		if at < 0 {
			return t.server.client.Malformed("POST "+completions, "the log-prob of token %d was asked for and is missing", want.ID)
		}
		dst[j] = listed[at]
	}
	return nil
}

// Continue streams the base's own tokens.
func (t *Text) Continue(ctx context.Context, prefix []eft.Token, limit int) (proxy.Continuation, error) {
	in := newRequest(t.server.caps.Model, [][]eft.Token{prefix}, t.server.shape.ask)
	in.MaxTokens, in.Stream, in.Salt = limit, true, t.salt
	events, err := t.server.client.Stream(ctx, completions, in)
	if err != nil {
		return nil, err
	}
	return &Continuation{text: t, ctx: ctx, prefix: slices.Clone(prefix), events: events, left: limit}, nil
}
