package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/proxy/proxytest"
)

const aKey = "sk-do-not-tell"

// storyteller answers JSON, and a stream of three events at /v1/stream; /v1/open is that
// stream without [DONE].
func storyteller(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/stream" && r.URL.Path != "/v1/open" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"path":%q,"key":%q}`, r.URL.Path, r.Header.Get("Authorization"))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for i := range 3 {
		if _, err := fmt.Fprintf(w, "data: {\"n\":%d}\n\n", i); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
	if r.URL.Path == "/v1/stream" {
		fmt.Fprint(w, "data: [DONE]\n\n")
	}
}

// short is an endpoint with time-outs that a test can wait for, one retry, and no breaker.
func short(url string) Endpoint {
	return Endpoint{
		Name: "big", URL: url, Key: aKey, Retries: 1,
		Timeouts: Timeouts{Connect: 300 * time.Millisecond, FirstByte: 300 * time.Millisecond, Stall: 300 * time.Millisecond},
		Breaker:  Breaker{Failures: -1},
	}
}

func mustClient(t testing.TB, endpoint Endpoint) *Client {
	t.Helper()
	c, err := NewClient(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// drainEvents reads a stream to its end.
func drainEvents(events *Events, err error) (all []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer events.Close()
	for {
		data, err := events.Next()
		if err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, err
		}
		all = append(all, string(data))
	}
}

// asError wants an *Error that tells no key.
func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *Error", err)
	}
	if strings.Contains(err.Error(), aKey) {
		t.Errorf("the key is told: %v", err)
	}
	if e.Base != "big" || e.Op == "" {
		t.Errorf("it does not say where: %+v", e)
	}
	return e
}

func TestPathsLieBelowTheAPIOrTheRoot(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	for _, test := range []struct{ url, path, want string }{
		{"", "/v1/models", "/v1/models"},
		{"/", "/v1/models", "/v1/models"},
		{"/v1", "/v1/models", "/v1/models"},
		{"/v1/", "/health", "/health"},
		{"/some/where/v1", "/v1/models", "/some/where/v1/models"},
		{"/some/where/v1", "/health", "/some/where/health"},
		{"/api", "/v1/models", "/api/models"},
		{"/api", "/health", "/api/health"},
	} {
		c := mustClient(t, Endpoint{URL: server.URL + test.url, Key: aKey})
		var out struct{ Path, Key string }
		if err := c.Get(t.Context(), test.path, &out); err != nil || out.Path != test.want || out.Key != "Bearer "+aKey {
			t.Errorf("%q %q: got %+v, %v", test.url, test.path, out, err)
		}
	}
}

func TestEndpointsThatMeanNothingAreRefused(t *testing.T) {
	for _, test := range []struct {
		endpoint Endpoint
		says     string
	}{
		{Endpoint{URL: ""}, "want http://HOST:PORT/v1"},
		{Endpoint{URL: "localhost:8000"}, "want http://HOST:PORT/v1"},
		{Endpoint{URL: "ftp://host/v1"}, "want http://HOST:PORT/v1"},
		{Endpoint{URL: "http://:8000/v1"}, "want http://HOST:PORT/v1"},
		{Endpoint{URL: "http://u:" + aKey + "@host:port/v1"}, "…@host:port"},
		{Endpoint{URL: "http://host/v1?key=1"}, "query"},
		{Endpoint{URL: "http://u:p@host/v1", Key: aKey}, "leave out one"},
		{Endpoint{URL: "http://host/v1", Key: aKey + "\n"}, "line break"},
		{Endpoint{URL: "http://host/v1", Key: aKey + "é"}, "another character"},
		{Endpoint{URL: "http://host/v1", TLS: TLS{Insecure: true}}, "write https"},
		{Endpoint{URL: "https://host/v1", TLS: TLS{Certificate: "x"}}, "belong together"},
		{Endpoint{URL: "https://host/v1", TLS: TLS{CA: "testdata/none"}}, "TLS authorities"},
		{Endpoint{URL: "https://host/v1", TLS: TLS{CA: "client_test.go"}}, "no certificate in PEM"},
	} {
		_, err := NewClient(test.endpoint)
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), aKey) {
			t.Errorf("%+v: %v, want %q", test.endpoint, err, test.says)
		}
	}
}

