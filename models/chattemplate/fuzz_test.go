package chattemplate

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fuzzLimits keep a wild template quick.
func fuzzLimits() Limits { return Limits{Steps: 50_000, Memory: 1 << 20, Output: 1 << 18, Depth: 200} }

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
	limits := fuzzLimits()
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

// FuzzData feeds any data: what tojson writes of it is JSON, and reads back as
// the same data.
func FuzzData(f *testing.F) {
	_, data := readFeatures(f)
	f.Add(string(data))
	for _, v := range readVectors(f)[:40] {
		f.Add(string(v.Data))
	}
	for _, s := range []string{
		`{"a": 1, "b": 1.0, "c": -0.0, "d": 1e3, "e": 123456789012345678901234567890}`,
		`{"z": {"y": [], "x": {}}, "": null, "z": [true, false]}`,
		`{"s": "\ud83d\ude00 \u2028 \u0000 \"\\ é"}`, `{"s": "\ud83d"}`, `[1]`, `{"a": NaN}`, `{"a": 1e999}`,
	} {
		f.Add(s)
	}
	tmpl, err := Parse(`{"data": {{ data|tojson }}, "printed": {{ (data ~ '')|tojson(ensure_ascii=true) }}, "pretty": {{ data|tojson(indent=2, sort_keys=true) }}}`)
	if err != nil {
		f.Fatal(err)
	}
	tmpl = tmpl.WithLimits(Limits{Steps: 1_000_000, Memory: 1 << 24, Output: 1 << 22})
	f.Fuzz(func(t *testing.T, data string) {
		in := json.RawMessage(`{"data": ` + data + `}`)
		first, err := tmpl.Render(t.Context(), in, vectorTime)
		if err != nil || strings.Contains(first, "Infinity") {
			return
		}
		if !json.Valid([]byte(first)) {
			t.Fatalf("not JSON: %q", first)
		}
		second, err := tmpl.Render(t.Context(), json.RawMessage(first), vectorTime)
		if err != nil || second != first {
			t.Fatalf("first %q\nthen  %q, error %v", first, second, err)
		}
	})
}

// FuzzConfig feeds any tokenizer_config.json and special_tokens_map.json.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		`{"chat_template": "{{ bos_token }}{{ messages }}", "bos_token": "<s>", "eos_token": {"content": "</s>"}}`,
		`{"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "{{ tools }}"}]}`,
		`{"chat_template": {"rag": "{% if %}"}, "extra_special_tokens": {"image_token": "<img>"}}`,
		`{"chat_template": [{}], "pad_token": null, "add_bos_token": true, "unk_token": 1}`,
		`{"chat_template": 1}`, `{}`, `null`, `[]`, ``,
	} {
		f.Add(s, s)
		f.Add(s, `{"mask_token": {"content": "<m>", "lstrip": true}}`)
	}
	f.Fuzz(func(t *testing.T, config, legacy string) {
		special, err := SpecialTokens([]byte(config), []byte(legacy))
		if err != nil && special != nil {
			t.Fatalf("tokens %v with the error %v", special, err)
		}
		sources, err := FromConfig([]byte(config))
		if err != nil {
			return
		}
		for _, tools := range []bool{false, true} {
			source, err := sources.Pick(tools)
			if err != nil {
				continue
			}
			tmpl, err := Parse(source)
			if err != nil {
				continue
			}
			in := Input{Messages: []Message{{Role: "user", Content: "Hi"}}, Special: special}
			if text, err := tmpl.WithLimits(fuzzLimits()).RenderInput(t.Context(), in); err == nil && !utf8.ValidString(text) {
				t.Fatalf("invalid text %q", text)
			}
		}
	})
}
