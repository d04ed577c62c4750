package proxytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// story answers a stream of three events and [DONE] at /stream, and JSON elsewhere.
func story(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/stream" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"text":"Once upon a time"}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, data := range []string{"one", "two", "three", "[DONE]"} {
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

// got is what a client saw of an answer.
type got struct {
	status int
	body   string
	err    error
}

func ask(t *testing.T, client *http.Client, url string) got {
	t.Helper()
	response, err := client.Post(url, "application/json", strings.NewReader(`{}`))
	if err != nil {
		return got{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return got{response.StatusCode, string(body), err}
}

func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestFaultsStrikeOnceAtTheirPlace(t *testing.T) {
	const whole = "data: one\n\ndata: two\n\ndata: three\n\ndata: [DONE]\n\n"
	const text = `{"text":"Once upon a time"}`
	for _, test := range []struct {
		name, path string
		fault      Fault
		status     int
		body       string
		err        error // nil: the body ended as if whole
	}{
		{"status", "/", Status(500, "out of memory"), 500, `{"error":{"message":"out of memory","type":"server_error","param":null,"code":null}}`, nil},
		{"later", "/", Later(429, "7"), 429, `{"error":{"message":"come back later","type":"server_error","param":null,"code":null}}`, nil},
		{"malformed", "/", Malformed(), 200, `{"id":"cmpl-1","choices":[{"index":0,`, nil},
		{"redirect", "/", Redirect("http://192.0.2.1/"), 307, "<a href=\"elsewhere\">Temporary Redirect</a>\n", nil},
		{"wrong type", "/", WrongType("text/plain"), 200, "all is well\n", nil},
		{"slow", "/", Slow(time.Millisecond), 200, text, nil},
		{"reset for an answer", "/", Broken(Reset), 0, "", syscall.ECONNRESET},
		{"cut for an answer", "/", Broken(Cut), 0, "", io.EOF},
		{"reset behind headers", "/", Fault{Kind: Reset, Place: AfterHeaders()}, 200, "", syscall.ECONNRESET},
		{"reset behind bytes", "/", Fault{Kind: Reset, Place: AfterBytes(4)}, 200, text[:4], syscall.ECONNRESET},
		{"reset behind events", "/stream", Fault{Kind: Reset, Place: AfterEvents(2)}, 200, whole[:22], syscall.ECONNRESET},
		{"cut behind bytes", "/", Fault{Kind: Cut, Place: AfterBytes(4)}, 200, text[:4], io.ErrUnexpectedEOF},
		{"cut within an event", "/stream", Fault{Kind: Cut, Place: AfterBytes(15)}, 200, whole[:15], io.ErrUnexpectedEOF},
		{"end behind bytes", "/", Fault{Kind: End, Place: AfterBytes(4)}, 200, text[:4], nil},
		{"end behind events", "/stream", Fault{Kind: End, Place: AfterEvents(1)}, 200, whole[:11], nil},
		{"say behind events", "/stream", Fault{Kind: Say, Place: AfterEvents(1), Body: "data: {\n\n"}, 200, whole[:11] + "data: {\n\n", nil},
		{"insert behind events", "/stream", Fault{Kind: Insert, Place: AfterEvents(1), Body: ": hm\n\n"}, 200, whole[:11] + ": hm\n\n" + whole[11:], nil},
		{"insert at the start", "/stream", Fault{Kind: Insert, Body: "\ufeff"}, 200, "\ufeff" + whole, nil},
		{"stall for a while", "/stream", Fault{Kind: Stall, Place: AfterEvents(1), Wait: time.Millisecond}, 200, whole, nil},
		{"beyond the answer", "/", Fault{Kind: Cut, Place: AfterBytes(1000)}, 200, text, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := New(t, http.HandlerFunc(story))
			server.Break(test.fault)
			client := newClient(t)
			had := ask(t, client, server.URL+test.path)
			if had.status != test.status || had.body != test.body || !errors.Is(had.err, test.err) {
				t.Errorf("got %d %q, %v; want %d %q, %v", had.status, had.body, had.err, test.status, test.body, test.err)
			}
			want := 1
			if test.name == "beyond the answer" {
				want = 0
			}
			if server.Struck() != want {
				t.Errorf("struck %d times, want %d", server.Struck(), want)
			}
			if again := ask(t, client, server.URL+"/"); again.status != 200 || again.body != text || again.err != nil {
				t.Errorf("the request behind it: %+v", again)
			}
			server.Quiet()
		})
	}
}

func TestFaultsPickRequests(t *testing.T) {
	server := New(t, http.HandlerFunc(story))
	server.Break(Fault{Kind: Say, Status: 503, Match: Path("/b"), Skip: 1, Times: 2}, Status(400, "no").For("/c").Always())
	var statuses []int
	for _, path := range []string{"/a", "/b", "/b", "/a", "/b", "/b", "/c", "/c"} {
		statuses = append(statuses, ask(t, newClient(t), server.URL+path).status)
	}
	if want := []int{200, 200, 503, 200, 503, 200, 400, 400}; fmt.Sprint(statuses) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", statuses, want)
	}
	server.Mend()
	if had := ask(t, newClient(t), server.URL+"/c"); had.status != 200 {
		t.Errorf("mended, /c answers %d", had.status)
	}
	if asked := server.Requests(); len(asked) != 9 || asked[1].Path != "/b" || string(asked[1].Body) != "{}" {
		t.Errorf("recorded %d requests, the second %+v", len(asked), asked[1])
	}
}

func TestAStallEndsWithTheClient(t *testing.T) {
	server := New(t, http.HandlerFunc(story))
	for i, fault := range []Fault{Slow(0), {Kind: Stall, Place: AfterEvents(1)}, {Kind: Endless, Place: AfterEvents(1), Body: ": more\n\n"}} {
		server.Break(fault)
		ctx, cancel := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { // ends with the fault
			server.AwaitStruck(i + 1)
			cancel()
		}()
		if response, err := newClient(t).Do(request); err == nil {
			if _, err = io.Copy(io.Discard, response.Body); !errors.Is(err, context.Canceled) {
				t.Errorf("%+v: %v", fault, err)
			}
			response.Body.Close()
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("%+v: %v", fault, err)
		}
		server.Quiet()
	}
}

func TestConnectionsFail(t *testing.T) {
	server := New(t, http.HandlerFunc(story))
	client := newClient(t)
	if had := ask(t, client, server.URL); had.err != nil {
		t.Fatal(had.err)
	}
	server.Down()
	if had := ask(t, newClient(t), server.URL); !errors.Is(had.err, syscall.ECONNREFUSED) {
		t.Errorf("down: %v", had.err)
	}
	server.Hang()
	var late net.Error
	if had := ask(t, newClient(t), server.URL); !errors.As(had.err, &late) || !late.Timeout() {
		t.Errorf("hanging: %v", had.err)
	}
	server.Up()
	server.Drop(1)
	if had := ask(t, newClient(t), server.URL); !errors.Is(had.err, syscall.ECONNRESET) && !errors.Is(had.err, io.EOF) && !errors.Is(had.err, syscall.EPIPE) {
		t.Errorf("dropped: %v", had.err)
	}
	server.Restart(http.NotFoundHandler())
	if had := ask(t, client, server.URL); had.status != 404 {
		t.Errorf("restarted: %+v", had)
	}
	if n := server.Connections(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestAReusedConnectionIsClosed(t *testing.T) {
	server := New(t, http.HandlerFunc(story))
	server.Break(Stale())
	client := newClient(t)
	if had := ask(t, client, server.URL); had.status != 200 {
		t.Fatalf("first: %+v", had)
	}
	if had := ask(t, client, server.URL); had.err == nil {
		t.Errorf("second: %+v", had)
	}
	if asked := server.Requests(); asked[0].Reused || !asked[1].Reused || asked[0].Connection != asked[1].Connection {
		t.Errorf("connections: %+v", asked)
	}
}

func TestItStandsBeforeAnotherServer(t *testing.T) {
	real := New(t, http.HandlerFunc(story))
	server := Before(t, real.URL)
	server.Break(Fault{Kind: Cut, Place: AfterEvents(2)})
	if had := ask(t, newClient(t), server.URL+"/stream"); had.body != "data: one\n\ndata: two\n\n" || !errors.Is(had.err, io.ErrUnexpectedEOF) {
		t.Errorf("broken: %+v", had)
	}
	if had := ask(t, newClient(t), server.URL+"/stream"); !strings.HasSuffix(had.body, "[DONE]\n\n") || had.err != nil {
		t.Errorf("whole: %+v", had)
	}
	real.Quiet()
}
