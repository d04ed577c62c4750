package chattemplate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// feature is a line of features.jsonl; testdata/reference.py says what is in it.
type feature struct {
	Template string
	Text     *string
	Error    string
	Refuses  string
}

func readFeatures(t testing.TB) (features []feature, data json.RawMessage) {
	t.Helper()
	data, err := os.ReadFile("testdata/data.json")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/features.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var f feature
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		features = append(features, f)
	}
	if lines.Err() != nil || len(features) < 1000 {
		t.Fatalf("%d features, error %v", len(features), lines.Err())
	}
	return features, data
}

func TestFeaturesRenderAsTheReferenceDoes(t *testing.T) {
	features, data := readFeatures(t)
	for _, f := range features {
		got, err := renderVector(vector{Template: f.Template, Data: data})
		switch {
		case f.Refuses != "":
			if err == nil || !strings.Contains(err.Error(), f.Refuses) {
				t.Errorf("%s\ngot  %q, error %v\nwant a refusal with %q", f.Template, got, err, f.Refuses)
			}
		case f.Text == nil:
			checkErrorKind(t, f, got, err)
		case err != nil:
			t.Errorf("%s\nerror %v\nwant %q", f.Template, err, *f.Text)
		case got != *f.Text:
			t.Errorf("%s\ngot  %q\nwant %q", f.Template, got, *f.Text)
		}
	}
}

// checkErrorKind wants the reference's type of exception, or a refusal before
// the template ever ran.
func checkErrorKind(t *testing.T, f feature, got string, err error) {
	t.Helper()
	kind, message, _ := strings.Cut(f.Error, ": ")
	var failed *RenderError
	var raised *RaisedError
	var syntax *SyntaxError
	var limit *LimitError
	switch {
	case err == nil:
		t.Errorf("%s\ngot  %q\nwant the error %s", f.Template, got, f.Error)
	case errors.As(err, &syntax), errors.As(err, &limit):
	case errors.As(err, &raised):
		if kind != "TemplateError" || raised.Message != message {
			t.Errorf("%s\nraised %q\nwant   %s", f.Template, raised.Message, f.Error)
		}
	case errors.As(err, &failed):
		if failed.Kind != kind && failed.Kind != notSupported {
			t.Errorf("%s\nerror %v\nwant  %s", f.Template, err, f.Error)
		}
	default:
		t.Errorf("%s\nerror of an unknown type: %v", f.Template, err)
	}
}

func TestRenderingLeavesTheTemplateAsItWas(t *testing.T) {
	tmpl, err := Parse(`{% set ns = namespace(n=0) %}{% set c = cycler(1, 2) %}{% for i in range(3) %}{% set ns.n = ns.n + 1 %}{{ c.next() }}{% endfor %}{{ ns.n }}`)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	for range 4 {
		go func() {
			text, err := tmpl.Render(context.Background(), json.RawMessage(`{}`), vectorTime)
			if err != nil {
				text = err.Error()
			}
			done <- text
		}()
	}
	for range 4 {
		if text := <-done; text != "1213" {
			t.Errorf("got %q, want 1213", text)
		}
	}
}
