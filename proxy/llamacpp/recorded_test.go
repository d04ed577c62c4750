package llamacpp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// old reads an exchange with llama-server b1-de3ff81, recorded in 2026 with a random
// model of GPT-2's vocabulary.
func old(t *testing.T, name string, request, response any) {
	t.Helper()
	data, err := os.ReadFile("testdata/b1-de3ff81/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var exchange struct{ Request, Response json.RawMessage }
	if err := json.Unmarshal(data, &exchange); err != nil {
		t.Fatal(err)
	}
	if request != nil {
		if err := json.Unmarshal(exchange.Request, request); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(exchange.Response, response); err != nil {
		t.Fatal(err)
	}
}

// gpt2Rows reads rows for which n log-probs were asked.
func gpt2Rows(n int) rows {
	return rows{vocabulary: 50257, k: n - 4, found: func(format string, args ...any) *proxy.Error {
		return &proxy.Error{Fault: proxy.Malformed, Base: "test", Message: fmt.Sprintf(format, args...)}
	}}
}

func TestAnOlderServersAnswers(t *testing.T) {
	var q heard
	var one, path, open, pinned, end answer
	old(t, "row", nil, &one)
	old(t, "path", &q, &path)
	old(t, "open", nil, &open)
	old(t, "pinned", nil, &pinned)
	old(t, "end", nil, &end)
	alone, err := gpt2Rows(20).along(one, []eft.Token{45640})
	if err != nil || len(alone) != 1 || alone[0].Best != 16 || alone[0].IDs[0] != 45640 {
		t.Fatalf("%v, %v", alone, err)
	}
	forced := []eft.Token{1867, 35682, 803, 25182, 14395, 27863}
	got, err := gpt2Rows(20).along(path, forced)
	if err != nil || len(got) != len(forced) {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	if d := apart(got[0], alone[0]); d > 0.013 { // cold and cached, as measured then
		t.Errorf("the first row of a path is %.3g nats from the row alone", d)
	}
	if got, err := gpt2Rows(20).along(path, append([]eft.Token{1867}, 7, 803)); err != nil || len(got) != 1 {
		t.Errorf("%d rows (%v) believed beside a token that was not asked for", len(got), err)
	}
	if got, err := gpt2Rows(5).pinned(open, 64); err == nil {
		t.Errorf("%d rows of a token without log-probs", len(got))
	}
	if got, err := gpt2Rows(5).pinned(pinned, 64); err != nil || len(got) != 1 {
		t.Errorf("%d rows of a pinned token, %v", len(got), err)
	}
	if got, err := gpt2Rows(3+4).along(end, []eft.Token{50256}); err == nil {
		t.Errorf("%d rows with fewer log-probs than asked for", len(got))
	}
}

func TestAnOlderServersProperties(t *testing.T) {
	a := about{name: "models/rand-gpt2vocab.gguf"}
	var s served
	old(t, "props", nil, &a.props)
	old(t, "models", nil, &s)
	m, err := s.pick("", a.props)
	a.model = m
	if err := a.complete(); err != nil {
		t.Fatal(err)
	}
	if err != nil || a.Slots != 8 || a.Settings.Context != 4096 || a.Build != "b1-de3ff81" || m.ID != a.name || m.Meta.Vocabulary != 50257 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAnOlderServersStream(t *testing.T) {
	stream, err := os.ReadFile("testdata/b1-de3ff81/stream.sse")
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write(stream)
	}))
	defer listener.Close()
	client := newClient(t, once(listener.URL))
	s := &server{client: client, rows: gpt2Rows(5), pool: newPool(1), caps: proxy.Caps{Context: 4096}}
	text := s.Begin("")
	defer text.Close()
	rows, tokens := follow(t, text, slices.Repeat([]eft.Token{1}, 24), 9)
	if len(rows) != 4 || !slices.Equal(tokens[:2], []eft.Token{45640, 43077}) {
		t.Errorf("%d rows, tokens %v", len(rows), tokens)
	}
	for i, row := range rows {
		if row.IDs[0] != tokens[i] {
			t.Errorf("token %d is %d, its row's best is %d", i, tokens[i], row.IDs[0])
		}
	}
}

// exchange is a request to a real server and its answer.
type exchange struct {
	Method, Path string
	Request      string `json:",omitempty"`
	Status       int
	Type         string
	Response     string
}

const recording = "testdata/b1-0c1e570.json"

// TestRecordedServer goes through what a real server of the embedded base answered
// once. GRAFT_LLAMACPP_RECORD=1 asks a real one, and writes down what it says.
func TestRecordedServer(t *testing.T) {
	var handler http.Handler
	if os.Getenv("GRAFT_LLAMACPP_RECORD") != "" {
		r := &recorder{url: realURL(t)}
		defer r.write(t)
		handler = r
	} else {
		handler = replay(t)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	s := recognise(t, once(server.URL), proxy.Want{TopLogprobs: 3, Vocabulary: demoVocabulary(t)})
	if c := s.Caps(); c.Model != "base.gguf" || c.Context != 2048 || c.VocabSize != 1024 || c.Scoring != proxy.ScoringGrammar ||
		!c.Stream || !c.Batch || c.PrefixCache != "yes" || len(c.Notes) != 0 {
		t.Errorf("%+v", c)
	}
	if id, err := s.Identify(t.Context()); err != nil || id != s.Caps().Identity {
		t.Errorf("identity %s, %v", id, err)
	}
	text := s.Begin("")
	defer text.Close()
	for _, want := range truths(t)[:6] {
		row := ask(t, text, want.Prefix)[0]
		if d := beyond(row, eft.Row{IDs: want.IDs, LogProbs: want.LogProbs, Best: 20}); row.Best != 3 || d > epsilon {
			t.Errorf("a row is %.3g nats from PyTorch's", d)
		}
	}
	prefix := truths(t)[2].Prefix
	openTwice, end := []eft.Token{36, 161, 225, 37}, []eft.Token{36, 2, 37}
	for _, path := range [][]eft.Token{openTwice, end} {
		for i, row := range ask(t, text, prefix, path...) {
			if d := apart(row, ask(t, text, slices.Concat(prefix, path[:i]))[0]); d > epsilon {
				t.Errorf("row %d along %v is %.3g nats from the one behind its prefix", i, path, d)
			}
		}
	}
	rows, tokens := follow(t, text, prefix, 4)
	if len(tokens) != 4 || rows[0].IDs[0] != tokens[0] {
		t.Errorf("a continuation of %v", tokens)
	}
	if ids, err := s.Tokenize(t.Context(), "é <|im_end|>"); err != nil || len(ids) == 0 || ids[len(ids)-1] != 2 {
		t.Errorf("%v, %v", ids, err)
	}
}

type recorder struct {
	url string
	mu  sync.Mutex
	all []exchange
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	out, err := http.NewRequestWithContext(request.Context(), request.Method, r.url+request.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	out.Close = true
	response, err := http.DefaultClient.Do(out)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(response.Body)
	kind := response.Header.Get("Content-Type")
	r.mu.Lock()
	r.all = append(r.all, exchange{request.Method, request.URL.RequestURI(), string(body), response.StatusCode, kind, string(said)})
	r.mu.Unlock()
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(response.StatusCode)
	w.Write(said)
}

func (r *recorder) write(t *testing.T) {
	data, err := json.MarshalIndent(r.all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recording, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replay answers each request as it was answered, in turn where it was asked twice.
func replay(t *testing.T) http.Handler {
	data, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		i := slices.IndexFunc(all, func(e exchange) bool {
			return e.Method == r.Method && e.Path == r.URL.RequestURI() && e.Request == string(body)
		})
		if i < 0 {
			t.Errorf("%s %s was never asked: %s", r.Method, r.URL, body)
			http.Error(w, "not recorded", http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", all[i].Type)
		w.WriteHeader(all[i].Status)
		io.WriteString(w, all[i].Response)
		all = slices.Delete(all, i, i+1)
	})
}
