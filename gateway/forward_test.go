package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// relay is an upstream over a scripted server. What the server got is in seen.
type relay struct {
	proxy *httputil.ReverseProxy
	fail  error
	seen  chan seen
}

// seen is a request as the base's server got it.
type seen struct {
	method, uri, body string
	header            http.Header
}

func (u *relay) Forward(w http.ResponseWriter, r *http.Request, _ []byte) error {
	if u.fail != nil {
		return u.fail
	}
	u.proxy.ServeHTTP(w, r)
	return nil
}

// behind starts a base's server that answers as script says, and a route to it.
func behind(t *testing.T, script http.HandlerFunc) (*relay, *Route) {
	t.Helper()
	u := &relay{seen: make(chan seen, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.seen <- seen{r.Method, r.URL.RequestURI(), string(body), r.Header}
		script(w, r)
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(at) }, FlushInterval: -1,
		ErrorLog: slog.NewLogLogger(quiet().Handler(), slog.LevelError),
	}
	return u, &Route{Name: "big", BaseName: "llama70b", Upstream: u, UpstreamModel: "meta/Llama-70B", Context: 4096}
}

func answering(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Base", "seven")
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

// raw posts a body and returns the answer untouched.
func raw(t *testing.T, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
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

func TestRoutesWithoutExpertsPassRequestsThrough(t *testing.T) {
	const odd = `{ "error" : "upstream's own", "n":1.50 }`
	u, route := behind(t, answering(418, odd))
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "x"}), route}, Keys: []string{"secret"}})
	for _, c := range []struct{ path, body, want string }{
		{"/v1/chat/completions", `{"temperature":1.50,"model":"big","messages":[{"role":"user","content":[{"type":"image_url"}]}],"tools":[{}],"x":null}`,
			`{"temperature":1.50,"model":"meta/Llama-70B","messages":[{"role":"user","content":[{"type":"image_url"}]}],"tools":[{}],"x":null}`},
		{"/v1/completions", `{"model":"big@0.5","prompt":"a","tuning":{"strength":2,"experts":null,"draft":"off","base":1,"explain":false}}`, `{"model":"meta/Llama-70B","prompt":"a"}`},
		{"/tokenize", `{"model":"big","prompt":"a","return_token_strs":true}`, `{"model":"meta/Llama-70B","prompt":"a","return_token_strs":true}`},
		{"/detokenize", `{"tokens":[1],"model":"big"}`, `{"tokens":[1],"model":"meta/Llama-70B"}`},
	} {
		response, text := raw(t, server.URL+c.path, c.body, "Authorization", "Bearer secret", "X-Tuning-Strength", "0.5", "X-Mine", "kept")
		if response.StatusCode != 418 || text != odd || response.Header.Get("X-Base") != "seven" {
			t.Errorf("%s: %d %s", c.path, response.StatusCode, text)
		}
		got := <-u.seen
		if got.uri != c.path || got.body != c.want {
			t.Errorf("%s: the base got %s %s", c.path, got.uri, got.body)
		}
		if got.header.Get("Authorization") != "" || got.header.Get("X-Tuning-Strength") != "" || got.header.Get("X-Mine") != "kept" {
			t.Errorf("%s: the base got %v", c.path, got.header)
		}
	}
	request, _ := http.NewRequest(http.MethodGet, server.URL+"/tokenizer_info?model=big", nil)
	request.Header.Set("Authorization", "Bearer secret")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := <-u.seen; response.StatusCode != 418 || got.uri != "/tokenizer_info?model=meta%2FLlama-70B" || got.body != "" {
		t.Errorf("tokenizer_info: %d, the base got %+v", response.StatusCode, got)
	}
	if response, _ := raw(t, server.URL+"/v1/chat/completions", `{"model":"big"}`); response.StatusCode != 401 || len(u.seen) > 0 {
		t.Errorf("without a key: %d", response.StatusCode)
	}
}

