package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway/openai"
)

// The tests' models read and write bytes: id b is byte b, and id 256 ends a text.
const endID = 256

func byteVocabulary() *eft.Vocabulary {
	pieces := make([][]byte, endID+1)
	for b := range endID {
		pieces[b] = []byte{byte(b)}
	}
	pieces[endID] = []byte("<end>")
	return eft.NewVocabulary(pieces)
}

// speaker is a model that says a text, whatever was asked, and then ends. Its log-prob
// of each next byte is all but 0.
type speaker struct {
	says  string
	open  atomic.Int32
	rows  atomic.Int32
	fail  error
	panic bool
	// hold, if set, is received from before each row but the first.
	hold chan struct{}
}

func (s *speaker) Open(context.Context, string, []eft.Token) (decode.Sequence, error) {
	s.open.Add(1)
	return &speech{speaker: s}, nil
}

type speech struct{ *speaker }

func (s *speech) Close() { s.open.Add(-1) }

func (s *speech) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	if s.panic {
		panic("a bug")
	}
	if s.fail != nil && len(generated) > 2 {
		return nil, s.fail
	}
	if s.hold != nil && len(generated) > 0 {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.rows.Add(1)
	return []eft.Row{s.row(len(generated))}, nil
}

func (s *speaker) row(at int) eft.Row {
	scores := make([]float32, endID+1)
	next := endID
	if at < len(s.says) {
		next = int(s.says[at])
	}
	scores[next] = 12
	return eft.Row{Scores: scores}
}

// shift is a pair whose tuned model wants to say another text.
type shift struct{ tuned, untuned *speaker }

func (p shift) Open(context.Context, string, decode.PairPrompts) (decode.PairSequence, error) {
	return pairSpeech{p}, nil
}

type pairSpeech struct{ shift }

func (p pairSpeech) Close() {}

func (p pairSpeech) Rows(_ context.Context, generated, _ []eft.Token) ([]eft.PairRows, error) {
	p.tuned.rows.Add(1)
	tuned := p.tuned.row(len(generated))
	for i := range tuned.Scores {
		tuned.Scores[i] *= 3 // surer than the base
	}
	return []eft.PairRows{{Tuned: tuned, Untuned: p.untuned.row(len(generated))}}, nil
}

// byteText is the tokenizer of bytes.
type byteText struct{}

func (byteText) Encode(s string, special bool) []eft.Token {
	var ids []eft.Token
	for i := range len(s) {
		ids = append(ids, eft.Token(s[i]))
	}
	return ids
}

func (byteText) Decode(ids []eft.Token) string {
	var b []byte
	for _, id := range ids {
		b = append(b, byteVocabulary().Piece(id)...)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

func (byteText) Stream() TextStream { return &byteStream{} }

type byteStream struct{ held []byte }

func (s *byteStream) Push(id eft.Token) string {
	if id == endID {
		return ""
	}
	if s.held = append(s.held, byte(id)); !utf8.FullRune(s.held) {
		return ""
	}
	return s.Flush()
}

func (s *byteStream) Flush() string {
	out := strings.ToValidUTF8(string(s.held), "\uFFFD")
	s.held = s.held[:0]
	return out
}

// turns renders "role: content\n" and refuses the word forbidden.
type turns struct{ prefix string }

func (t turns) Prompt(_ context.Context, messages []openai.Message) ([]eft.Token, error) {
	text := t.prefix
	for _, m := range messages {
		if m.Content == "forbidden" {
			return nil, errors.New("roles must alternate")
		}
		text += m.Role + ": " + m.Content + "\n"
	}
	return byteText{}.Encode(text, false), nil
}

// plainRoute serves a speaker alone.
func plainRoute(name string, s *speaker) *Route {
	return &Route{
		Name: name, BaseName: "speaker", Base: s, Prompter: turns{}, Text: byteText{}, Vocabulary: byteVocabulary(),
		Ends: []eft.Token{endID}, Context: 500, Bounds: DefaultBounds(), TopLogprobs: 20, CompletionLogprobs: 257, Created: 1,
	}
}

// tunedRoute serves a speaker with an expert named chat that says another text.
func tunedRoute(name, base, tuned string) *Route {
	route := plainRoute(name, &speaker{says: base})
	route.Experts = []Expert{{Name: "chat", Small: shift{&speaker{says: tuned}, &speaker{says: base}}, Tuned: turns{"T "}, Untuned: turns{}, Weight: 1}}
	return route
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// start serves routes on a loopback listener until the test ends.
func start(t testing.TB, c Config) *httptest.Server {
	t.Helper()
	if c.Log == nil {
		c.Log = quiet()
	}
	server := httptest.NewServer(New(c).Handler())
	t.Cleanup(server.Close)
	return server
}

type object = map[string]any

// post sends a body and returns the status and the answer.
func post(t *testing.T, url string, body any, headers ...string) (int, object) {
	t.Helper()
	data, isText := body.(string)
	if !isText {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		data = string(b)
	}
	response, text := raw(t, url, data, headers...)
	var answer object
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&answer); err != nil {
		t.Fatalf("status %d: the answer is no JSON object: %v", response.StatusCode, err)
	}
	return response.StatusCode, answer
}

// get follows a path of objects and list indexes.
func get(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, ok := v.(object)
			if !ok {
				t.Fatalf("%v: no object at %q of %v", v, s, path)
			}
			v = m[s]
		case int:
			l, ok := v.([]any)
			if !ok || s >= len(l) {
				t.Fatalf("%v: no element %d of %v", v, s, path)
			}
			v = l[s]
		}
	}
	return v
}

// streamed sends a body with stream set and returns the events; the last must be
// [DONE].
func streamed(t *testing.T, url string, body object) []object {
	t.Helper()
	body["stream"] = true
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(url, "application/json", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("content type %q: %s", kind, text)
	}
	var events []object
	lines := strings.Split(strings.TrimSuffix(string(text), "\n\n"), "\n\n")
	for i, line := range lines {
		payload, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			t.Fatalf("event %d is %q", i, line)
		}
		if i == len(lines)-1 {
			if payload != "[DONE]" {
				t.Fatalf("the last event is %q", payload)
			}
			break
		}
		var event object
		if err := json.Unmarshal([]byte(payload), &event); err != nil {
			t.Fatalf("event %d: %v: %s", i, err, payload)
		}
		events = append(events, event)
	}
	return events
}

func user(text string) []object { return []object{{"role": "user", "content": text}} }
