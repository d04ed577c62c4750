package sglang

import (
	"context"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// text is one text. It holds nothing at the server.
type text struct {
	server *server
	tenant string
}

// Rows asks for all of them at once.
func (t *text) Rows(ctx context.Context, prefix, path []eft.Token) ([]eft.Row, error) {
	return t.server.rows(ctx, t.tenant, prefix, path)
}

// Named asks for the union of all names in one pass over the part of the path that
// any are wanted of: the server takes one list for all positions.
func (t *text) Named(ctx context.Context, prefix, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	scored := make([][]eft.Scored, len(names))
	first := slices.IndexFunc(names, func(n []eft.Token) bool { return len(n) > 0 })
	if first < 0 {
		return scored, nil
	}
	last := len(names) - 1
	for len(names[last]) == 0 {
		last--
	}
	prefix, path = slices.Concat(prefix, path[:first]), path[first:last]
	union := slices.Concat(names[first : last+1]...)
	slices.Sort(union)
	union = slices.Compact(union)

	s := t.server
	request := s.request(slices.Concat(prefix, path), t.tenant)
	request.TopLogprobs, request.Named = 0, union
	if len(path) > 0 {
		request.LogprobStart = len(prefix) - 1
	}
	var out answer
	if err := s.client.Post(ctx, generate, request, &out); err != nil {
		return nil, err
	}
	if err := s.check(&out, len(prefix)+len(path), 1); err != nil {
		return nil, err
	}
	positions, err := s.positions(&out, prefix, path, out.Meta.InputNamed, out.Meta.OutputNamed)
	if err != nil {
		return nil, err
	}
	for i, position := range positions {
		if scored[first+i], err = s.pick(position, names[first+i]); err != nil {
			return nil, err
		}
	}
	return scored, nil
}

// pick returns the entries of names, in their order.
func (s *server) pick(position []entry, names []eft.Token) ([]eft.Scored, error) {
	if len(names) == 0 {
		return nil, nil
	}
	listed := make(map[eft.Token]float32, len(position))
	for _, e := range position {
		listed[e.ID] = e.LogProb
	}
	scored := make([]eft.Scored, len(names))
	for i, id := range names {
		logProb, known := listed[id]
		if !known {
			return nil, s.malformed("id %d was asked for by name and is not in the answer", id)
		}
		scored[i] = eft.Scored{ID: id, LogProb: logProb}
	}
	return scored, nil
}

// Continue begins to stream.
func (t *text) Continue(ctx context.Context, prefix []eft.Token, limit int) (proxy.Continuation, error) {
	c := &continuation{ctx: ctx, server: t.server, tenant: t.tenant, prefix: slices.Clone(prefix), left: limit}
	if err := c.open(); err != nil {
		return nil, err
	}
	return c, nil
}

// Close has nothing to free.
func (t *text) Close() {}
