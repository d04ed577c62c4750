package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
)

// brokenBase is a failure of a base's server.
type brokenBase struct {
	status int
	delay  time.Duration
}

func (b brokenBase) Error() string             { return "base big: POST http://10.0.0.7: secret cause" }
func (b brokenBase) HTTPStatus() int           { return b.status }
func (b brokenBase) Public() string            { return "the base is unwell" }
func (b brokenBase) RetryDelay() time.Duration { return b.delay }

const chatBody = `{"model":"m","messages":[{"role":"user","content":"Hi"}],"temperature":0`

// send posts a chat request and returns the answer, whatever it is.
func send(t *testing.T, url, body string) (*http.Response, string) {
	t.Helper()
	response, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response, string(text)
}

func TestWhatABaseServerDidIsSaidInOpenAIsWords(t *testing.T) {
	for _, c := range []struct {
		fault      brokenBase
		status     int
		kind, code string
		retry      string
	}{
		{brokenBase{429, 1500 * time.Millisecond}, 429, "rate_limit_error", "rate_limit_exceeded", "2"},
		{brokenBase{503, 0}, 503, "server_error", "service_unavailable", ""},
		{brokenBase{502, 0}, 502, "server_error", "bad_gateway", ""},
		{brokenBase{504, 0}, 504, "server_error", "gateway_timeout", ""},
		{brokenBase{418, 0}, 502, "server_error", "bad_gateway", ""},
	} {
		s, log := &speaker{says: "abcdef", fail: c.fault}, &lockedBuffer{}
		server := start(t, Config{Routes: []*Route{plainRoute("m", s)}, Log: slog.New(slog.NewJSONHandler(log, nil))})
		response, text := send(t, server.URL, chatBody+"}")
		var answer object
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		got := get(t, answer, "error").(object)
		if response.StatusCode != c.status || got["type"] != c.kind || got["code"] != c.code || got["message"] != "the base is unwell" || response.Header.Get("Retry-After") != c.retry {
			t.Errorf("%d: %d %v, Retry-After %q", c.fault.status, response.StatusCode, got, response.Header.Get("Retry-After"))
		}

		// The third token fails: the stream has begun.
		response, text = send(t, server.URL, chatBody+`,"stream":true}`)
		events := strings.Split(strings.TrimSuffix(text, "\n\n"), "\n\n")
		if response.StatusCode != 200 || !strings.HasPrefix(events[len(events)-1], `data: {"error":{"message":"the base is unwell"`) {
			t.Errorf("%d: the stream ends with %q", c.fault.status, events[len(events)-1])
		}
		if strings.Contains(text, "[DONE]") || strings.Contains(text, "secret") {
			t.Errorf("%d: %s", c.fault.status, text)
		}
		eventually(t, "both requests are logged", func() bool { return strings.Count(log.String(), `"msg":"request"`) == 2 })
		checkFailureLog(t, log.String(), c.status)
		if n := s.open.Load(); n != 0 {
			t.Errorf("%d sequences left open", n)
		}
		line := fmt.Sprintf(`graft_base_failures_total{route="m",status="%d"} 2`, c.status)
		if text := metricsOf(t, server.URL); !strings.Contains(text, line) {
			t.Errorf("missing: %s", line)
		}
	}
}

// checkFailureLog wants one warning with the cause for each of two requests.
func checkFailureLog(t *testing.T, log string, status int) {
	t.Helper()
	if strings.Count(log, "secret cause") != 2 || strings.Count(log, `"level":"WARN"`) != 2 || strings.Contains(log, "ERROR") || strings.Contains(log, "goroutine") {
		t.Errorf("log: %s", log)
	}
	if strings.Count(log, fmt.Sprintf(`"status":%d`, status)) != 2 {
		t.Errorf("the requests are not logged with %d: %s", status, log)
	}
}

func metricsOf(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// refusing is a base that opens no text.
type refusing struct{ err error }

func (r refusing) Open(context.Context, string, []eft.Token) (decode.Sequence, error) {
	return nil, r.err
}

func TestABaseThatFailsBeforeTheFirstTokenFailsTheRequest(t *testing.T) {
	route := plainRoute("m", &speaker{says: "abc"})
	route.Base = refusing{brokenBase{503, time.Second}}
	server := start(t, Config{Routes: []*Route{route}})
	response, text := send(t, server.URL, chatBody+`,"stream":true}`)
	if response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" || response.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(text, `{"error":`) {
		t.Errorf("%d %v: %s", response.StatusCode, response.Header, text)
	}
}

// An error event must not leave a deadline behind: the connection is used again.
func TestAFailedStreamLeavesItsConnectionUsable(t *testing.T) {
	failing := &speaker{says: "abcdef", fail: errors.New("broken")}
	server := start(t, Config{Routes: []*Route{plainRoute("m", failing), plainRoute("ok", &speaker{says: "a"})}})
	for range 3 {
		send(t, server.URL, chatBody+`,"stream":true}`)
		if response, text := send(t, server.URL, strings.Replace(chatBody, `"m"`, `"ok"`, 1)+"}"); response.StatusCode != 200 || !strings.Contains(text, `"a"`) {
			t.Errorf("%d %s", response.StatusCode, text)
		}
	}
}
