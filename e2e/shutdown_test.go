package e2e

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/sashabaranov/go-openai"
)

func TestSIGTERMLetsStreamsFinish(t *testing.T) {
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0")
	long := request(t, "demo-base")
	long.MaxCompletionTokens = 600
	long.LogitBias = map[string]int{"0": -100, "1": -100, "2": -100} // the special tokens: no end
	stream, err := clientOf(p).CreateChatCompletionStream(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refused := settles(func() bool {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get(p.url + "/healthz")
		if err == nil {
			response.Body.Close()
		}
		return err != nil
	})
	if refused != nil {
		t.Error("new connections are still taken")
	}
	finish := openai.FinishReason("")
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the stream broke: %v", err)
		}
		for _, c := range chunk.Choices {
			finish = max(finish, c.FinishReason)
		}
	}
	if finish != openai.FinishReasonLength {
		t.Errorf("the stream finished with %q", finish)
	}
	<-p.drained
	if err := p.command.Wait(); err != nil {
		t.Errorf("graft ended with %v: %s", err, p.logged())
	}
}