// lasting are the faults that stay, and what they are in the end: of a whole answer, and
// of a stream. Tries counts the requests of each.
var lasting = []struct {
	name   string
	fault  proxytest.Fault
	whole  Fault
	stream Fault
	tries  int // with one retry
	says   string
}{
	{"429", proxytest.Status(429, "too many"), Overloaded, Overloaded, 2, "too many"},
	{"503", proxytest.Status(503, "loading"), Overloaded, Overloaded, 2, "loading"},
	{"500", proxytest.Status(500, "out of memory"), Failed, Failed, 2, "out of memory"},
	{"501", proxytest.Status(501, "not here"), Failed, Failed, 1, "not here"},
	{"400", proxytest.Status(400, "bad ids"), Refused, Refused, 1, "bad ids"},
	{"401", proxytest.Status(401, "wrong key "+aKey), Refused, Refused, 1, "wrong key ***"},
	{"error without JSON", proxytest.Status(502, "<html>\n<b>Bad Gateway</b>"), Failed, Failed, 2, "<html> <b>Bad Gateway</b>"},
	{"error of FastAPI", proxytest.Status(422, `{"detail":[{"loc":["body","prompt",0],"msg":"Field required"}]}`), Refused, Refused, 1, "body.prompt.0: Field required"},
	{"error of FastAPI in a word", proxytest.Status(404, `{"detail":"Not Found"}`), Refused, Refused, 1, "Not Found"},
	{"error of older vLLM", proxytest.Status(400, `{"object":"error","message":"too long","code":400}`), Refused, Refused, 1, "too long"},
	{"redirect", proxytest.Redirect("http://user:pass@other.example/v1/x?key=1"), Refused, Refused, 1, "to http://other.example/v1/x,"},
	{"a page", proxytest.HTML(), Malformed, Malformed, 2, "<title>Welcome</title>"},
	{"wrong type", proxytest.WrongType("application/octet-stream"), Malformed, Malformed, 2, "all is well"},
	{"plain text", proxytest.WrongType("text/plain"), Malformed, Malformed, 2, "all is well"},
	{"encoded", proxytest.Fault{Kind: proxytest.Say, Header: http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {"application/json"}}}, Malformed, Malformed, 2, `"gzip"`},
	{"half JSON", proxytest.Malformed(), Malformed, Malformed, 2, `"choices"`},
	{"reset", proxytest.Broken(proxytest.Reset), Unreachable, Unreachable, 2, "before there was an answer"},
	{"closed", proxytest.Broken(proxytest.Cut), Unreachable, Unreachable, 2, "before there was an answer"},
	{"slow first byte", proxytest.Slow(0), TimedOut, TimedOut, 1, "first byte"},
	{"slow behind headers", proxytest.Fault{Kind: proxytest.Stall, Place: proxytest.AfterHeaders()}, TimedOut, TimedOut, 1, "first byte"},
	{"an answer cut", proxytest.Fault{Kind: proxytest.Cut, Place: proxytest.AfterBytes(5)}, Unreachable, Unreachable, 2, "cut"},
	{"an answer reset", proxytest.Fault{Kind: proxytest.Reset, Place: proxytest.AfterBytes(5)}, Unreachable, Unreachable, 2, "in the middle"},
	{"an answer that stalls", proxytest.Fault{Kind: proxytest.Stall, Place: proxytest.AfterBytes(5)}, TimedOut, TimedOut, 1, "stall"},
}

func TestLastingFaults(t *testing.T) {
	for _, test := range lasting {
		t.Run(test.name, func(t *testing.T) {
			server := proxytest.New(t, http.HandlerFunc(storyteller))
			server.Break(test.fault.Always())
			c := mustClient(t, short(server.URL))
			var out map[string]any
			for _, asked := range []struct {
				what string
				want Fault
				err  func() error
			}{
				{"whole", test.whole, func() error { return c.Post(t.Context(), "/v1/whole", map[string]int{"n": 1}, &out) }},
				{"stream", test.stream, func() error { _, err := drainEvents(c.Stream(t.Context(), "/v1/stream", nil)); return err }},
			} {
				before := len(server.Requests())
				err := asked.err()
				if e := asError(t, err); e.Fault != asked.want {
					t.Errorf("%s: got %v", asked.what, err)
				}
				if !strings.Contains(err.Error(), test.says) {
					t.Errorf("%s: %q does not say %q", asked.what, err, test.says)
				}
				if tries := len(server.Requests()) - before; tries != test.tries {
					t.Errorf("%s: %d tries, want %d", asked.what, tries, test.tries)
				}
			}
			if out != nil {
				t.Errorf("something was decoded: %v", out)
			}
			server.Quiet()
		})
	}
}

