package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/proxy/proxytest"
)

// gatewayTo forwards to a base, as the gateway does. Errors are sent by their own words.
func gatewayTo(t *testing.T, c *Client) *httptest.Server {
	t.Helper()
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if err := c.Forward(w, r, body); err != nil {
			var e *Error
			if errors.As(err, &e) {
				http.Error(w, string(e.Fault), e.HTTPStatus())
			}
		}
	}))
	gateway.Config.ErrorLog = nil
	t.Cleanup(gateway.Close)
	return gateway
}

func forwarded200(t *testing.T, request *http.Request) (*http.Response, string, error) {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func post(t *testing.T, url, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func TestForwardTellsTheServerOnlyWhatItMayKnow(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	gateway := gatewayTo(t, mustClient(t, short(server.URL+"/some/v1")))
	request := post(t, gateway.URL+"/v1/chat/completions?api_key=secret", `{"model":"x"}`)
	request.Header = http.Header{
		"Accept": {"text/event-stream"}, "Content-Type": {"application/json"}, "Accept-Encoding": {"br"}, "User-Agent": {"curl/8"},
		"Traceparent": {"00-1-2-3"}, "Tracestate": {"a=b"}, "X-Request-Id": {"r1"},
		"Authorization": {"Bearer client"}, "Cookie": {"a=b"}, "Api-Key": {"client"}, "X-Api-Key": {"client"}, "Proxy-Authorization": {"client"},
		"X-Forwarded-For": {"10.0.0.1"}, "Forwarded": {"for=10.0.0.1"}, "X-Real-Ip": {"10.0.0.1"}, "X-Tuning-Strength": {"1"},
		"Te": {"trailers"}, "Trailer": {"X-T"}, "Keep-Alive": {"5"}, "Upgrade": {"websocket"}, "Connection": {"Upgrade, X-Request-Id"}, "Origin": {"http://page"},
	}
	response, body, err := forwarded200(t, request)
	if err != nil || response.StatusCode != 200 || !strings.Contains(body, `"path":"/some/v1/chat/completions"`) {
		t.Fatalf("%v %q %v", response, body, err)
	}
	asked := server.Requests()[0]
	want := map[string]string{
		"Accept": "text/event-stream", "Content-Type": "application/json", "Accept-Encoding": "br", "User-Agent": "curl/8",
		"Traceparent": "00-1-2-3", "Tracestate": "a=b", "Authorization": "Bearer " + aKey, "Content-Length": "13",
	}
	got := map[string]string{}
	for name, values := range asked.Header {
		got[name] = strings.Join(values, ", ")
	}
	if !maps.Equal(got, want) {
		t.Errorf("the server got\n%v, want\n%v", got, want)
	}
	if asked.Query != "" || string(asked.Body) != `{"model":"x"}` || asked.Method != "POST" {
		t.Errorf("the server got %+v", asked)
	}
}

func TestForwardPassesAnswersOnAsTheyAre(t *testing.T) {
	const text = `{"error": {"message": "kept as it is"}}`
	for _, status := range []int{200, 201, 204, 400, 401, 404, 422, 429, 500, 502, 503} {
		server := proxytest.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Set-Cookie"] = []string{"a=b"}
			for name, value := range map[string]string{
				"Content-Type": "application/problem+json", "Retry-After": "7", "X-Request-Id": "r2", "Openai-Processing-Ms": "5",
				"Access-Control-Allow-Origin": "*", "Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5", "Strict-Transport-Security": "max-age=1", "Trailer": "X-T",
			} {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			if status != 204 {
				fmt.Fprint(w, text)
				w.Header().Set("X-T", "late")
				w.Header().Set(http.TrailerPrefix+"Set-Cookie", "late")
			}
		}))
		endpoint := short(server.URL)
		endpoint.Breaker = Breaker{}
		c := mustClient(t, endpoint)
		response, body, err := forwarded200(t, post(t, gatewayTo(t, c).URL+"/v1/completions", "{}"))
		want := text
		if status == 204 {
			want = ""
		}
		if err != nil || response.StatusCode != status || body != want {
			t.Errorf("%d: got %v %q, %v", status, response, body, err)
			continue
		}
		response.Header.Del("Date")
		response.Header.Del("Content-Length")
		names := slices.Sorted(maps.Keys(response.Header))
		if fmt.Sprint(names) != "[Content-Type Openai-Processing-Ms Retry-After]" || len(response.Trailer) != 0 {
			t.Errorf("%d: headers %v, trailers %v", status, response.Header, response.Trailer)
		}
		if n := len(server.Requests()); n != 1 {
			t.Errorf("%d: sent %d times", status, n)
		}
	}
}

