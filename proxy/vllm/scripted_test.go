package vllm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// script is a server whose answers a test writes.
type script struct {
	mu       sync.Mutex // guards requests
	requests []request
	models   string
	version  string
	answer   func(request) (int, string)
}

const oneModel = `{"data":[{"id":"m","owned_by":"vllm","root":"/m","parent":null,"max_model_len":64,"created":%d}]}`

func (s *script) start(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == modelsPath && s.models != "":
		_, _ = io.WriteString(w, s.models)
	case r.URL.Path == "/version" && s.version != "":
		_, _ = io.WriteString(w, s.version)
	case r.URL.Path == completions && s.answer != nil:
		var in request
		if json.NewDecoder(r.Body).Decode(&in) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, in)
		s.mu.Unlock()
		status, body := s.answer(in)
		if in.Stream && status == http.StatusOK {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	default:
		http.NotFound(w, r)
	}
}

// asking is a server past its recognition, for requests that answer decides.
func asking(t *testing.T, shape shape, names int, answer func(request) (int, string)) (*Server, *script) {
	t.Helper()
	s := &script{answer: answer}
	return &Server{
		client: client(t, s.start(t)), shape: shape,
		caps: proxy.Caps{Model: "m", Names: names, Isolation: "cache_salt"},
	}, s
}

// row writes one choice's log-probs of one token.
func row(index int, token, top string) string {
	return fmt.Sprintf(`{"index":%d,"text":"x","logprobs":{"tokens":["%s"],"token_logprobs":[-1],"text_offset":[0],"top_logprobs":[%s]},"finish_reason":"length"}`, index, token, top)
}

func whole(choices ...string) string {
	return `{"id":"c","object":"text_completion","choices":[` + strings.Join(choices, ",") + `],"usage":{"prompt_tokens":1}}`
}

func TestAnswersThatAreNotTheProtocolsAreMalformed(t *testing.T) {
	const top = `{"token_id:1":-0.5,"token_id:2":-1.5}`
	fine := row(0, "token_id:1", top)
	for name, answer := range map[string]string{
		"no choices":                     whole(),
		"a choice is missing":            whole(fine),
		"a choice comes twice":           whole(fine, fine),
		"a choice of no prompt":          whole(fine, row(2, "token_id:1", top)),
		"a negative choice":              whole(fine, row(-1, "token_id:1", top)),
		"no index":                       whole(fine, strings.Replace(fine, `"index":0,`, "", 1)),
		"an index that is no number":     whole(fine, strings.Replace(fine, `"index":0`, `"index":"1"`, 1)),
		"no log-probs":                   whole(fine, `{"index":1,"text":"x","logprobs":null}`),
		"no lists of log-probs":          whole(fine, `{"index":1,"text":"x","logprobs":{"tokens":["token_id:1"],"top_logprobs":null}}`),
		"a list of log-probs is null":    whole(fine, row(1, "token_id:1", "null")),
		"fewer lists than tokens":        whole(fine, `{"index":1,"logprobs":{"tokens":["token_id:1"],"top_logprobs":[]}}`),
		"no token":                       whole(fine, `{"index":1,"logprobs":{"tokens":[],"top_logprobs":[]}}`),
		"two tokens":                     whole(fine, `{"index":1,"logprobs":{"tokens":["token_id:1","token_id:1"],"top_logprobs":[`+top+`,`+top+`]}}`),
		"a token in words":               whole(fine, row(1, "token_id:1", `{" the":-0.5,"token_id:2":-1.5}`)),
		"a chosen token in words":        whole(fine, row(1, "the", top)),
		"a negative id":                  whole(fine, row(1, "token_id:1", `{"token_id:-1":-0.5,"token_id:2":-1.5}`)),
		"an id beyond 31 bits":           whole(fine, row(1, "token_id:1", `{"token_id:2147483648":-0.5,"token_id:2":-1.5}`)),
		"an id that is none":             whole(fine, row(1, "token_id:1", `{"token_id:":-0.5,"token_id:2":-1.5}`)),
		"an id twice":                    whole(fine, row(1, "token_id:1", `{"token_id:1":-0.5,"token_id:1":-1.5}`)),
		"fewer entries than asked for":   whole(fine, row(1, "token_id:1", `{"token_id:1":-0.5}`)),
		"a log-prob of null":             whole(fine, row(1, "token_id:1", `{"token_id:1":null,"token_id:2":-1.5}`)),
		"a log-prob in quotes":           whole(fine, row(1, "token_id:1", `{"token_id:1":"-0.5","token_id:2":-1.5}`)),
		"a log-prob beyond all numbers":  whole(fine, row(1, "token_id:1", `{"token_id:1":1e400,"token_id:2":-1.5}`)),
		"log-probs in a list":            whole(fine, row(1, "token_id:1", `[-0.5,-1.5]`)),
		"choices in an object":           `{"choices":{}}`,
		"half an answer":                 whole(fine, row(1, "token_id:1", top))[:200],
		"NaN":                            whole(fine, row(1, "token_id:1", `{"token_id:1":NaN,"token_id:2":-1.5}`)),
		"nothing":                        "",
		"null":                           "null",
		"a page":                         "<html></html>",
		"something else behind one half": whole(fine)[:20] + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := asking(t, shape{k: 2, ask: 2}, 0, func(request) (int, string) { return 200, answer })
			rows, err := server.Begin("").Rows(t.Context(), []eft.Token{7}, []eft.Token{8})
			if fault := (*proxy.Error)(nil); !errors.As(err, &fault) || fault.Fault != proxy.Malformed {
				t.Errorf("got %v, %v", rows, err)
			}
		})
	}
}

