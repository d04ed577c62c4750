package sglang

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/proxytest"
	"github.com/graft-gateway/graft/proxy/sglang/sglangtest"
)

func faults() map[string]proxytest.Fault {
	return map[string]proxytest.Fault{
		"reset":                  proxytest.Broken(proxytest.Reset),
		"cut":                    proxytest.Broken(proxytest.Cut),
		"never answered":         proxytest.Slow(0),
		"too many":               proxytest.Later(429, "1"),
		"busy":                   proxytest.Later(503, "1"),
		"failed":                 proxytest.Status(500, "boom"),
		"refused":                proxytest.Status(400, "no"),
		"a page":                 proxytest.HTML(),
		"no JSON":                proxytest.Malformed(),
		"another type":           proxytest.WrongType("text/plain"),
		"nothing":                {Kind: proxytest.Say, Status: 200},
		"an empty object":        {Kind: proxytest.Say, Status: 200, Body: "{}"},
		"cut in the middle":      {Kind: proxytest.Cut, Place: proxytest.AfterBytes(700)},
		"ended in the middle":    {Kind: proxytest.End, Place: proxytest.AfterBytes(700)},
		"reset after two events": {Kind: proxytest.Reset, Place: proxytest.AfterEvents(2)},
		"stalled":                {Kind: proxytest.Stall, Place: proxytest.AfterEvents(2)},
		"done too soon":          {Kind: proxytest.Say, Place: proxytest.AfterEvents(2), Body: "data: [DONE]\n\n"},
	}
}

// TestFaultsGiveNoWrongRow breaks every request, in the middle of streams too: what
// comes is right or is not there.
func TestFaultsGiveNoWrongRow(t *testing.T) {
	prefix, path := []eft.Token{3, 1}, []eft.Token{4, 5}
	for name, fault := range faults() {
		t.Run(name, func(t *testing.T) {
			server := proxytest.New(t, sglangtest.New(tiny, sglangtest.Options{}))
			text := recognise(t, connect(t, server.URL), 5).Begin("")
			server.Break(fault.For(generate).Always())
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			rows, err := text.Rows(ctx, prefix, path)
			for i, row := range rows {
				check(t, row, slices.Concat(prefix, path[:i]), 5)
			}
			known(t, err)
			followed, err := follow(t, ctx, text, prefix)
			known(t, err)
			server.Mend()
			again, err := follow(t, t.Context(), text, slices.Concat(prefix, followed))
			if err != nil && !errors.Is(err, io.EOF) || len(again) == 0 {
				// The breaker may still be open; nothing wrong came.
				known(t, err)
			}
		})
	}
}

// follow reads a continuation and holds it against the model.
func follow(t *testing.T, ctx context.Context, text proxy.Text, prefix []eft.Token) ([]eft.Token, error) {
	t.Helper()
	stream, err := text.Continue(ctx, prefix, 6)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var tokens []eft.Token
	for {
		row, token, err := stream.Next()
		if err != nil {
			if len(tokens) < 6 && err == io.EOF {
				t.Errorf("the end after %d of 6 tokens", len(tokens))
			}
			return tokens, err
		}
		behind := slices.Concat(prefix, tokens)
		check(t, row, behind, 5)
		if want := best(truth(behind)); token != want {
			t.Errorf("token %d, want %d", token, want)
		}
		tokens = append(tokens, token)
	}
}

// known fails on an error that is none of a base server's, nor a deadline's.
func known(t *testing.T, err error) {
	t.Helper()
	failure := (*proxy.Error)(nil)
	if err != nil && err != io.EOF && !errors.As(err, &failure) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is no fault of a base server", err)
	}
}
