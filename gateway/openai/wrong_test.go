package openai

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// wrong is a body that must be refused.
type wrong struct {
	name    string
	body    string
	param   string
	code    string
	message string // a part of it
}

// refuses checks that every body is a 400 with the field and the reason named.
func refuses[T any](t *testing.T, decode func([]byte) (*T, error), cases []wrong) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := decode([]byte(c.body))
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			wantError(t, err, c.param, c.code, c.message)
		})
	}
}

func wantError(t *testing.T, err error, param, code, message string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want an *Error", err, err)
	}
	if e.Status != http.StatusBadRequest || e.Type != "invalid_request_error" {
		t.Errorf("status %d, type %s", e.Status, e.Type)
	}
	if e.Param != param || e.Code != code || !strings.Contains(e.Message, message) {
		t.Errorf("got  %q %s %q\nwant %q %s %q", e.Param, e.Code, e.Message, param, code, message)
	}
}

// chatWith is a good chat body with more members.
func chatWith(members string) string {
	return `{"model":"demo","messages":[{"role":"user","content":"hi"}],` + members + `}`
}

// messageWith is a chat body with one message.
func messageWith(message string) string { return `{"model":"demo","messages":[` + message + `]}` }

// contentWith is a chat body with one user message of that content.
func contentWith(content string) string {
	return messageWith(`{"role":"user","content":` + content + `}`)
}

// promptWith is a completion body with that prompt.
func promptWith(prompt string) string { return `{"model":"demo","prompt":` + prompt + `}` }

// completionWith is a good completion body with more members.
func completionWith(members string) string { return `{"model":"demo","prompt":"hi",` + members + `}` }

func mustChat(t *testing.T, body string) *ChatRequest {
	t.Helper()
	got, err := DecodeChat([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return got
}

func mustCompletion(t *testing.T, body string) *CompletionRequest {
	t.Helper()
	got, err := DecodeCompletion([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return got
}
