package vllm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/proxytest"
)

func event(data string) string { return "data: " + data + "\n\n" }

// tokens writes an event with a row for each id, the last of a stream if it says so.
func tokens(finish string, ids ...int) string {
	var names, tops []string
	for _, id := range ids {
		names = append(names, fmt.Sprintf(`"token_id:%d"`, id))
		tops = append(tops, fmt.Sprintf(`{"token_id:%d":-0.5}`, id))
	}
	return event(fmt.Sprintf(`{"choices":[{"index":0,"text":"","logprobs":{"tokens":[%s],"top_logprobs":[%s]},"finish_reason":%s}]}`,
		strings.Join(names, ","), strings.Join(tops, ","), finish))
}

const done = "data: [DONE]\n\n"

func TestStreams(t *testing.T) {
	empty := event(`{"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}]}`)
	spent := event(`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3}}`)
	for name, c := range map[string]struct {
		stream string
		want   []eft.Token // before the end
		fault  proxy.Fault // empty: the stream ends well
		status int
	}{
		"several tokens an event":      {tokens("null", 1, 2) + tokens(`"length"`, 3) + done, []eft.Token{1, 2, 3}, "", 0},
		"empty events and usage":       {empty + tokens("null", 1) + empty + tokens(`"length"`, 2, 3) + spent + done, []eft.Token{1, 2, 3}, "", 0},
		"a stop of the server's":       {tokens("null", 1) + tokens(`"stop"`, 2) + done, []eft.Token{1, 2}, "", 0},
		"the end told behind the last": {tokens("null", 1, 2, 3) + event(`{"choices":[{"index":0,"text":"","finish_reason":"length"}]}`) + done, []eft.Token{1, 2, 3}, "", 0},
		"no reason for the end":        {tokens("null", 1) + done, []eft.Token{1}, proxy.Malformed, 0},
		"nothing at all":               {done, nil, proxy.Malformed, 0},
		"another reason":               {tokens("null", 1) + tokens(`"abort"`) + done, []eft.Token{1}, proxy.Failed, 0},
		"more than asked for":          {tokens("null", 1, 2) + tokens(`"length"`, 3, 4) + done, []eft.Token{1, 2}, proxy.Malformed, 0},
		"tokens behind the end":        {tokens(`"length"`, 1) + tokens(`"length"`, 2) + done, []eft.Token{1}, proxy.Malformed, 0},
		"another choice":               {tokens("null", 1) + strings.Replace(tokens("null", 2), `"index":0`, `"index":1`, 1) + done, []eft.Token{1}, proxy.Malformed, 0},
		"half an event":                {tokens("null", 1) + event(`{"choices":[{"index"`) + done, []eft.Token{1}, proxy.Malformed, 0},
		"a row with an id twice":       {tokens("null", 1) + event(`{"choices":[{"index":0,"logprobs":{"tokens":["token_id:2"],"top_logprobs":[{"token_id:2":-1,"token_id:2":-1}]}}]}`) + done, []eft.Token{1}, proxy.Malformed, 0},
		"cut":                          {tokens("null", 1), []eft.Token{1}, proxy.Unreachable, 0},
		"an error":                     {tokens("null", 1) + event(`{"error":{"message":"no room","type":"BadRequestError","code":400}}`) + done, []eft.Token{1}, proxy.Refused, 400},
		"an error without a code":      {tokens("null", 1) + event(`{"error":"EngineCore died"}`) + done, []eft.Token{1}, proxy.Failed, 0},
		"an error of older servers":    {event(`{"object":"error","message":"busy","type":"x","param":null,"code":503}`) + done, nil, proxy.Overloaded, 503},
		"an error with a code in text": {event(`{"error":{"message":"slow down","code":"429"}}`) + done, nil, proxy.Overloaded, 429},
		"no error":                     {event(`{"error":null,"choices":[]}`) + tokens(`"length"`, 1) + done, []eft.Token{1}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, script := asking(t, shape{k: 1, ask: 1}, 0, func(request) (int, string) { return 200, c.stream })
			got, err := read(t, server.Begin(""), 3)
			fault := (*proxy.Error)(nil)
			if c.fault == "" && err != io.EOF || c.fault != "" && (!errors.As(err, &fault) || fault.Fault != c.fault || fault.Status != c.status) {
				t.Errorf("ended with %v", err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			want := request{Model: "m", Prompt: [][]eft.Token{{7}}, MaxTokens: 3, Logprobs: 1, TokenIDs: true, IgnoreEOS: true, Stream: true}
			if !reflect.DeepEqual(script.requests, []request{want}) {
				t.Errorf("asked %+v", script.requests)
			}
		})
	}
}

// read returns a stream's tokens up to its end or an error. A stream may fail where it
// begins.
func read(t *testing.T, text proxy.Text, limit int) (tokens []eft.Token, err error) {
	t.Helper()
	stream, err := text.Continue(t.Context(), []eft.Token{7}, limit)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for {
		row, token, err := stream.Next()
		if err != nil {
			return tokens, err
		}
		if !reflect.DeepEqual(row, eft.Row{IDs: []eft.Token{token}, LogProbs: []float32{-0.5}, Best: 1}) {
			t.Errorf("token %d with %+v", token, row)
		}
		tokens = append(tokens, token)
	}
}

// TestFaults has every fault of a connection end in a fault's name, never in a row.
func TestFaults(t *testing.T) {
	answers := &script{answer: func(in request) (int, string) {
		if in.Stream {
			return 200, tokens("null", 1) + tokens("null", 2) + tokens(`"length"`, 3) + done
		}
		return 200, whole(row(0, "token_id:1", `{"token_id:1":-0.5}`))
	}}
	for name, c := range map[string]struct {
		fault        proxytest.Fault
		rows, stream proxy.Fault
	}{
		"429":                 {proxytest.Later(429, "1"), proxy.Overloaded, proxy.Overloaded},
		"503":                 {proxytest.Status(503, "busy"), proxy.Overloaded, proxy.Overloaded},
		"500":                 {proxytest.Status(500, "broken"), proxy.Failed, proxy.Failed},
		"a page":              {proxytest.HTML(), proxy.Malformed, proxy.Malformed},
		"another type":        {proxytest.WrongType("application/octet-stream"), proxy.Malformed, proxy.Malformed},
		"half":                {proxytest.Malformed(), proxy.Malformed, proxy.Malformed},
		"reset before it":     {proxytest.Broken(proxytest.Reset), proxy.Unreachable, proxy.Unreachable},
		"cut in the middle":   {proxytest.Fault{Kind: proxytest.Cut, Place: proxytest.AfterBytes(60)}, "", proxy.Unreachable},
		"reset in the middle": {proxytest.Fault{Kind: proxytest.Reset, Place: proxytest.AfterBytes(60)}, "", proxy.Unreachable},
		"ended in the middle": {proxytest.Fault{Kind: proxytest.End, Place: proxytest.AfterBytes(60)}, proxy.Malformed, proxy.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			base := proxytest.New(t, answers)
			server := &Server{client: client(t, base.URL), shape: shape{k: 1, ask: 1}, caps: proxy.Caps{Model: "m"}}
			text := server.Begin("")
			base.Break(c.fault.For(completions).Always())
			rows, err := text.Rows(t.Context(), []eft.Token{7}, nil)
			wantFault(t, "rows", rows, err, c.rows)
			_, err = read(t, text, 3)
			wantFault(t, "stream", nil, err, c.stream)
		})
	}
}

// wantFault wants an error of that fault; empty is any.
func wantFault(t *testing.T, what string, rows []eft.Row, err error, want proxy.Fault) {
	t.Helper()
	var fault *proxy.Error
	if rows != nil || !errors.As(err, &fault) || want != "" && fault.Fault != want {
		t.Errorf("%s: %v, %v, want %q", what, rows, err, want)
	}
}

func TestAClientThatLeavesEndsTheServersWork(t *testing.T) {
	base := proxytest.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, tokens("null", 1))
		w.(http.Flusher).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	server := &Server{client: client(t, base.URL), shape: shape{k: 1, ask: 1}, caps: proxy.Caps{Model: "m"}}
	stream, err := server.Begin("").Continue(t.Context(), []eft.Token{7}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, token, err := stream.Next(); err != nil || token != 1 {
		t.Fatalf("%d, %v", token, err)
	}
	stream.Close()
	base.Quiet()

	ctx, cancel := context.WithCancel(t.Context())
	stream, err = server.Begin("").Continue(ctx, []eft.Token{7}, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	_, _, _ = stream.Next()
	cancel()
	if _, _, err := stream.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	base.Quiet()
}
