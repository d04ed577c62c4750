package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sashabaranov/go-openai"
)

// soak is how long the streams run: GRAFT_SOAK, or ten seconds.
func soak(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("GRAFT_SOAK")
	if text == "" {
		return 10 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("GRAFT_SOAK: %v", err)
	}
	return d
}

// streamText asks through the client library and joins the stream.
func streamText(ctx context.Context, client *openai.Client, model, question string, seed int) (string, error) {
	stream, err := client.CreateChatCompletionStream(ctx, openai.ChatCompletionRequest{
		Model: model, Temperature: 0.8, Seed: &seed, MaxCompletionTokens: 48,
		Messages: []openai.ChatCompletionMessage{{Role: "user", Content: question}},
	})
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var text strings.Builder
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return text.String(), nil
		}
		if err != nil {
			return text.String(), err
		}
		for _, c := range chunk.Choices {
			text.WriteString(c.Delta.Content)
		}
	}
}

func TestManyStreamsAtOnceSayWhatEachSaysAlone(t *testing.T) {
	const streams = 64
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0")
	client := clientOf(p)
	asked := questions(t, "held-out", "fact")[:streams]
	models := []string{"demo", "demo-safe", "demo@0.5", "demo-base-chat"}
	alone := make([]string, streams)
	for i := range alone {
		text, err := streamText(t.Context(), client, models[i%len(models)], asked[i].Question, i)
		if err != nil {
			t.Fatal(err)
		}
		alone[i] = text
	}
	closeIdle()
	goroutines, files := p.metric(t, "go_goroutines"), p.metric(t, "process_open_fds")

	var rounds, different atomic.Int64
	var workers sync.WaitGroup
	until := time.Now().Add(soak(t))
	for i := range streams {
		workers.Go(func() {
			for time.Now().Before(until) {
				text, err := streamText(t.Context(), client, models[i%len(models)], asked[i].Question, i)
				if err != nil {
					t.Errorf("stream %d: %v", i, err)
					return
				}
				rounds.Add(1)
				if text != alone[i] {
					different.Add(1)
					t.Errorf("stream %d says %q, alone %q", i, text, alone[i])
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d streams at once, %d answers, %d different from the same request alone", streams, rounds.Load(), different.Load())

	// Connections end a moment after their answers.
	closeIdle()
	for _, c := range []struct {
		name   string
		before float64
	}{{"go_goroutines", goroutines}, {"process_open_fds", files}} {
		if err := settles(func() bool { return p.metric(t, c.name) <= c.before+2 }); err != nil {
			t.Errorf("%s was %v before and is %v after", c.name, c.before, p.metric(t, c.name))
		}
	}
	// What a text has made of its prompt may be kept for a moment after its answer.
	if err := settles(func() bool { return p.metric(t, "graft_native_caches_leased") == 0 }); err != nil {
		t.Errorf("%v caches are still held by texts that have ended", p.metric(t, "graft_native_caches_leased"))
	}
	// Caches that came back are kept for texts to come, at most 64 MiB a model.
	if mb := p.metric(t, "graft_native_bytes") / (1 << 20); mb > 6*80 {
		t.Errorf("%.0f MiB of native memory are held", mb)
	}
	if strings.Contains(p.logged(), `"level":"ERROR"`) {
		t.Errorf("the log has errors:\n%s", p.logged())
	}
}

// settles waits until something holds.
func settles(holds func() bool) error {
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			return fmt.Errorf("not within 10 seconds")
		case <-tick.C:
		}
	}
	return nil
}
