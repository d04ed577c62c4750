package e2e

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/sashabaranov/go-openai"
)

func clientOf(p *process) *openai.Client {
	config := openai.DefaultConfig("no key is needed")
	config.BaseURL = p.url + "/v1"
	return openai.NewClientWithConfig(config)
}

// closeIdle ends the connections that clients keep.
func closeIdle() { http.DefaultClient.CloseIdleConnections() }

// request asks a model the first of the held-out questions, as good as greedily: the
// library leaves out a temperature of 0.
func request(t *testing.T, model string) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{
		Model: model, Temperature: 1e-9, MaxCompletionTokens: 64,
		Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: questions(t, "held-out", "fact")[0].Question}},
	}
}

func TestGoClientChats(t *testing.T) {
	client := clientOf(shared)
	list, err := client.ListModels(t.Context())
	if err != nil || len(list.Models) != 8 || list.Models[0].ID != "demo" {
		t.Fatalf("models: %v, %v", list, err)
	}
	answer, err := client.CreateChatCompletion(t.Context(), request(t, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	if c := answer.Choices[0]; !inForm(c.Message.Content, string(c.FinishReason)) {
		t.Errorf("demo says %q (%s)", c.Message.Content, c.FinishReason)
	}
	if answer.Usage.TotalTokens != answer.Usage.PromptTokens+answer.Usage.CompletionTokens || answer.Usage.CompletionTokens == 0 {
		t.Errorf("usage %+v", answer.Usage)
	}
	plain, err := client.CreateChatCompletion(t.Context(), request(t, "demo@0"))
	if err != nil {
		t.Fatal(err)
	}
	base, err := client.CreateChatCompletion(t.Context(), request(t, "demo-base"))
	if err != nil {
		t.Fatal(err)
	}
	if plain.Choices[0].Message.Content != base.Choices[0].Message.Content {
		t.Errorf("strength 0 says %q, the base %q", plain.Choices[0].Message.Content, base.Choices[0].Message.Content)
	}
	stream, err := client.CreateChatCompletionStream(t.Context(), request(t, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for {
		chunk, err := stream.Recv()
		if err != nil {
			break
		}
		for _, c := range chunk.Choices {
			text += c.Delta.Content
		}
	}
	stream.Close()
	if text != answer.Choices[0].Message.Content {
		t.Errorf("streamed %q, whole %q", text, answer.Choices[0].Message.Content)
	}
}

func TestGoClientCompletesAndFails(t *testing.T) {
	client := clientOf(shared)
	completion, err := client.CreateCompletion(t.Context(), openai.CompletionRequest{Model: "demo-base", Prompt: "The river", MaxTokens: 5, LogProbs: 3})
	if err != nil || len(completion.Choices[0].LogProbs.Tokens) == 0 {
		t.Errorf("completion: %+v, %v", completion, err)
	}
	_, err = client.CreateChatCompletion(t.Context(), request(t, "nobody"))
	var apiError *openai.APIError
	if !errors.As(err, &apiError) || apiError.HTTPStatusCode != http.StatusNotFound || *apiError.Param != "model" {
		t.Errorf("unknown model: %v", err)
	}
	_, err = client.CreateChatCompletion(t.Context(), request(t, "demo@7"))
	if !errors.As(err, &apiError) || apiError.HTTPStatusCode != http.StatusBadRequest {
		t.Errorf("strength 7: %v", err)
	}
}

func TestAClientThatLeavesFreesItsPlace(t *testing.T) {
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0")
	client := clientOf(p)
	ctx, leave := context.WithCancel(t.Context())
	stream, err := client.CreateChatCompletionStream(ctx, openai.ChatCompletionRequest{
		Model: "demo-base", MaxCompletionTokens: 1900, Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "Tell me a story."}},
		LogitBias: map[string]int{"0": -100, "1": -100, "2": -100},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	leave()
	stream.Close()
	done := `graft_requests_total{endpoint="/v1/chat/completions",route="demo-base",status="499"}`
	if err := settles(func() bool { return hasMetric(t, p, done) }); err != nil {
		t.Fatalf("the request goes on: %s", p.logged())
	}
	if made := p.metric(t, `graft_tokens_total{kind="completion",route="demo-base"}`); made > 1000 {
		t.Errorf("%v tokens were made for a client that left", made)
	}
}