func TestForwardStreamsAtOnce(t *testing.T) {
	next := make(chan struct{})
	server := proxytest.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	}))
	response, err := http.DefaultClient.Do(post(t, gatewayTo(t, mustClient(t, Endpoint{Name: "big", URL: server.URL})).URL+"/v1/completions", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for i := range 3 {
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Errorf("got %q, %v", line, err)
		}
		if _, err := lines.ReadString('\n'); err != nil {
			t.Error(err)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil {
		t.Errorf("behind the end: %q, %v", rest, err)
	}
}

func TestForwardBreaksOffWhatBrokeOff(t *testing.T) {
	for _, kind := range []proxytest.Kind{proxytest.Stall, proxytest.Reset, proxytest.Cut} {
		for _, path := range []string{"/v1/stream", "/v1/whole"} {
			server := proxytest.New(t, http.HandlerFunc(storyteller))
			server.Break(proxytest.Fault{Kind: kind, Place: proxytest.AfterBytes(12)})
			c := mustClient(t, short(server.URL))
			response, body, err := forwarded200(t, post(t, gatewayTo(t, c).URL+path, "{}"))
			if response == nil || response.StatusCode != 200 || len(body) != 12 || err == nil {
				t.Errorf("kind %d, %s: %v %q, %v", kind, path, response, body, err)
			}
			recorder := httptest.NewRecorder()
			server.Break(proxytest.Fault{Kind: kind, Place: proxytest.AfterBytes(12)})
			func() {
				defer func() {
					if v := recover(); v != http.ErrAbortHandler {
						t.Errorf("kind %d, %s: it panics with %v", kind, path, v)
					}
				}()
				err := c.Forward(recorder, httptest.NewRequest(http.MethodPost, path, nil), []byte("{}"))
				t.Errorf("kind %d, %s: it returned %v", kind, path, err)
			}()
			server.Quiet()
		}
	}
}

func TestForwardFailsBeforeItWrites(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault proxytest.Fault
		want  Fault
	}{
		{"reset", proxytest.Broken(proxytest.Reset), Unreachable},
		{"closed", proxytest.Broken(proxytest.Cut), Unreachable},
		{"reset behind the headers", proxytest.Fault{Kind: proxytest.Reset, Place: proxytest.AfterHeaders()}, Unreachable},
		{"slow first byte", proxytest.Slow(0), TimedOut},
		{"slow behind the headers", proxytest.Fault{Kind: proxytest.Stall, Place: proxytest.AfterHeaders()}, TimedOut},
		{"redirect", proxytest.Redirect("http://other.example/"), Refused},
		{"other protocol", proxytest.Fault{Kind: proxytest.Say, Status: 101, Header: http.Header{"Upgrade": {"x"}, "Connection": {"Upgrade"}}}, Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := proxytest.New(t, http.HandlerFunc(storyteller))
			server.Break(test.fault.Always())
			w := httptest.NewRecorder()
			err := mustClient(t, short(server.URL)).Forward(w, httptest.NewRequest(http.MethodPost, "/v1/stream", nil), []byte("{}"))
			if e := asError(t, err); e.Fault != test.want {
				t.Errorf("got %v", e)
			}
			if w.Body.Len() != 0 || len(w.Header()) != 0 || w.Flushed {
				t.Errorf("something was written: %+v", w)
			}
			if n := len(server.Requests()); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

func TestForwardAgainOnlyWhatWasNotSent(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	endpoint := short(server.URL)
	endpoint.Retries = 5
	c := mustClient(t, endpoint)
	server.Down()
	up := time.AfterFunc(150*time.Millisecond, server.Up)
	defer up.Stop()
	w := httptest.NewRecorder()
	if err := c.Forward(w, httptest.NewRequest(http.MethodPost, "/v1/whole", nil), []byte("{}")); err != nil || w.Code != 200 {
		t.Errorf("%d, %v", w.Code, err)
	}
	if n := len(server.Requests()); n != 1 || c.Stats().Retries == 0 {
		t.Errorf("sent %d times: %+v", n, c.Stats())
	}
	server.Break(proxytest.Stale())
	if err := c.Forward(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/whole", nil), []byte("{}")); asError(t, err).Fault != Unreachable {
		t.Errorf("a connection that was closed: %v", err)
	}
	if n := len(server.Requests()); n != 2 {
		t.Errorf("sent %d times", n)
	}
}

func TestForwardStopsWithItsClient(t *testing.T) {
	for _, fault := range []proxytest.Fault{proxytest.Slow(0), {Kind: proxytest.Stall, Place: proxytest.AfterEvents(1)}, {Kind: proxytest.Endless, Place: proxytest.AfterEvents(1), Body: "data: more\n\n"}} {
		server := proxytest.New(t, http.HandlerFunc(storyteller))
		server.Break(fault)
		gateway := gatewayTo(t, mustClient(t, Endpoint{Name: "big", URL: server.URL}))
		ctx, cancel := context.WithCancel(t.Context())
		go func() { // ends with the fault
			server.AwaitStruck(1)
			cancel()
		}()
		if _, _, err := forwarded200(t, post(t, gateway.URL+"/v1/stream", "{}").WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("kind %d: %v", fault.Kind, err)
		}
		server.Quiet()
	}
}

func TestForwardFeedsTheBreaker(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	server.Break(proxytest.Status(500, "no").Always())
	c := mustClient(t, Endpoint{Name: "big", URL: server.URL, Breaker: Breaker{Failures: 3, Pause: time.Hour}})
	forward := func() (int, error) {
		w := httptest.NewRecorder()
		err := c.Forward(w, httptest.NewRequest(http.MethodPost, "/v1/x", nil), []byte("{}"))
		return w.Code, err
	}
	for range 3 {
		if code, err := forward(); code != 500 || err != nil {
			t.Errorf("%d, %v", code, err)
		}
	}
	_, err := forward()
	if e := asError(t, err); e.Fault != Open || e.RetryAfter < 59*time.Minute {
		t.Errorf("%v, again in %v", e, e.RetryAfter)
	}
}

func TestForwardRefusesCrookedPaths(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	c := mustClient(t, short(server.URL))
	for _, path := range []string{"/v1/../admin", "/v1//x", "/v1/%2e%2e/admin", "/v1/./x", "/v1/x/"} {
		if err := c.Forward(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil), nil); asError(t, err).Fault != Refused {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n := len(server.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}