func TestFaultsThatPassAreNotSeen(t *testing.T) {
	for _, test := range lasting {
		if test.tries == 1 {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			server := proxytest.New(t, http.HandlerFunc(storyteller))
			c := mustClient(t, short(server.URL))
			server.Break(test.fault)
			var out struct{ Path string }
			if err := c.Get(t.Context(), "/v1/whole", &out); err != nil || out.Path != "/v1/whole" {
				t.Errorf("whole: %+v, %v", out, err)
			}
			server.Break(test.fault)
			if all, err := drainEvents(c.Stream(t.Context(), "/v1/stream", nil)); err != nil || len(all) != 3 {
				t.Errorf("stream: %q, %v", all, err)
			}
			if stats := c.Stats(); stats.Retries < 1 || stats.Requests["ok"] != 2 {
				// The transport itself repeats what a reused connection lost.
				t.Errorf("stats: %+v", stats)
			}
		})
	}
}

func TestConnectionsThatFail(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	endpoint := short(server.URL)
	endpoint.Retries = -1
	c := mustClient(t, endpoint)
	server.Down()
	if e := asError(t, c.Get(t.Context(), "/v1/x", nil)); e.Fault != Unreachable || !e.unsent {
		t.Errorf("down: %v", e)
	}
	server.Hang()
	if e := asError(t, c.Get(t.Context(), "/v1/x", nil)); e.Fault != TimedOut || e.Phase != Connecting || !e.unsent {
		t.Errorf("hanging: %v", e)
	}
	if n := c.Dials(); n != 0 {
		t.Errorf("%d connections counted, and there was none", n)
	}
	server.Up()
	for range 3 {
		if err := c.Get(t.Context(), "/v1/x", nil); err != nil {
			t.Error(err)
		}
	}
	server.Drop(1)
	server.Restart(http.HandlerFunc(storyteller))
	retrying := mustClient(t, short(server.URL))
	if err := retrying.Get(t.Context(), "/v1/x", nil); err != nil {
		t.Errorf("dropped once: %v", err)
	}
	// A reset may come before the kernel has told of the connection.
	if a, b := c.Dials(), retrying.Dials(); a != 1 || b < 1 || b > 2 {
		t.Errorf("%d and %d connections counted, want 1 and at most 2", a, b)
	}
}

func TestAConnectionClosedWhileIdleIsNoFailure(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	endpoint := short(server.URL)
	endpoint.Retries = -1
	c := mustClient(t, endpoint)
	server.Break(proxytest.Stale())
	for range 2 {
		if err := c.Post(t.Context(), "/v1/x", nil, nil); err != nil {
			t.Error(err)
		}
	}
	if c.Dials() != 2 {
		t.Errorf("%d connections, want 2", c.Dials())
	}
}

func TestWholeAnswersAreReadWhole(t *testing.T) {
	for _, test := range []struct{ body, says string }{
		{`{"n":1}` + "\n \n", ""},
		{`{"n":1}{"n":2}`, "after top-level value"},
		{`{"n":1} and more`, "after top-level value"},
		{`{"n":"one"}`, "not the JSON expected"},
		{``, "unexpected end"},
		{`{"n":1` + strings.Repeat(" ", 2000) + `}`, "larger than 1024 bytes"},
	} {
		server := proxytest.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, test.body)
		}))
		endpoint := short(server.URL)
		endpoint.MaxAnswer, endpoint.Retries = 1024, -1
		var out struct{ N int }
		err := mustClient(t, endpoint).Get(t.Context(), "/v1/x", &out)
		if test.says == "" {
			if err != nil || out.N != 1 {
				t.Errorf("%q: %+v, %v", test.body, out, err)
			}
			continue
		}
		if e := asError(t, err); e.Fault != Malformed || !strings.Contains(e.Message, test.says) {
			t.Errorf("%q: %v", test.body, err)
		}
	}
}

func TestAnAnswerThatDripsEnds(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		drip := time.NewTicker(10 * time.Millisecond)
		defer drip.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-drip.C:
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
			}
		}
	}))
	endpoint := short(server.URL)
	endpoint.Timeouts.Stall = 60 * time.Millisecond
	var out any
	err := mustClient(t, endpoint).Get(t.Context(), "/v1/models", &out)
	if e := asError(t, err); e.Fault != TimedOut || e.Phase != Stalling || !strings.Contains(err.Error(), "had no end") {
		t.Errorf("got %v", err)
	}
	server.Quiet()
}

