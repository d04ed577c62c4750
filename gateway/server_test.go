package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lockedBuffer collects what several goroutines log.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// openStream asks for a stream and reads its first event.
func openStream(t *testing.T, ctx context.Context, url string) *bufio.Reader {
	t.Helper()
	body := `{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "stream": true}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	r := bufio.NewReader(response.Body)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "assistant") {
		t.Fatalf("first event %q, %v", line, err)
	}
	return r
}

func TestAClientThatLeavesStopsTheWork(t *testing.T) {
	s := &speaker{says: strings.Repeat("x", 400), hold: make(chan struct{})}
	log := &lockedBuffer{}
	server := start(t, Config{Routes: []*Route{plainRoute("m", s)}, Log: slog.New(slog.NewJSONHandler(log, nil))})
	ctx, leave := context.WithCancel(t.Context())
	openStream(t, ctx, server.URL)
	s.hold <- struct{}{}
	leave()
	eventually(t, "the sequence is closed", func() bool { return s.open.Load() == 0 })
	if n := s.rows.Load(); n > 3 {
		t.Errorf("%d rows were computed", n)
	}
	eventually(t, "the log tells of it", func() bool { return strings.Contains(log.String(), `"status":499`) })
	if strings.Contains(log.String(), "ERROR") {
		t.Errorf("a client that left is logged as an error: %s", log)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	s := &speaker{says: strings.Repeat("x", 400), hold: make(chan struct{})}
	registry := prometheus.NewRegistry()
	server := start(t, Config{Routes: []*Route{plainRoute("m", s)}, Limits: Limits{Running: 1, Waiting: 1, Patience: 50 * time.Millisecond}, Metrics: registry})
	openStream(t, t.Context(), server.URL) // runs, and stays
	body := object{"model": "m", "messages": user("Hi"), "max_tokens": 1}
	request := func() *http.Response {
		data, _ := json.Marshal(body)
		response, err := http.Post(server.URL+"/v1/chat/completions", "application/json", bytes.NewReader(data))
		if err != nil {
			t.Error(err)
			return nil
		}
		response.Body.Close()
		return response
	}
	var answers sync.WaitGroup
	statuses := make(chan *http.Response, 3)
	for range 3 { // one waits in vain, the others find the queue full or wait after it
		answers.Go(func() { statuses <- request() })
	}
	answers.Wait()
	for range 3 {
		if r := <-statuses; r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "1" {
			t.Errorf("status %d, Retry-After %q", r.StatusCode, r.Header.Get("Retry-After"))
		}
	}
	close(s.hold) // the stream goes on to its end and leaves its place
	eventually(t, "a place comes free", func() bool { return request().StatusCode == 200 })
}

func TestModelFailuresAreServerErrors(t *testing.T) {
	broken := &speaker{says: "abcdef", fail: errors.New("secret cause")}
	crashing := &speaker{says: "abc", panic: true}
	log := &lockedBuffer{}
	server := start(t, Config{Routes: []*Route{plainRoute("m", broken), plainRoute("crash", crashing)}, Log: slog.New(slog.NewJSONHandler(log, nil))})
	status, answer := post(t, server.URL+"/v1/chat/completions", object{"model": "m", "messages": user("Hi"), "temperature": 0})
	if status != 500 || strings.Contains(get(t, answer, "error", "message").(string), "secret") {
		t.Errorf("%d: %v", status, answer)
	}
	if !strings.Contains(log.String(), "secret cause") {
		t.Error("the cause is not in the log")
	}
	// In a stream that has begun the error is an event.
	response, err := http.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"temperature":0,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if !strings.Contains(string(text), `data: {"error":`) || strings.Contains(string(text), "[DONE]") || strings.Contains(string(text), "secret") {
		t.Errorf("stream: %s", text)
	}
	if n := broken.open.Load(); n != 0 {
		t.Errorf("%d sequences left open", n)
	}
	if status, answer = post(t, server.URL+"/v1/chat/completions", object{"model": "crash", "messages": user("Hi")}); status != 500 {
		t.Errorf("a panic: %d %v", status, answer)
	}
	if !strings.Contains(log.String(), "a bug") {
		t.Error("the panic is not in the log")
	}
}

// serving starts Serve on a loopback listener; stop asks it to end, and its result
// comes on done.
func serving(t *testing.T, c Config) (url string, stop context.CancelFunc, done chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Log = quiet()
	ctx, stop := context.WithCancel(t.Context())
	done = make(chan error, 1)
	go func() { done <- New(c).Serve(ctx, listener) }()
	return "http://" + listener.Addr().String(), stop, done
}

func TestShutdownLetsStreamsFinish(t *testing.T) {
	s := &speaker{says: "abcdef", hold: make(chan struct{})}
	url, stop, done := serving(t, Config{Routes: []*Route{plainRoute("m", s)}})
	stream := openStream(t, t.Context(), url)
	stop()
	eventually(t, "no new connections", func() bool {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get(url + "/healthz")
		if err == nil {
			response.Body.Close()
		}
		return err != nil
	})
	close(s.hold)
	rest, err := io.ReadAll(stream)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the stream ended with %v: %s", err, rest)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestShutdownEndsWhatTakesTooLong(t *testing.T) {
	s := &speaker{says: "abcdef", hold: make(chan struct{})}
	url, stop, done := serving(t, Config{Routes: []*Route{plainRoute("m", s)}, Limits: Limits{Grace: 20 * time.Millisecond}})
	stream := openStream(t, t.Context(), url)
	stop()
	rest, _ := io.ReadAll(stream)
	if !strings.Contains(string(rest), "shutting down") {
		t.Errorf("the stream ended with %s", rest)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if n := s.open.Load(); n != 0 {
		t.Errorf("%d sequences left open", n)
	}
}

func TestReadinessEndsWithShutdown(t *testing.T) {
	server := New(Config{Routes: []*Route{plainRoute("m", &speaker{})}, Log: quiet()})
	listening := httptest.NewServer(server.Handler())
	defer listening.Close()
	status := func() int {
		response, err := http.Get(listening.URL + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if got := status(); got != 200 {
		t.Errorf("ready: %d", got)
	}
	server.draining.Store(true)
	if got := status(); got != 503 {
		t.Errorf("draining: %d", got)
	}
}

func TestModelsAreListed(t *testing.T) {
	demoRoute := tunedRoute("demo", "b", "t")
	demoRoute.Fingerprint = "f1"
	server := start(t, Config{Routes: []*Route{demoRoute, plainRoute("org/plain", &speaker{})}})
	fetch := func(path string) (int, object) {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var o object
		if err := json.NewDecoder(response.Body).Decode(&o); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, o
	}
	_, list := fetch("/v1/models")
	if get(t, list, "data", 0, "id") != "demo" || get(t, list, "data", 1, "id") != "org/plain" {
		t.Errorf("%v", list)
	}
	_, demo := fetch("/v1/models/demo")
	if demo["vocab_size"] != 257.0 || demo["max_model_len"] != 500.0 || get(t, demo, "experts", "chat") != 1.0 || get(t, demo, "bounds", "strength", 1) != 2.0 {
		t.Errorf("%v", demo)
	}
	if demo["owned_by"] != "graft" || demo["max_logprobs"] != 257.0 || demo["fingerprint"] != "f1" {
		t.Errorf("%v", demo)
	}
	if status, o := fetch("/v1/models/org/plain"); status != 200 || o["id"] != "org/plain" {
		t.Errorf("a name with a slash: %d %v", status, o)
	}
	if status, _ := fetch("/v1/models/none"); status != 404 {
		t.Errorf("an unknown one: %d", status)
	}
	if status, _ := fetch("/tokenizer_info"); status != 200 {
		t.Errorf("tokenizer_info: %d", status)
	}
}

func TestMetricsCount(t *testing.T) {
	server := start(t, Config{Routes: []*Route{tunedRoute("demo", "base text", "tuned one")}})
	post(t, server.URL+"/v1/chat/completions", object{"model": "demo", "messages": user("Hi"), "temperature": 0})
	post(t, server.URL+"/v1/chat/completions", object{"model": "none", "messages": user("Hi")})
	response, err := http.Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	for _, line := range []string{
		`graft_requests_total{endpoint="/v1/chat/completions",route="demo",status="200"} 1`,
		`graft_requests_total{endpoint="/v1/chat/completions",route="",status="404"} 1`,
		`graft_tokens_total{kind="prompt",route="demo"} 9`,
		`graft_tokens_total{kind="completion",route="demo"} 10`,
		`gen_ai_server_time_to_first_token_seconds_count{route="demo"} 1`,
		`gen_ai_server_time_per_output_token_seconds_count{route="demo"} 1`,
		`gen_ai_server_request_duration_seconds_count{route="demo"} 1`,
		`graft_queue_waiting 0`,
		`graft_queue_wait_seconds_count 1`,
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
}

func TestWiringMistakesPanic(t *testing.T) {
	broken := plainRoute("x", &speaker{})
	broken.Text = nil
	short := plainRoute("x", &speaker{})
	short.Context = 1
	half := plainRoute("x", &speaker{})
	half.Experts = []Expert{{Name: "chat"}}
	tail := plainRoute("x", &speaker{})
	tail.Tail = "cut"
	both := plainRoute("x", &speaker{})
	both.Upstream, both.UpstreamModel = &relay{}, "y"
	for name, routes := range map[string][]*Route{
		"an unknown tail": {tail}, "an upstream beside a base": {both}, "an upstream without a model": {{Name: "x", Upstream: &relay{}}},
		"no routes": nil, "a part missing": {broken}, "no context": {short}, "half an expert": {half},
		"a name twice": {plainRoute("x", &speaker{}), plainRoute("x", &speaker{})},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			New(Config{Routes: routes})
		}()
	}
}
