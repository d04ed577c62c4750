package dialecttest

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
)

// Faulty is a text of a recognised server that can be broken.
type Faulty struct {
	Server *proxytest.Server
	Text   proxy.Text
	Path   string // of the requests that are broken
	Done   bool   // [DONE] ends its streams
	// Prefix is what rows are asked behind, Along the path. The base goes on behind
	// Prefix for streamed tokens and more.
	Prefix, Along []eft.Token
	// Check fails the test if row is not the model's behind prefix.
	Check func(t *testing.T, row eft.Row, prefix []eft.Token)
	// Best is the model's best token behind prefix.
	Best func(prefix []eft.Token) eft.Token
}

// streamed is how many tokens of a stream are asked for.
const streamed = 6

// middle is how many bytes every answer has and more.
const middle = 40

// broken are the faults of any answer.
func broken() map[string]proxytest.Fault {
	return map[string]proxytest.Fault{
		"reset":               proxytest.Broken(proxytest.Reset),
		"cut":                 proxytest.Broken(proxytest.Cut),
		"never answered":      proxytest.Slow(0),
		"too many":            proxytest.Later(429, "1"),
		"busy":                proxytest.Later(503, "1"),
		"failed":              proxytest.Status(500, "boom"),
		"refused":             proxytest.Status(400, "no"),
		"a page":              proxytest.HTML(),
		"no JSON":             proxytest.Malformed(),
		"another type":        proxytest.WrongType("text/plain"),
		"nothing":             {Kind: proxytest.Say, Status: 200},
		"an empty object":     {Kind: proxytest.Say, Status: 200, Body: "{}"},
		"a stale connection":  proxytest.Stale(),
		"cut in the middle":   {Kind: proxytest.Cut, Place: proxytest.AfterBytes(middle)},
		"ended in the middle": {Kind: proxytest.End, Place: proxytest.AfterBytes(middle)},
	}
}

// interrupted are the faults of streams alone.
func interrupted() map[string]proxytest.Fault {
	return map[string]proxytest.Fault{
		"cut after an event":     {Kind: proxytest.Cut, Place: proxytest.AfterEvents(1)},
		"ended after an event":   {Kind: proxytest.End, Place: proxytest.AfterEvents(1)},
		"trash after an event":   {Kind: proxytest.Insert, Place: proxytest.AfterEvents(1), Body: "data: {\n\n"},
		"reset after two events": {Kind: proxytest.Reset, Place: proxytest.AfterEvents(2)},
		"stalled":                {Kind: proxytest.Stall, Place: proxytest.AfterEvents(2)},
	}
}

// Faults breaks every request, in the middle of streams too: what comes is right or is
// not there, and once the server is mended everything comes. Begin begins a text for each
// fault.
func Faults(t *testing.T, begin func(t *testing.T) Faulty) {
	for name, fault := range broken() {
		t.Run("rows/"+name, func(t *testing.T) { begin(t).breaks(t, fault, rows) })
		t.Run("a stream/"+name, func(t *testing.T) { begin(t).breaks(t, fault, stream) })
	}
	for name, fault := range interrupted() {
		t.Run("a stream/"+name, func(t *testing.T) { begin(t).breaks(t, fault, stream) })
	}
	t.Run("a stream/done too soon", func(t *testing.T) {
		f := begin(t)
		if !f.Done {
			t.Skip("the protocol has no [DONE]")
		}
		f.breaks(t, proxytest.Fault{Kind: proxytest.Say, Place: proxytest.AfterEvents(2), Body: "data: [DONE]\n\n"}, stream)
	})
}

// breaks asks with a fault in the way, and again without.
func (f Faulty) breaks(t *testing.T, fault proxytest.Fault, ask func(*testing.T, context.Context, Faulty) error) {
	t.Helper()
	t.Parallel() // most wait for a deadline
	if err := rows(t, t.Context(), f); err != nil {
		t.Fatal(err)
	}
	f.Server.Break(fault.For(f.Path).Always())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	failure := (*proxy.Error)(nil)
	if err := ask(t, ctx, f); err != nil && !errors.As(err, &failure) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is no fault of a base server", err)
	}
	if f.Server.Struck() == 0 && ctx.Err() == nil {
		t.Error("the fault did not strike")
	}
	f.Server.Mend()
	if err := rows(t, t.Context(), f); err != nil {
		t.Errorf("rows of the mended server: %v", err)
	}
	if err := stream(t, t.Context(), f); err != nil {
		t.Errorf("a stream of the mended server: %v", err)
	}
}

// rows asks for all of them along the path, and holds those that come against the model.
func rows(t *testing.T, ctx context.Context, f Faulty) error {
	t.Helper()
	rows, err := f.Text.Rows(ctx, f.Prefix, f.Along)
	if err == nil && len(rows) != len(f.Along)+1 {
		t.Errorf("%d rows along %d tokens", len(rows), len(f.Along))
	}
	for i, row := range rows {
		f.Check(t, row, slices.Concat(f.Prefix, f.Along[:i]))
	}
	return err
}

// stream reads the base's own tokens, and holds them and their rows against the model.
func stream(t *testing.T, ctx context.Context, f Faulty) error {
	t.Helper()
	stream, err := f.Text.Continue(ctx, f.Prefix, streamed)
	if err != nil {
		return err
	}
	defer stream.Close()
	rows, tokens, err := read(stream)
	for i, row := range rows {
		behind := slices.Concat(f.Prefix, tokens[:i])
		f.Check(t, row, behind)
		if want := f.Best(behind); tokens[i] != want {
			t.Errorf("token %d, want %d", tokens[i], want)
		}
	}
	if err != io.EOF {
		return err
	}
	if len(tokens) < streamed {
		t.Errorf("the end after %d of %d tokens", len(tokens), streamed)
	}
	return nil
}