func TestAnEndlessAnswerEnds(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	server.Break(proxytest.Fault{Kind: proxytest.Endless, Times: -1})
	endpoint := short(server.URL)
	endpoint.MaxAnswer = 1 << 20
	c := mustClient(t, endpoint)
	var out any
	if e := asError(t, c.Get(t.Context(), "/v1/x", &out)); e.Fault != Malformed {
		t.Error(e)
	}
	if _, err := drainEvents(c.Stream(t.Context(), "/v1/stream", nil)); asError(t, err).Fault != Malformed {
		t.Error(err)
	}
	server.Quiet()
	if n := len(server.Requests()); n != 2 {
		t.Errorf("%d requests, want 2: asking again would not make it shorter", n)
	}
}

func TestCallersThatLeave(t *testing.T) {
	for _, place := range []proxytest.Fault{proxytest.Slow(0), {Kind: proxytest.Stall, Place: proxytest.AfterBytes(5)}, proxytest.Later(503, "5")} {
		server := proxytest.New(t, http.HandlerFunc(storyteller))
		endpoint := short(server.URL)
		endpoint.Timeouts = Timeouts{}
		c := mustClient(t, endpoint)
		for i, ask := range []func(context.Context) error{
			func(ctx context.Context) error { return c.Get(ctx, "/v1/x", new(any)) },
			func(ctx context.Context) error { _, err := drainEvents(c.Stream(ctx, "/v1/stream", nil)); return err },
		} {
			server.Break(place)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { // ends with the fault
				server.AwaitStruck(i + 1)
				cancel()
			}()
			if err := ask(ctx); !errors.Is(err, context.Canceled) || errors.As(err, new(*Error)) {
				t.Errorf("%v: %v", place.Kind, err)
			}
		}
		server.Break(place)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := c.Get(ctx, "/v1/x", new(any)); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*Error)) {
			t.Errorf("%v: %v", place.Kind, err)
		}
		cancel()
		server.Quiet()
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("requests", func(t *testing.T) {
		server := proxytest.New(t, http.HandlerFunc(storyteller))
		for _, test := range lasting[:len(lasting)-1] {
			server.Break(test.fault)
			c := mustClient(t, short(server.URL))
			_ = c.Get(t.Context(), "/v1/x", new(any))
			server.Mend()
			events, err := c.Stream(t.Context(), "/v1/stream", nil)
			if err != nil {
				t.Error(err)
				continue
			}
			events.Close() // in the middle
			events.Close()
			if _, err := events.Next(); err == nil {
				t.Error("a closed stream goes on")
			}
		}
	})
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		<-time.After(5 * time.Millisecond) // goroutines of closed connections end on their own
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines, before %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}

func TestStatsCountWhatHappened(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	c := mustClient(t, short(server.URL))
	server.Break(proxytest.Status(500, "no"), proxytest.Status(400, "no"))
	_ = c.Get(t.Context(), "/v1/x", nil) // 500, then 400
	if err := c.Get(t.Context(), "/v1/x", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := drainEvents(c.Stream(t.Context(), "/v1/stream", nil)); err != nil {
		t.Fatal(err)
	}
	stats := c.Stats()
	got := fmt.Sprintln(stats.Requests, stats.Retries, stats.Dials, stats.Breaker, stats.Opened, stats.Connect.Count, stats.FirstByte.Count, stats.Body.Count)
	if want := "map[failed:1 ok:2 refused:1] 1 1 closed 0 1 4 4\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if stats.Connect.Seconds <= 0 || stats.FirstByte.Seconds <= 0 || stats.Body.Seconds <= 0 {
		t.Errorf("no time was spent: %+v", stats)
	}
}

// BenchmarkPost is a request for a row of 100 ids on a warm connection.
func BenchmarkPost(b *testing.B) {
	row := map[string]float64{}
	for id := range 100 {
		row[fmt.Sprintf("token_id:%d", id)] = -float64(id)
	}
	answer, err := json.Marshal(map[string]any{"choices": []any{map[string]any{"index": 0, "logprobs": map[string]any{"top_logprobs": []any{row}}}}})
	if err != nil {
		b.Fatal(err)
	}
	server := proxytest.New(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	c := mustClient(b, Endpoint{URL: server.URL})
	in := map[string]any{"prompt": [][]int{make([]int, 200)}}
	b.ReportAllocs()
	for b.Loop() {
		var out json.RawMessage
		if err := c.Post(b.Context(), "/v1/completions", in, &out); err != nil {
			b.Fatal(err)
		}
	}
}