func TestTheOtherRoutesOfAServerThatPassesDecode(t *testing.T) {
	_, route := behind(t, answering(200, `{}`))
	server := start(t, Config{Routes: []*Route{route, plainRoute("m", &speaker{says: "x"})}})
	_, answer := post(t, server.URL+"/v1/chat/completions", object{"model": "m", "messages": user("Hi"), "temperature": 0})
	if get(t, answer, "choices", 0, "message", "content") != "x" {
		t.Errorf("%v", answer)
	}
	if status, answer := post(t, server.URL+"/tokenize", object{"model": "m", "prompt": "ab"}); status != 200 || answer["count"] != 2.0 {
		t.Errorf("%d %v", status, answer)
	}
	// The first route is the default for tokenizers.
	if status, answer := post(t, server.URL+"/tokenize", object{"prompt": "ab"}); status != 200 || len(answer) != 0 {
		t.Errorf("%d %v", status, answer)
	}
}

func TestWhatCannotBePassedThroughIsRefused(t *testing.T) {
	u, route := behind(t, answering(200, `{}`))
	server := start(t, Config{Routes: []*Route{route}})
	const chat = "/v1/chat/completions"
	for name, c := range map[string]struct {
		path, body, param, says string
		status                  int
	}{
		"explain":          {chat, `{"model":"big","tuning":{"explain":true}}`, "tuning.explain", "has no experts", 400},
		"base":             {chat, `{"model":"big","tuning":{"base":1.5}}`, "tuning.base", "has no experts", 400},
		"plausibility":     {chat, `{"model":"big","tuning":{"plausibility":0.1}}`, "tuning.plausibility", "has no experts", 400},
		"drafter":          {chat, `{"model":"big","tuning":{"draft":"tuned"}}`, "tuning.draft", "auto or off", 400},
		"strength":         {chat, `{"model":"big","tuning":{"strength":3}}`, "tuning.strength", "0 to 2", 400},
		"strength by name": {chat, `{"model":"big@3"}`, "tuning.strength", "0 to 2", 400},
		"expert":           {chat, `{"model":"big","tuning":{"experts":{"chat":1}}}`, "tuning.experts.chat", "it has none", 400},
		"unknown knob":     {chat, `{"model":"big","tuning":{"strenth":1}}`, "tuning.strenth", "not a known", 400},
		"twice":            {chat, `{"model":"big","n":1,"n":2}`, "n", "twice", 400},
		"no JSON":          {chat, `{"model":"big",`, "", "JSON", 400},
		"no model":         {chat, `{"messages":[]}`, "model", "missing", 400},
		"unknown model":    {chat, `{"model":"small"}`, "model", "small", 404},
		"tokens tuned":     {"/tokenize", `{"model":"big","prompt":"a","tuning":{}}`, "tuning", "not a known", 400},
		"tokens of none":   {"/detokenize", `{"model":"small","tokens":[1]}`, "model", "small", 404},
	} {
		status, answer := post(t, server.URL+c.path, c.body)
		param, _ := get(t, answer, "error", "param").(string)
		if message := get(t, answer, "error", "message").(string); status != c.status || param != c.param || !strings.Contains(message, c.says) {
			t.Errorf("%s: %d, %q, %s", name, status, param, message)
		}
	}
	if status, answer := post(t, server.URL+chat, `{"model":"big"}`, "X-Tuning-Strength", "much"); status != 400 || get(t, answer, "error", "param") != "X-Tuning-Strength" {
		t.Errorf("a malformed header: %d %v", status, answer)
	}
	if len(u.seen) > 0 {
		t.Errorf("the base got %+v", <-u.seen)
	}
}

