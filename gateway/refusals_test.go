package gateway

import (
	"net/http"
	"strings"
	"testing"
)

// Each is a 4xx with an OpenAI error object that names the field.
func TestBadRequestsAreNamed(t *testing.T) {
	server := start(t, Config{Routes: []*Route{tunedRoute("demo", "base", "tuned"), plainRoute("plain", &speaker{says: "x"})}})
	const chat, text = "/v1/chat/completions", "/v1/completions"
	good := func(extra object) object {
		body := object{"model": "demo", "messages": user("Hi")}
		for k, v := range extra {
			body[k] = v
		}
		return body
	}
	for name, c := range map[string]struct {
		path   string
		body   any
		status int
		param  string
		says   string
	}{
		"malformed JSON":          {chat, `{"model": `, 400, "model", "JSON"},
		"no model":                {chat, object{"messages": user("Hi")}, 400, "model", "missing"},
		"unknown model":           {chat, good(object{"model": "gpt-9"}), 404, "model", "gpt-9"},
		"bad suffix":              {chat, good(object{"model": "demo@lots"}), 400, "model", "demo@lots"},
		"empty messages":          {chat, good(object{"messages": []any{}}), 400, "messages", "empty"},
		"template refuses":        {chat, good(object{"messages": user("forbidden")}), 400, "messages", "roles must alternate"},
		"long prompt":             {chat, good(object{"messages": user(strings.Repeat("x", 600))}), 400, "messages", "500"},
		"long answer":             {chat, good(object{"max_tokens": 499}), 400, "messages", "500"},
		"long text prompt":        {text, object{"model": "demo", "prompt": strings.Repeat("x", 600)}, 400, "prompt", "500"},
		"foreign id":              {text, object{"model": "demo", "prompt": []int{300}}, 400, "prompt", "300"},
		"strength above":          {chat, good(object{"tuning": object{"strength": 2.5}}), 400, "tuning.strength", "0 to 2"},
		"strength by name above":  {chat, good(object{"model": "demo@2.5"}), 400, "tuning.strength", "0 to 2"},
		"unknown expert":          {chat, good(object{"tuning": object{"experts": object{"law": 1}}}), 400, "tuning.experts.law", "it has chat"},
		"expert of a plain route": {chat, good(object{"model": "plain", "tuning": object{"experts": object{"chat": 1}}}), 400, "tuning.experts.chat", "it has none"},
		"expert above":            {chat, good(object{"tuning": object{"experts": object{"chat": 3}}}), 400, "tuning.experts.chat", "0 to 2"},
		"base above":              {chat, good(object{"tuning": object{"base": 2.1}}), 400, "tuning.base", "0 to 2"},
		"missing drafter":         {chat, good(object{"tuning": object{"draft": "tuned"}}), 400, "tuning.draft", "auto or off"},
		"too many top_logprobs":   {chat, good(object{"logprobs": true, "top_logprobs": 21}), 400, "top_logprobs", "at most 20"},
		"too many logprobs":       {text, object{"model": "demo", "prompt": "x", "logprobs": 300}, 400, "logprobs", "Requested sample logprobs of 300, which is greater than max allowed: 257"},
		"an answer of millions":   {text, object{"model": "demo", "prompt": []string{"x", "y", "z", "1", "2", "3"}, "n": 16, "logprobs": 257}, 400, "max_tokens", "lower"},
		"foreign bias":            {chat, good(object{"logit_bias": object{"257": 1}}), 400, "logit_bias.257", "256"},
		"min above max":           {chat, good(object{"max_tokens": 3, "min_tokens": 4}), 400, "min_tokens", "most tokens asked for (3)"},
		"nothing left to choose":  {chat, good(object{"model": "plain", "min_tokens": 9, "temperature": 0, "tuning": object{"plausibility": 1}}), 400, "", "leave no token at position"},
		"tools":                   {chat, good(object{"tools": []any{object{"type": "function"}}}), 400, "tools", "not supported"},
		"n 0":                     {chat, good(object{"n": 0}), 400, "n", "1"},
		"unknown tokenizer model": {"/tokenize", object{"model": "gpt-9", "prompt": "x"}, 404, "model", "gpt-9"},
		"foreign id to text":      {"/detokenize", object{"tokens": []int{999}}, 400, "tokens", "999"},
		"unknown path":            {"/v1/embeddings", object{}, 404, "", "/v1/embeddings"},
		"wrong method":            {"/v1/models", object{}, 405, "", "GET"},
	} {
		status, answer := post(t, server.URL+c.path, c.body)
		message, _ := get(t, answer, "error", "message").(string)
		param, _ := get(t, answer, "error", "param").(string)
		if status != c.status || param != c.param || !strings.Contains(message, c.says) {
			t.Errorf("%s: %d, param %q, %q; want %d, %q, %q", name, status, param, message, c.status, c.param, c.says)
		}
		if kind := get(t, answer, "error", "type"); kind != "invalid_request_error" {
			t.Errorf("%s: type %v", name, kind)
		}
	}
}

func TestLargeBodiesAreRefused(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{})}, Limits: Limits{Body: 1000}})
	status, answer := post(t, server.URL+"/v1/chat/completions", object{"model": "m", "messages": user(strings.Repeat("x", 2000))})
	if status != http.StatusRequestEntityTooLarge || !strings.Contains(get(t, answer, "error", "message").(string), "1000") {
		t.Errorf("%d: %v", status, answer)
	}
}

func TestKeysAreWanted(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "x"})}, Keys: []string{"first", "second"}})
	body := object{"model": "m", "messages": user("Hi")}
	for header, want := range map[string]int{
		"": 401, "Bearer wrong": 401, "Bearer ": 401, "Basic first": 401, "first": 401, "Bearer first": 200, "bearer second": 200,
	} {
		var headers []string
		if header != "" {
			headers = []string{"Authorization", header}
		}
		status, answer := post(t, server.URL+"/v1/chat/completions", body, headers...)
		if status != want {
			t.Errorf("Authorization %q: %d %v", header, status, answer)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("%s wants a key: %d", path, response.StatusCode)
		}
	}
}
