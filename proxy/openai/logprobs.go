package openai

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/graft-gateway/graft/proxy"
)

// chooseLogprobs finds the way to ask for log-probs that names tokens best, and how
// many of them the server gives.
func (s *server) chooseLogprobs(ctx context.Context, want int) error {
	ks := []int{want}
	if want == 0 {
		ks = []int{proxy.DefaultTopLogprobs}
	}
	for _, k := range []int{20, 10, 5, 1} {
		if k < ks[0] {
			ks = append(ks, k)
		}
	}
	said := errors.New("it gives none, however it is asked")
	for i, k := range ks {
		n, err := s.chooseShape(ctx, k)
		if err != nil {
			return err
		}
		if n.given == 0 {
			if n.refusal != nil {
				said = n.refusal
			}
			continue
		}
		if n.given < k {
			k, err = s.clamped(ctx, k, n.given)
		} else if i > 0 {
			k, err = s.widest(ctx, k, ks[i-1])
		}
		if err != nil {
			return err
		}
		s.caps.TopLogprobs, s.caps.TopLogprobsCap = k, k
		if want > k {
			return fmt.Errorf("top_logprobs: %d asked for, and the server gives %d: set top_logprobs: %d", want, k, k)
		}
		return nil
	}
	return fmt.Errorf("the server gives no log-probs of the best tokens on /v1/completions: %w", said)
}

// widest is the most that the server gives, which is k or more, and less than beyond.
func (s *server) widest(ctx context.Context, k, beyond int) (int, error) {
	for beyond-k > 1 {
		s.caps.TopLogprobs = k + (beyond-k)/2
		p, _, err := s.position(ctx)
		switch {
		case err != nil && !rejected(err):
			return 0, err
		case err == nil && len(p.top) > k:
			k = s.caps.TopLogprobs
		default:
			beyond = s.caps.TopLogprobs
		}
	}
	return k, nil
}

// tried is what came of asking for k log-probs in all ways.
type tried struct {
	given   int   // how many the best way gave, 0 if none did
	refusal error // what the server said to one that did not
}

// chooseShape tries all ways to ask for k, and settles on the one that names tokens
// best: by ids, else by bytes, else by text.
func (s *server) chooseShape(ctx context.Context, k int) (tried, error) {
	s.caps.TopLogprobs = k
	var out tried
	chosen := *s
	for _, way := range []struct{ asIDs, chatLike bool }{{true, false}, {false, false}, {true, true}, {false, true}} {
		s.naming.asIDs, s.chatLike = way.asIDs, way.chatLike
		p, _, err := s.position(ctx)
		if rejected(err) {
			out.refusal = err
			continue
		}
		if err != nil {
			return out, err
		}
		if len(p.top) == 0 {
			continue
		}
		s.caps.Tokens = s.form(p)
		if out.given == 0 || rank(s.caps.Tokens) > rank(chosen.caps.Tokens) {
			chosen, out.given = *s, len(p.top)
		}
		if s.caps.Tokens == proxy.TokenIDs {
			break
		}
	}
	*s = chosen
	return out, nil
}

func rank(form proxy.TokenForm) int {
	return slices.Index([]proxy.TokenForm{proxy.TokenText, proxy.TokenBytes, proxy.TokenIDs}, form)
}

// form is the worst that any of the position's entries is named by. Text beside bytes
// is as good as bytes: it is what is written where text will do.
func (s *server) form(p position) proxy.TokenForm {
	s.naming.learn(p.top)
	form := proxy.TokenIDs
	for _, e := range p.top {
		if f := s.naming.form(e); rank(f) < rank(form) {
			form = f
		}
	}
	if form == proxy.TokenText && s.naming.exact {
		return proxy.TokenBytes
	}
	return form
}

// position is that of the first probe at which the model does not end the text, and
// the prompt of it; a zero position if it ends them all.
func (s *server) position(ctx context.Context) (position, any, error) {
	for _, prompt := range s.probePrompts() {
		p, err := s.positionAt(ctx, s.request(prompt))
		if err != nil || len(p.top) > 0 {
			return p, prompt, err
		}
	}
	return position{}, nil, nil
}

// positionAt is what r gives, a zero position if that ends the text.
func (s *server) positionAt(ctx context.Context, r request) (position, error) {
	out, err := s.ask(ctx, r)
	if err != nil {
		return position{}, err
	}
	if len(out.Choices) != 1 {
		return position{}, s.malformed("%d choices for one prompt", len(out.Choices))
	}
	if p := out.Choices[0].Logprobs; len(p) == 1 {
		return p[0], nil
	}
	return position{}, nil
}

// clamped is how many the server gives that gave fewer than k. Servers that tell tokens
// by text list those once that share one, and so may give fewer of any number; others
// give no more than that at all.
func (s *server) clamped(ctx context.Context, k, given int) (int, error) {
	s.caps.TopLogprobs = given
	p, _, err := s.position(ctx)
	if err != nil {
		return 0, err
	}
	if len(p.top) >= given {
		return given, nil
	}
	return k, nil
}