func TestForwardedStreamsComeEventByEvent(t *testing.T) {
	next := make(chan string)
	_, route := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range next {
			fmt.Fprintf(w, "data: %s\n\n", event)
			w.(http.Flusher).Flush()
		}
	})
	log := &lockedBuffer{}
	server := start(t, Config{Routes: []*Route{route}, Log: slog.New(slog.NewJSONHandler(log, nil))})
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/completions", strings.NewReader(`{"model":"big","stream":true}`))
	go func() { next <- "0" }()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for i := range 3 {
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d is %q, %v", i, line, err)
		}
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			next <- fmt.Sprint(i + 1) // is not sent before the last one was read
		}
	}
	close(next)
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	eventually(t, "it is logged", func() bool { return strings.Contains(log.String(), `"route":"big"`) })
	if strings.Contains(log.String(), "tokens") {
		t.Errorf("tokens that nobody counted: %s", log)
	}
	for _, line := range []string{
		`graft_requests_total{endpoint="/v1/completions",route="big",status="200"} 1`, `gen_ai_server_request_duration_seconds_count{route="big"} 1`, `graft_queue_wait_seconds_count 1`,
	} {
		if !strings.Contains(metricsOf(t, server.URL), line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
}

// A stream that the base breaks off is broken off for the client: an end would make it
// look whole.
func TestForwardedAnswersThatBreakOffAreNotEnded(t *testing.T) {
	_, route := behind(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	log := &lockedBuffer{}
	server := start(t, Config{Routes: []*Route{route}, Log: slog.New(slog.NewJSONHandler(log, nil))})
	response, err := http.Post(server.URL+"/v1/completions", "application/json", strings.NewReader(`{"model":"big","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err == nil || string(text) != "data: 1\n\n" {
		t.Errorf("%q ended with %v", text, err)
	}
	eventually(t, "it is logged", func() bool { return strings.Contains(log.String(), `"status":502`) })
	if strings.Count(log.String(), `"level":"WARN"`) != 1 || strings.Contains(log.String(), "ERROR") {
		t.Errorf("log: %s", log)
	}
	if !strings.Contains(metricsOf(t, server.URL), `graft_base_failures_total{route="big",status="502"} 1`) {
		t.Error("it is not counted")
	}
	eventually(t, "its place is free", func() bool { return strings.Contains(metricsOf(t, server.URL), "graft_queue_waiting 0") })
}

func TestAClientThatLeavesAForwardedAnswerStopsIt(t *testing.T) {
	stopped := make(chan struct{})
	_, route := behind(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(stopped)
	})
	log := &lockedBuffer{}
	server := start(t, Config{Routes: []*Route{route}, Log: slog.New(slog.NewJSONHandler(log, nil))})
	ctx, leave := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/completions", strings.NewReader(`{"model":"big","stream":true}`))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	leave()
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Fatal("the base's server goes on")
	}
	eventually(t, "it is logged", func() bool { return strings.Contains(log.String(), `"status":499`) })
	if strings.Contains(log.String(), "WARN") || strings.Contains(log.String(), "ERROR") {
		t.Errorf("log: %s", log)
	}
	if strings.Contains(log.String(), errCut.Error()) || !strings.Contains(log.String(), `"passed":true`) {
		t.Errorf("it was the client who left, from an answer that was passed on: %s", log)
	}
}

func TestAnUpstreamThatCannotBeReachedIsAnOpenAIError(t *testing.T) {
	server := start(t, Config{Routes: []*Route{{Name: "big", Upstream: &relay{fail: brokenBase{503, time.Second}}, UpstreamModel: "x"}}})
	response, text := raw(t, server.URL+"/v1/chat/completions", `{"model":"big"}`)
	var answer object
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" || get(t, answer, "error", "message") != "the base is unwell" {
		t.Errorf("%d %v %s", response.StatusCode, response.Header, text)
	}
}

func TestRoutesThatPassAreListed(t *testing.T) {
	_, route := behind(t, answering(200, `{}`))
	unknown := *route
	unknown.Name, unknown.Context = "unknown", 0
	server := start(t, Config{Routes: []*Route{route, &unknown}})
	for path, want := range map[string]string{
		"/v1/models/big":     `{"id":"big","object":"model","created":0,"owned_by":"graft","max_model_len":4096,"base":"llama70b"}`,
		"/v1/models/unknown": `{"id":"unknown","object":"model","created":0,"owned_by":"graft","base":"llama70b"}`,
	} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if strings.TrimSpace(string(text)) != want {
			t.Errorf("%s: %s", path, text)
		}
	}
}

func TestForwardedRequestsTakeAPlaceInTheQueue(t *testing.T) {
	hold := make(chan struct{})
	u, route := behind(t, func(w http.ResponseWriter, _ *http.Request) { <-hold })
	defer close(hold)
	server := start(t, Config{Routes: []*Route{route}, Limits: Limits{Running: 1, Waiting: 1, Patience: 20 * time.Millisecond}})
	go http.Post(server.URL+"/v1/completions", "application/json", strings.NewReader(`{"model":"big"}`))
	<-u.seen
	if status, answer := post(t, server.URL+"/v1/completions", `{"model":"big"}`); status != 429 {
		t.Errorf("%d %v", status, answer)
	}
}
