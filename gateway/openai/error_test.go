package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// written is an error and what a client gets of it.
type written struct {
	err     error
	status  int
	body    string
	headers map[string]string
}

func TestErrorsOfTheClientAreWrittenAsOpenAIsErrorObject(t *testing.T) {
	writes(t, map[string]written{
		"bad request": {
			BadRequest("n", CodeInvalidValue, "n must be %d", 1), 400,
			`{"error":{"message":"n must be 1","type":"invalid_request_error","param":"n","code":"invalid_value"}}`, nil,
		},
		"no param": {
			BadRequest("", CodeInvalidJSON, "empty"), 400,
			`{"error":{"message":"empty","type":"invalid_request_error","param":null,"code":"invalid_json"}}`, nil,
		},
		"no code": {
			&Error{Status: 418, Type: "x", Message: "m"}, 418, `{"error":{"message":"m","type":"x","param":null,"code":null}}`, nil,
		},
		"context": {
			ContextTooLong("messages", 2000, 100, 2048), 400,
			`{"error":{"message":"the model's context is 2048 tokens, but 2100 were asked for (2000 in messages, 100 to generate); shorten messages or ask for fewer",` +
				`"type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, nil,
		},
		"unauthorized": {
			Unauthorized("give a key"), 401,
			`{"error":{"message":"give a key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`,
			map[string]string{"WWW-Authenticate": "Bearer"},
		},
		"model": {
			ModelNotFound("x\"y"), 404,
			`{"error":{"message":"the model \"x\\\"y\" does not exist; GET /v1/models lists those that do","type":"invalid_request_error","param":"model","code":"model_not_found"}}`, nil,
		},
		"endpoint": {
			EndpointNotFound("GET", "/v1/x"), 404,
			`{"error":{"message":"there is no endpoint GET /v1/x","type":"invalid_request_error","param":null,"code":"unknown_url"}}`, nil,
		},
		"method": {
			MethodNotAllowed("GET", "/tokenize", "POST", "OPTIONS"), 405,
			`{"error":{"message":"GET is not allowed on /tokenize; use POST, OPTIONS","type":"invalid_request_error","param":null,"code":"method_not_allowed"}}`,
			map[string]string{"Allow": "POST, OPTIONS"},
		},
		"too large": {
			TooLarge(10), 413,
			`{"error":{"message":"the body is larger than the 10 bytes allowed","type":"invalid_request_error","param":null,"code":"request_too_large"}}`, nil,
		},
	})
}

func TestErrorsOfTheServerAreWrittenAsOpenAIsErrorObject(t *testing.T) {
	writes(t, map[string]written{
		"rate": {
			RateLimited(1500*time.Millisecond, "later"), 429,
			`{"error":{"message":"later","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`,
			map[string]string{"Retry-After": "2"},
		},
		"unavailable": {
			Unavailable("the base is away", 0, errors.New("dial 10.0.0.7")), 503,
			`{"error":{"message":"the base is away","type":"server_error","param":null,"code":"service_unavailable"}}`,
			map[string]string{"Retry-After": ""},
		},
		"a base that takes too long": {
			BaseFailed(504, "too slow", 0, errors.New("10.0.0.7 timed out")), 504,
			`{"error":{"message":"too slow","type":"server_error","param":null,"code":"gateway_timeout"}}`, map[string]string{"Retry-After": ""},
		},
		"a base that is broken": {
			BaseFailed(502, "broken", 0, nil), 502, `{"error":{"message":"broken","type":"server_error","param":null,"code":"bad_gateway"}}`, nil,
		},
		"a base that answers nonsense": {
			BaseFailed(302, "broken", 0, nil), 502, `{"error":{"message":"broken","type":"server_error","param":null,"code":"bad_gateway"}}`, nil,
		},
		"a base that is away": {
			BaseFailed(503, "away", 2*time.Second, nil), 503,
			`{"error":{"message":"away","type":"server_error","param":null,"code":"service_unavailable"}}`, map[string]string{"Retry-After": "2"},
		},
		"a base that has too much to do": {
			BaseFailed(429, "busy", 300*time.Millisecond, nil), 429,
			`{"error":{"message":"busy","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`, map[string]string{"Retry-After": "1"},
		},
		"internal": {
			Internal(errors.New("password is hunter2")), 500,
			`{"error":{"message":"the server failed to answer; its log says why","type":"server_error","param":null,"code":"internal_error"}}`, nil,
		},
		"any other error": {
			errors.New("password is hunter2"), 500,
			`{"error":{"message":"the server failed to answer; its log says why","type":"server_error","param":null,"code":"internal_error"}}`, nil,
		},
		"a wrapped one": {
			fmt.Errorf("route demo: %w", TooLarge(1)), 413,
			`{"error":{"message":"the body is larger than the 1 bytes allowed","type":"invalid_request_error","param":null,"code":"request_too_large"}}`, nil,
		},
	})
}

func writes(t *testing.T, cases map[string]written) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			WriteError(w, c.err)
			if w.Code != c.status || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("status %d, headers %v", w.Code, w.Header())
			}
			var got, want any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.body), &want); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %s\nwant %s", w.Body, c.body)
			}
			for name, value := range c.headers {
				if got := w.Header().Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
		})
	}
}

func TestErrorsTellTheLogTheirCause(t *testing.T) {
	cause := errors.New("disk full")
	e := Internal(cause)
	if !errors.Is(e, cause) || !strings.Contains(e.Error(), "disk full") {
		t.Errorf("%v", e)
	}
	if got := BadRequest("n", CodeInvalidValue, "no").Error(); got != "no (param n)" {
		t.Errorf("%q", got)
	}
	if AsError(e) != e || AsError(cause).Status != http.StatusInternalServerError {
		t.Error("AsError")
	}
}