func TestRowsAreCanonical(t *testing.T) {
	inf := float32(math.Inf(-1))
	for name, c := range map[string]struct {
		shape shape
		top   string
		want  eft.Row
	}{
		"best first, by id at a tie, without the sampled one": {shape{k: 3, ask: 3},
			`{"token_id:9":-7,"token_id:5":-1.25,"token_id:4":-1.25,"token_id:2":-0.5}`,
			eft.Row{IDs: []eft.Token{2, 4, 5}, LogProbs: []float32{-0.5, -1.25, -1.25}, Best: 3}},
		"nothing listed at minus infinity": {shape{k: 3, ask: 3},
			`{"token_id:2":-0.0,"token_id:5":-9999.0,"token_id:4":-9999}`,
			eft.Row{IDs: []eft.Token{2}, LogProbs: []float32{0}, Best: 1}},
		"the k that are possible": {shape{k: 3, ask: 3, vocabulary: 9, sparse: true},
			`{"token_id:2":-0.5,"token_id:5":-0.9327521}`,
			eft.Row{IDs: []eft.Token{2, 5}, LogProbs: []float32{-0.5, -0.9327521}, Best: 2}},
		"the sampled token and padding, where one is asked for": {shape{k: 1, ask: 1, vocabulary: 9},
			`{"token_id:2":-0.5,"token_id:0":-9999.0}`,
			eft.Row{IDs: []eft.Token{2}, LogProbs: []float32{-0.5}, Best: 1}},
		"small vocabularies have no k": {shape{k: 3, ask: 3, vocabulary: 2},
			`{"token_id:0":-0.5,"token_id:1":-1}`,
			eft.Row{IDs: []eft.Token{0, 1}, LogProbs: []float32{-0.5, -1}, Best: 2}},
		"floats at once": {shape{k: 1, ask: 1}, // 0.1 in single precision, as Python writes it
			`{"token_id:3":-0.10000000149011612}`,
			eft.Row{IDs: []eft.Token{3}, LogProbs: []float32{-0.1}, Best: 1}},
		"whole": {shape{k: 3, ask: -1, vocabulary: 3, dense: true},
			`{"token_id:2":-0.25,"token_id:0":-1.5,"token_id:1":-9999.0}`,
			eft.Row{Scores: []float32{-1.5, inf, -0.25}}},
		"whole but for what is impossible": {shape{k: 3, ask: -1, vocabulary: 3, dense: true, sparse: true},
			`{"token_id:2":-0.0}`,
			eft.Row{Scores: []float32{inf, inf, 0}}},
		"escaped and spaced": {shape{k: 1, ask: 1},
			" { \"\\u0074oken_id:3\" : -5e-1 \n} ",
			eft.Row{IDs: []eft.Token{3}, LogProbs: []float32{-0.5}, Best: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			server, script := asking(t, c.shape, 0, func(request) (int, string) { return 200, whole(row(0, "token_id:9", c.top)) })
			rows, err := server.Begin("").Rows(t.Context(), []eft.Token{7}, nil)
			if err != nil || len(rows) != 1 || !reflect.DeepEqual(rows[0], c.want) {
				t.Errorf("got %+v, %v, want %+v", rows, err, c.want)
			}
			want := request{Model: "m", Prompt: [][]eft.Token{{7}}, MaxTokens: 1, Logprobs: c.shape.ask, TokenIDs: true, IgnoreEOS: true}
			if !reflect.DeepEqual(script.requests, []request{want}) {
				t.Errorf("asked %+v", script.requests)
			}
		})
	}
}

