package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func echo(line []byte) any { return string(line) }

func TestEachLineIsAnsweredBeforeTheNextIsSent(t *testing.T) {
	in, ask := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- eachLine(t.Context(), in, out, echo) }()
	reader := bufio.NewReader(answers)
	for _, word := range []string{"one", "two"} {
		if _, err := io.WriteString(ask, word+"\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := reader.ReadString('\n'); err != nil || got != `"`+word+"\"\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	ask.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLinesOfEveryKind(t *testing.T) {
	long := strings.Repeat("x", 1<<17)
	for name, c := range map[string]struct{ in, want string }{
		"no newline at the end": {"a\nb", "\"a\"\n\"b\"\n"},
		"empty lines":           {"\n\na\r\n \n", "\"a\"\n"},
		"longer than a buffer":  {long + "\nb\n", `"` + long + "\"\n\"b\"\n"},
		"nothing":               {"", ""},
	} {
		var out bytes.Buffer
		if err := eachLine(t.Context(), strings.NewReader(c.in), &out, echo); err != nil || out.String() != c.want {
			t.Errorf("%s: %.40q, %v", name, out.String(), err)
		}
	}
}

func TestALineHasABound(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	const refusal = `{"error":"the line is longer than 16 MiB"}` + "\n"
	for name, c := range map[string]struct{ in, want string }{
		"in the midst": {"a\n" + long + "\nb\n", "\"a\"\n" + refusal + "\"b\"\n"},
		"at the end":   {"a\n" + long + "x", "\"a\"\n" + refusal},
	} {
		var out bytes.Buffer
		if err := eachLine(t.Context(), strings.NewReader(c.in), &out, echo); err != nil || out.String() != c.want {
			t.Errorf("%s: %.80q, %v", name, out.String(), err)
		}
	}
}

func TestAnInterruptDoesNotWaitForALine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, ask := io.Pipe()
	defer ask.Close()
	cancel()
	if err := eachLine(ctx, in, io.Discard, echo); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAFailedWriteEndsTheLines(t *testing.T) {
	reader, writer := io.Pipe()
	reader.Close()
	if err := eachLine(t.Context(), strings.NewReader("a\nb\n"), writer, echo); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}
