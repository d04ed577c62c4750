package chattemplate

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// vector is one rendering by the reference: jinja2 3.1.6 with the settings of
// transformers, and strftime_now fixed at vectorTime.
type vector struct {
	Name     string
	Template string
	Data     json.RawMessage
	Expected *string
	Error    *string
}

var vectorTime = time.Date(2025, 7, 10, 12, 0, 0, 0, time.UTC)

func readVectors(t testing.TB) []vector {
	t.Helper()
	f, err := os.Open("testdata/vectors.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.NewDecoder(z).Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func TestVectorsOfTheReference(t *testing.T) {
	vectors := readVectors(t)
	passed := 0
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			got, err := renderVector(v)
			switch {
			case v.Error != nil:
				checkVectorError(t, *v.Error, got, err)
			case err != nil:
				t.Fatalf("error %v, want %q", err, *v.Expected)
			case got != *v.Expected:
				t.Fatalf("got  %q\nwant %q", got, *v.Expected)
			}
			passed++
		})
	}
	t.Logf("%d of %d vectors pass", passed, len(vectors))
}

func renderVector(v vector) (string, error) {
	tmpl, err := Parse(v.Template)
	if err != nil {
		return "", err
	}
	return tmpl.Render(context.Background(), v.Data, vectorTime)
}

// checkVectorError wants the same kind of error, and the same message.
func checkVectorError(t *testing.T, want, got string, err error) {
	t.Helper()
	kind, message, _ := strings.Cut(want, ": ")
	var raised *RaisedError
	var failed *RenderError
	var syntax *SyntaxError
	switch {
	case err == nil:
		t.Fatalf("got %q, want the error %s", got, want)
	case errors.As(err, &raised):
		if kind != "TemplateError" || raised.Message != message {
			t.Fatalf("raised %q, want %s", raised.Message, want)
		}
	case errors.As(err, &failed):
		if failed.Kind != kind || failed.Message != message {
			t.Fatalf("failed with %s: %s, want %s", failed.Kind, failed.Message, want)
		}
	case errors.As(err, &syntax):
		if kind != "TemplateSyntaxError" || syntax.Message != message {
			t.Fatalf("refused with %s, want %s", syntax.Message, want)
		}
	default:
		t.Fatalf("unexpected error type: %v", err)
	}
}