func TestDenseRowsWithHolesThatMatterAreMalformed(t *testing.T) {
	for name, top := range map[string]string{
		"a hole":               `{"token_id:0":-0.5,"token_id:1":-2}`,
		"a hole, sure of one":  `{"token_id:1":-0.00002,"token_id:0":-9999}`,
		"an id beyond the end": `{"token_id:0":-0.5,"token_id:1":-2,"token_id:3":-2}`,
		"an id twice":          `{"token_id:0":-0.5,"token_id:1":-2,"token_id:1":-2}`,
	} {
		server, _ := asking(t, shape{k: 3, ask: -1, vocabulary: 3, dense: true}, 0, func(request) (int, string) { return 200, whole(row(0, "token_id:0", top)) })
		_, err := server.Begin("").Rows(t.Context(), []eft.Token{7}, nil)
		if fault := (*proxy.Error)(nil); !errors.As(err, &fault) || fault.Fault != proxy.Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// echo answers each prompt with log-probs that tell its length, of the names asked for
// or of two tokens.
func echo(in request) (int, string) {
	choices := make([]string, len(in.Prompt))
	for i, prompt := range in.Prompt {
		ids := in.Names
		if ids == nil {
			ids = []eft.Token{1, 2}
		}
		top := []string{`"token_id:900":-0.25`}
		for _, id := range ids {
			top = append(top, fmt.Sprintf(`"token_id:%d":%d.5`, id, -len(prompt)-int(id)))
		}
		choices[len(choices)-1-i] = row(i, "token_id:900", "{"+strings.Join(top, ",")+"}")
	}
	return 200, whole(choices...)
}

func TestLongPathsTakeSeveralRequests(t *testing.T) {
	server, script := asking(t, shape{k: 2, ask: 2}, 0, echo)
	path := make([]eft.Token, 600)
	rows, err := server.Begin("").Rows(t.Context(), []eft.Token{7, 7}, path)
	if err != nil || len(rows) != 601 || len(script.requests) != 3 {
		t.Fatalf("%d rows by %d requests, %v", len(rows), len(script.requests), err)
	}
	for i, row := range rows {
		if want := []float32{-0.25, float32(-(i + 2)) - 1.5}; !reflect.DeepEqual(row.LogProbs, want) {
			t.Fatalf("row %d has %v, want %v", i, row.LogProbs, want)
		}
	}
}

func TestTextsShareAList(t *testing.T) {
	server, script := asking(t, shape{k: 2, ask: 2}, 0, echo)
	asks := []proxy.Ask{{Prefix: []eft.Token{7, 7}, Path: []eft.Token{4, 5}}, {Prefix: []eft.Token{1}}, {Prefix: []eft.Token{2, 3, 4}, Path: []eft.Token{9}}}
	got, err := server.Gather(t.Context(), "", asks)
	if err != nil || len(got) != len(asks) || len(script.requests) != 1 {
		t.Fatalf("%d answers by %d requests, %v", len(got), len(script.requests), err)
	}
	for i, a := range asks {
		if len(got[i]) != len(a.Path)+1 {
			t.Fatalf("ask %d: %d rows", i, len(got[i]))
		}
		for j, row := range got[i] {
			if want := []float32{-0.25, float32(-(len(a.Prefix) + j)) - 1.5}; !reflect.DeepEqual(row.LogProbs, want) {
				t.Errorf("ask %d: row %d has %v, want %v", i, j, row.LogProbs, want)
			}
		}
	}
}

func TestNamesShareRequestsAsFarAsTheServerTakesThem(t *testing.T) {
	server, script := asking(t, shape{k: 2, ask: 2, vocabulary: 1000}, 3, echo)
	prefix, path := []eft.Token{7, 7}, []eft.Token{4, 5, 6, 7, 8}
	names := [][]eft.Token{{1, 2}, {}, {2, 3}, {4}, {2000}, {1, 2, 3}}
	got, err := server.Begin("").Named(t.Context(), prefix, path, names)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]eft.Scored{
		{{ID: 1, LogProb: -3.5}, {ID: 2, LogProb: -4.5}}, nil, {{ID: 2, LogProb: -6.5}, {ID: 3, LogProb: -7.5}},
		{{ID: 4, LogProb: -9.5}}, {{ID: 2000, LogProb: float32(math.Inf(-1))}},
		{{ID: 1, LogProb: -8.5}, {ID: 2, LogProb: -9.5}, {ID: 3, LogProb: -10.5}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var asked []string
	for _, r := range script.requests {
		asked = append(asked, fmt.Sprint(r.Prompt, r.Names, r.Logprobs))
	}
	if want := []string{
		"[[7 7] [7 7 4 5]] [1 2 3] 0",
		"[[7 7 4 5 6]] [4] 0",
		"[[7 7 4 5 6 7 8]] [1 2 3] 0",
	}; !reflect.DeepEqual(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if got, err := server.Begin("").Named(t.Context(), prefix, nil, [][]eft.Token{nil}); err != nil || len(got) != 1 || len(script.requests) != 3 {
		t.Errorf("no names: %v, %v, %d requests", got, err, len(script.requests))
	}
}

func TestANameThatIsNotToldIsMalformed(t *testing.T) {
	server, _ := asking(t, shape{k: 2, ask: 2}, 3, func(request) (int, string) { return 200, whole(row(0, "token_id:1", `{"token_id:1":-1}`)) })
	_, err := server.Begin("").Named(t.Context(), []eft.Token{7}, nil, [][]eft.Token{{1, 2}})
	if fault := (*proxy.Error)(nil); !errors.As(err, &fault) || fault.Fault != proxy.Malformed {
		t.Errorf("got %v", err)
	}
}

func TestTenantsHaveSaltsOfTheirOwn(t *testing.T) {
	server, script := asking(t, shape{k: 2, ask: 2}, 3, echo)
	salt := func(tenant string) *string {
		if _, err := server.Begin(tenant).Rows(t.Context(), []eft.Token{7}, nil); err != nil {
			t.Fatal(err)
		}
		return script.requests[len(script.requests)-1].Salt
	}
	a, again, b := salt("a"), salt("a"), salt("b")
	if a == nil || b == nil || *a != *again || *a == *b || len(*a) != 64 {
		t.Errorf("salts %v, %v, %v", a, again, b)
	}
	if none := salt(""); none != nil {
		t.Errorf("nobody has salt %q", *none)
	}
	server.caps.Isolation = ""
	if none := salt("a"); none != nil {
		t.Errorf("a server without salts gets %q", *none)
	}
}

func TestTokenizersThatAreNotThereAreUnsupported(t *testing.T) {
	server, _ := asking(t, shape{}, 0, echo)
	if _, err := server.Tokenize(t.Context(), "x"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("tokenize: %v", err)
	}
	if _, err := server.Detokenize(t.Context(), nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("detokenize: %v", err)
	}
}
