package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// upstream is a server that tells what came, and answers as it is asked to.
type upstream struct {
	*httptest.Server
	headers http.Header
	body    map[string]any
	path    string
}

func newUpstream(t *testing.T, answer http.HandlerFunc) *upstream {
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.headers, u.path = r.Header.Clone(), r.URL.Path
		u.body = nil
		text, _ := io.ReadAll(r.Body) // a test that needs it looks at body
		_ = json.Unmarshal(text, &u.body)
		answer(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

// A route without experts over a base server is a pass-through: the client's key stays
// here, the base's own goes there, and what comes back is untouched.
func TestRoutesWithoutExpertsPassThrough(t *testing.T) {
	const answer = "data: {\"made\": \"elsewhere\",  \"n\": 1.0}\n\n: a comment\n\ndata: [DONE]\n\n"
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Request-Id", "there")
		w.Header().Set("Set-Cookie", "session=1")
		fmt.Fprint(w, answer)
	})
	p := configured(t, "bases: {far: {url: "+u.URL+"/v1, model: large, api_key_env: FAR_KEY}}\nroutes: {through: {base: far}}\n",
		"FAR_KEY=sk-far", "GRAFT_API_KEYS=sk-client")
	request, err := http.NewRequest("POST", p.url+"/v1/chat/completions",
		strings.NewReader(`{"model": "through", "stream": true, "temperature": 1.50, "tools": [{"type": "function"}], "messages": []}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer sk-client", "Cookie": "mine=1", "X-Api-Key": "sk-client", "Connection": "X-Hop", "X-Hop": "1"} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || string(text) != answer {
		t.Errorf("the stream came as %q, %v", text, err)
	}
	if response.Header.Get("Set-Cookie") != "" || len(response.Header["X-Request-Id"]) != 1 {
		t.Errorf("headers came as %v", response.Header)
	}
	if u.path != "/v1/chat/completions" || u.body["model"] != "large" || u.body["tools"] == nil {
		t.Errorf("the server got %s %v", u.path, u.body)
	}
	if got := u.headers.Get("Authorization"); got != "Bearer sk-far" {
		t.Errorf("the server got the key %q, want its own", got)
	}
	for name, values := range u.headers {
		if strings.Contains(strings.Join(values, " "), "sk-client") || name == "Cookie" || name == "X-Hop" {
			t.Errorf("the server got the client's %s: %v", name, values)
		}
	}
}

func TestPassedErrorsKeepTheirStatus(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"error": {"message": "slow down"}}`)
	})
	p := configured(t, "bases: {far: {url: "+u.URL+", model: large}}\nroutes: {through: {base: far}}\n")
	post := func() (*http.Response, string) {
		response, err := http.Post(p.url+"/v1/completions", "application/json", bytes.NewReader([]byte(`{"model": "through", "prompt": "a"}`)))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(text)
	}
	if response, text := post(); response.StatusCode != 429 || response.Header.Get("Retry-After") != "7" || !strings.Contains(text, "slow down") {
		t.Errorf("%d, Retry-After %q: %s", response.StatusCode, response.Header.Get("Retry-After"), text)
	}
	u.Close()
	if response, text := post(); response.StatusCode != 503 || strings.Contains(text, "127.0.0.1") {
		t.Errorf("a server that is gone: %d: %s", response.StatusCode, text)
	}
}
