package llamacpp

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

// faulty is a fake behind faults, recognised before the first of them.
func faulty(t *testing.T) (*fake, *proxytest.Server, proxy.Text) {
	t.Helper()
	f, _ := newFake(t)
	server := proxytest.New(t, f)
	text := f.connect(t, server.URL, 5).Begin("")
	t.Cleanup(text.Close)
	return f, server, text
}

// right says whether rows are those of the model, however they came.
func right(f *fake, rows []eft.Row, path []eft.Token) bool {
	for i, row := range rows {
		if !same(row, f.truth(slices.Concat(fakePrompt, path[:i]), 5)) {
			return false
		}
	}
	return true
}

func TestFaultsGiveNoWrongRow(t *testing.T) {
	path := []eft.Token{fakeA, fakeA + 1}
	for _, c := range []struct {
		name  string
		fault proxytest.Fault
	}{
		{"reset", proxytest.Broken(proxytest.Reset)},
		{"cut", proxytest.Broken(proxytest.Cut)},
		{"slow", proxytest.Slow(time.Hour)},
		{"too many", proxytest.Later(429, "1")},
		{"busy", proxytest.Later(503, "1")},
		{"failed", proxytest.Status(500, "boom")},
		{"refused", proxytest.Status(400, "no")},
		{"a page", proxytest.HTML()},
		{"no JSON", proxytest.Malformed()},
		{"another type", proxytest.WrongType("text/plain")},
		{"cut in the middle", proxytest.Fault{Kind: proxytest.Cut, Place: proxytest.AfterBytes(40)}},
		{"ended in the middle", proxytest.Fault{Kind: proxytest.End, Place: proxytest.AfterBytes(40)}},
		{"nothing", proxytest.Fault{Kind: proxytest.Say, Status: 200}},
		{"an empty object", proxytest.Fault{Kind: proxytest.Say, Status: 200, Body: "{}"}},
		{"a stale connection", proxytest.Stale()},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				f, server, text := faulty(t)
				server.Break(c.fault.For("/completion").Always())
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				var rows []eft.Row
				var err error
				if stream {
					rows, err = streamed(ctx, text)
				} else {
					rows, err = text.Rows(ctx, fakePrompt, path)
				}
				if err != nil && !told(err) {
					t.Errorf("%v is no fault of a base server", err)
				}
				if err == nil && !stream && len(rows) != len(path)+1 || !stream && !right(f, rows, path) {
					t.Errorf("%d rows, not those of the model", len(rows))
				}
				server.Mend()
				after := ask(t, text, fakePrompt, path...)
				if !right(f, after, path) {
					t.Error("rows are others after the fault")
				}
			})
		}
	}
}

// streamed reads a continuation's rows until it ends.
func streamed(ctx context.Context, text proxy.Text) ([]eft.Row, error) {
	stream, err := text.Continue(ctx, fakePrompt, 3)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var rows []eft.Row
	for {
		row, _, err := stream.Next()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

// told says whether an error is one that the layers above understand.
func told(err error) bool {
	var fault *proxy.Error
	return errors.As(err, &fault) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func TestFaultsInMidStream(t *testing.T) {
	for name, fault := range map[string]proxytest.Fault{
		"stall": {Kind: proxytest.Stall},
		"reset": {Kind: proxytest.Reset},
		"cut":   {Kind: proxytest.Cut},
		"end":   {Kind: proxytest.End},
		"trash": {Kind: proxytest.Insert, Body: "data: {\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f, server, text := faulty(t)
			want, tokens := follow(t, text, fakePrompt, 3)
			fault.Place = proxytest.AfterEvents(1)
			server.Break(fault.For("/completion").Always())
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			rows, err := streamed(ctx, text)
			if len(want) > 1 && (err == nil || !told(err)) {
				t.Errorf("%v, want a fault", err)
			}
			if !right(f, rows, tokens) {
				t.Error("a row before the fault is wrong")
			}
			server.Mend()
			if again, _ := follow(t, text, fakePrompt, 3); len(again) != len(want) {
				t.Errorf("%d rows after the fault, want %d", len(again), len(want))
			}
		})
	}
}
