package chattemplate

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParseRender feeds any source and any data: the answer is text or one of
// the package's errors, in bounded time and memory, and the same each time.
func FuzzParseRender(f *testing.F) {
	features, data := readFeatures(f)
	for i := 0; i < len(features); i += 7 {
		f.Add(features[i].Template, string(data))
	}
	for _, v := range readVectors(f)[:40] {
		f.Add(v.Template, string(v.Data))
	}
	limits := Limits{Steps: 50_000, Memory: 1 << 20, Output: 1 << 18, Depth: 200}
	f.Fuzz(func(t *testing.T, source, data string) {
		tmpl, err := Parse(source)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 1 {
				t.Fatalf("refused with %#v", err)
			}
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		tmpl = tmpl.WithLimits(limits)
		first, err := tmpl.Render(ctx, json.RawMessage(data), vectorTime)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("it took more than five seconds")
		}
		if len(first) > limits.Output || !utf8.ValidString(first) {
			t.Fatalf("%d bytes of text, valid: %v", len(first), utf8.ValidString(first))
		}
		second, again := tmpl.Render(ctx, json.RawMessage(data), vectorTime)
		if second != first || (err == nil) != (again == nil) {
			t.Fatalf("first %q, %v\nthen  %q, %v", first, err, second, again)
		}
	})
}
