package sglang

import (
	"context"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// Gather scores the paths of several texts, each in a pass of its own, in one request:
// the server takes a list of prompts with a logprob_start_len for each. Where it scores
// no path in a pass every prefix is a prompt.
func (s *server) Gather(ctx context.Context, tenant string, asks []proxy.Ask) ([][]eft.Row, error) {
	var prompts []proxy.Ask // a prompt is an ask, too
	for _, a := range asks {
		if len(a.Prefix) == 0 {
			return nil, errEmpty
		}
		prompts = append(prompts, s.prompts(a)...)
	}
	got, err := s.batch(ctx, tenant, prompts)
	if err != nil {
		return nil, err
	}
	rows := make([][]eft.Row, len(asks))
	for i, a := range asks {
		for len(rows[i]) < len(a.Path)+1 {
			rows[i], got = append(rows[i], got[0]...), got[1:]
		}
	}
	return rows, nil
}

// Size counts prompts as Gather sends them.
func (s *server) Size(a proxy.Ask) (prompts, ids int) {
	if n := len(a.Path) + 1; !s.pass {
		return n, n * (len(a.Prefix) + len(a.Path))
	}
	return 1, len(a.Prefix) + len(a.Path)
}

// prompts are what an ask sends.
func (s *server) prompts(a proxy.Ask) []proxy.Ask {
	if s.pass || len(a.Path) == 0 {
		return []proxy.Ask{a}
	}
	return extensions(a.Prefix, a.Path)
}

// extensions are prefix, and prefix with 1, 2 … tokens of path behind it.
func extensions(prefix, path []eft.Token) []proxy.Ask {
	whole := slices.Concat(prefix, path)
	prompts := make([]proxy.Ask, len(path)+1)
	for i := range prompts {
		prompts[i].Prefix = whole[:len(prefix)+i]
	}
	return prompts
}

// batch returns the rows of each prompt.
func (s *server) batch(ctx context.Context, tenant string, prompts []proxy.Ask) ([][]eft.Row, error) {
	ids, starts, paths := make([][]eft.Token, len(prompts)), make([]int, len(prompts)), false
	for i, p := range prompts {
		ids[i], starts[i] = append(p.Prefix[:len(p.Prefix):len(p.Prefix)], p.Path...), startNone
		if len(p.Path) > 0 {
			starts[i], paths = len(p.Prefix)-1, true
		}
	}
	request := s.request(ids, tenant)
	if paths {
		request.LogprobStart = starts
	}
	var out answers
	if err := s.client.Post(ctx, generate, request, &out); err != nil {
		return nil, err
	}
	if len(out) != len(prompts) {
		return nil, s.malformed("%d answers to %d prompts", len(out), len(prompts))
	}
	rows := make([][]eft.Row, len(prompts))
	for i, p := range prompts {
		var err error
		if rows[i], err = s.passed(&out[i], p.Prefix, p.Path); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
