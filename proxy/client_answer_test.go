package proxy

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestErrorsAreUnderstood(t *testing.T) {
	for _, test := range []struct {
		body, message string
		code          int
		ok, refusal   bool // as a part of any answer, as an answer known to be an error
	}{
		{`{"error":{"message":"m","type":"t","param":null,"code":null}}`, "m", 0, true, true},
		{`{"error":{"code":400,"message":"m","type":"invalid_request_error"}}`, "m", 400, true, true},
		{`{"error":{"message":"m","type":"BadRequestError","code":"404"}}`, "m", 404, true, true},
		{`{"error":{"message":"m","code":"rate_limit_exceeded"}}`, "m", 429, true, true},
		{`{"error":{"message":"m","type":"invalid_request_error"}}`, "m", 400, true, true},
		{`{"error":{"reason":"r"}}`, `{"reason":"r"}`, 0, true, true},
		{`{"error":"m","code":503}`, "m", 503, true, true},
		{`{"error":["m"]}`, `["m"]`, 0, true, true},
		{`{"object":"error","message":"m","code":400}`, "m", 400, true, true},
		{`{"detail":"m"}`, "m", 0, false, true},
		{`{"detail":[{"loc":["body","n"],"msg":"a"},{"loc":[],"msg":"b"}]}`, "body.n: a; : b", 0, false, true},
		{`{"detail":{"x":1}}`, `{"x":1}`, 0, false, true},
		{`{"message":"m"}`, "m", 0, false, true},
		{`{"error":null,"message":""}`, "", 0, false, false},
		{`{"error":{},"choices":[]}`, "", 0, false, false},
		{`{"error":false}`, "", 0, false, false},
		{`{"choices":[]}`, "", 0, false, false},
		{`"error"`, "", 0, false, false},
		{`[]`, "", 0, false, false},
		{`{"error":"m"`, "", 0, false, false},
		{``, "", 0, false, false},
	} {
		message, code, ok := parseError([]byte(test.body))
		if ok != test.ok || ok && (message != test.message || code != test.code) {
			t.Errorf("%s: got %q, %d, %v", test.body, message, code, ok)
		}
		if message, ok := parseRefusal([]byte(test.body)); ok != test.refusal || ok && message != test.message {
			t.Errorf("%s: as a refusal %q, %v", test.body, message, ok)
		}
	}
}

func FuzzErrors(f *testing.F) {
	for _, seed := range []string{`{"error":{"message":"m","code":"429"}}`, `{"detail":[{"loc":["a",1],"msg":"b"}]}`, `{"object":"error","message":{}}`, "<html>\x00\xff", strings.Repeat("é", 200)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		message, ok := parseRefusal(body)
		if _, _, said := parseError(body); said && !ok {
			t.Error("an error that is no refusal")
		}
		for _, shown := range []string{clip([]byte(message)), clip(body), around(body, len(body)/2)} {
			if len(shown) > 3*maxClip+20 || strings.ContainsAny(shown, "\r\n\x00") || !utf8.ValidString(shown) || shown == "" {
				t.Errorf("%q is unfit for a log", shown)
			}
		}
	})
}

func TestRetryAfterIsUnderstood(t *testing.T) {
	const date = "Mon, 02 Nov 2026 10:00:00 GMT"
	for _, test := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0}, {"5", "", 5 * time.Second}, {" 5 ", "", 5 * time.Second}, {"0", "", 0}, {"-1", "", 0}, {"1.5", "", 0}, {"soon", "", 0},
		{"99999999999999999999", "", 0},
		{"Mon, 02 Nov 2026 10:00:30 GMT", date, 30 * time.Second},
		{"Monday, 02-Nov-26 10:00:30 GMT", date, 30 * time.Second},
		{"Mon Nov  2 10:00:30 2026", date, 30 * time.Second},
		{"Mon, 02 Nov 2026 09:00:00 GMT", date, 0},
	} {
		if got := retryAfter(http.Header{"Retry-After": {test.value}, "Date": {test.date}}); got != test.want {
			t.Errorf("%q: got %v, want %v", test.value, got, test.want)
		}
	}
}
