package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/graft-gateway/graft/models/demo"
)

type object = map[string]any

// ask posts a body and decodes the answer; any status but 200 is an error that
// quotes it.
func ask[T any](url, path string, body object) (answer T, err error) {
	data, err := json.Marshal(body)
	if err != nil {
		return answer, err
	}
	response, err := http.Post(url+path, "application/json", bytes.NewReader(data))
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer, err
	}
	if response.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("%s: %d: %s", path, response.StatusCode, text)
	}
	return answer, json.Unmarshal(text, &answer)
}

// chatAnswer is what the tests read of a chat answer.
type chatAnswer struct {
	Choices []struct {
		Message      struct{ Content string }
		FinishReason string `json:"finish_reason"`
	}
	Tuning struct {
		ChangedTokens int `json:"changed_tokens"`
	}
	Usage struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
	}
}

// chat asks a model of the shared server a question, greedily, and returns what it says.
func chat(t *testing.T, model, question string) (text, finish string) {
	t.Helper()
	return chatAt(t, shared.url, model, question)
}

func chatAt(t *testing.T, url, model, question string) (text, finish string) {
	t.Helper()
	answer, err := ask[chatAnswer](url, "/v1/chat/completions", object{
		"model": model, "temperature": 0, "max_tokens": 64,
		"messages": []object{{"role": "user", "content": question}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Choices[0].Message.Content, answer.Choices[0].FinishReason
}

// questions returns the family's of one split and kind.
func questions(t *testing.T, split, kind string) []demo.Question {
	t.Helper()
	all, err := demo.Questions()
	if err != nil {
		t.Fatal(err)
	}
	var some []demo.Question
	for _, q := range all {
		if q.Split == split && q.Kind == kind {
			some = append(some, q)
		}
	}
	if len(some) == 0 {
		t.Fatalf("no %s questions of kind %s", split, kind)
	}
	return some
}

// fetch gets a path and decodes the answer.
func fetch(path string, v any) error {
	response, err := http.Get(shared.url + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(v)
}

func tokenize(t *testing.T, text string) []int {
	t.Helper()
	return tokens(t, object{"model": "demo", "prompt": text})
}

func tokenizeChat(t *testing.T, text string) []int {
	t.Helper()
	return tokens(t, object{"model": "demo", "messages": []object{{"role": "user", "content": text}}})
}

func tokens(t *testing.T, body object) []int {
	t.Helper()
	answer, err := ask[struct{ Tokens []int }](shared.url, "/tokenize", body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Tokens
}
