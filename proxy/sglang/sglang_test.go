package sglang

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/dialecttest"
	"github.com/graft-gateway/graft/proxy/sglang/sglangtest"
)

const vocabulary = 40

// tiny is a model of hashed logits.
func tiny(prefix []eft.Token) []float32 {
	logits := dialecttest.Hashed(prefix, vocabulary)
	for i := vocabulary - 3; i < vocabulary; i++ {
		logits[i] -= 4 // padding is never a model's best, but may be among them
	}
	return logits
}

// truth is the row behind a prefix.
func truth(prefix []eft.Token) []float64 { return dialecttest.Truth(tiny(prefix)) }

func best(row []float64) eft.Token { return dialecttest.Ranked(row, 1)[0] }

func pieces() [][]byte {
	p := make([][]byte, vocabulary-3) // the model is padded by three ids
	for i := range p {
		p[i] = fmt.Appendf(nil, "<%d>", i)
	}
	return p
}

func start(t *testing.T, options sglangtest.Options) (*sglangtest.Server, *proxy.Client) {
	t.Helper()
	s := sglangtest.New(tiny, options)
	return s, dialecttest.Serve(t, s)
}

func recognise(t *testing.T, client *proxy.Client, k int) proxy.Server {
	t.Helper()
	s, err := Dialect{}.Recognise(t.Context(), client, proxy.Want{TopLogprobs: k, Vocabulary: eft.NewVocabulary(pieces())})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check compares a row with the truth: the k best of the model, without its padding.
func check(t *testing.T, row eft.Row, prefix []eft.Token, k int) {
	t.Helper()
	want := truth(prefix)
	if row.Dense() {
		if len(row.Scores) != vocabulary-3 {
			t.Fatalf("%d scores", len(row.Scores))
		}
		for id, score := range row.Scores {
			if math.Abs(float64(score)-want[id]) > 1e-5 {
				t.Fatalf("behind %v: id %d has %v, want %v", prefix, id, score, want[id])
			}
		}
		return
	}
	ids := slices.DeleteFunc(dialecttest.Ranked(want, k), func(id eft.Token) bool { return id >= vocabulary-3 })
	if !slices.Equal(row.IDs, ids) || row.Best != len(ids) {
		t.Fatalf("behind %v: ids %v, want %v", prefix, row.IDs, ids)
	}
	for i, id := range row.IDs {
		if math.Abs(float64(row.LogProbs[i])-want[id]) > 1e-5 {
			t.Fatalf("behind %v: id %d has %v, want %v", prefix, id, row.LogProbs[i], want[id])
		}
	}
}

func TestCapsTellWhatTheServerDoes(t *testing.T) {
	_, client := start(t, sglangtest.Options{Name: "llama", Weights: "7"})
	got := recognise(t, client, 0).Caps()
	want := proxy.Caps{
		Dialect: "sglang", Version: "0.5.23", Model: "llama", Context: 2042, VocabSize: vocabulary,
		Identity:    `sglang:/models/llama|/models/llama|"7"||"auto"||"auto"`,
		TopLogprobs: vocabulary, TopLogprobsCap: -1, Names: maxNames, Tokens: proxy.TokenIDs, Batch: true,
		Scoring: proxy.ScoringPass, Stream: true, PrefixCache: "yes", Isolation: "extra_key",
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("caps\n%+v, want\n%+v", got, want)
	}
}

func TestCapsByServer(t *testing.T) {
	for _, test := range []struct {
		name    string
		options sglangtest.Options
		has     func(proxy.Caps) bool
		note    string
	}{
		{"log-probs of answers only", sglangtest.Options{OutputOnly: true}, func(c proxy.Caps) bool { return c.Scoring == proxy.ScoringList && c.Names == 0 }, "one pass"},
		{"one logprob_start_len for all texts", sglangtest.Options{OneStart: true}, func(c proxy.Caps) bool { return c.Scoring == proxy.ScoringPass && !c.Batch }, "a request each"},
		{"no cache", sglangtest.Options{NoCache: true}, func(c proxy.Caps) bool { return c.PrefixCache == "no" }, "--disable-radix-cache"},
		{"one cache for all", sglangtest.Options{Shared: true}, func(c proxy.Caps) bool { return c.PrefixCache == "yes" && c.Isolation == "" }, "apart"},
		{"old names of routes", sglangtest.Options{OldNames: true}, func(c proxy.Caps) bool { return c.Version == "0.5.23" }, ""},
		{"a version that is not asked for its vocabulary", sglangtest.Options{Version: "0.4.9"}, func(c proxy.Caps) bool { return c.VocabSize == 0 && c.TopLogprobs == vocabulary-3 }, ""},
		{"short context", sglangtest.Options{Context: 30}, func(c proxy.Caps) bool { return c.Context == 24 }, ""},
		{"defaults that are overridden", sglangtest.Options{Preferred: json.RawMessage(`{"temperature": 0.3, "repetition_penalty": 3}`)}, func(proxy.Caps) bool { return true }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, client := start(t, test.options)
			caps := recognise(t, client, 0).Caps()
			if !test.has(caps) {
				t.Errorf("caps %+v", caps)
			}
			if notes := strings.Join(caps.Notes, "\n"); !strings.Contains(notes, test.note) || test.note == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, test.note)
			}
		})
	}
}

func TestARouteWithoutExpertsNeedsNoRows(t *testing.T) {
	server, client := start(t, sglangtest.Options{Name: "plain"})
	s, err := Dialect{}.Recognise(t.Context(), client, proxy.Want{})
	if err != nil || s.Caps().Model != "plain" {
		t.Fatal(err)
	}
	if n := len(server.Requests()); n != 0 {
		t.Errorf("%d requests for rows", n)
	}
	if id, err := s.Identify(t.Context()); err != nil || id != s.Caps().Identity {
		t.Errorf("identity %q, %v", id, err)
	}
}

func TestRecogniseRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		options sglangtest.Options
		want    proxy.Want
		says    string
	}{
		{"another model", sglangtest.Options{}, proxy.Want{Model: "other"}, `model "other": SGLang serves tiny`},
		{"an adapter", sglangtest.Options{Adapter: "poet"}, proxy.Want{Model: "poet"}, "merged"},
		{"more than it scores", sglangtest.Options{}, proxy.Want{TopLogprobs: 41}, "scores 40 ids"},
		{"all of an unknown number", sglangtest.Options{Version: "0.4.10"}, proxy.Want{TopLogprobs: -1}, "ask for a number"},
		{"defaults that change rows", sglangtest.Options{Preferred: json.RawMessage(`"{\"regex\": \"a+\"}"`)}, proxy.Want{}, "--preferred-sampling-params"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, client := start(t, test.options)
			test.want.Vocabulary = eft.NewVocabulary(pieces())
			_, err := Dialect{}.Recognise(t.Context(), client, test.want)
			if err == nil || errors.Is(err, proxy.ErrOtherDialect) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
}

func TestOtherServersAreNotMistaken(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"nothing there":          http.NotFound,
		"a page for every path":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"an object everywhere":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status":"ok"}`) },
		"a key is asked for":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"the method is not his":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"model_path, no purpose": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"model_path":"x"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dialect{}.Recognise(t.Context(), dialecttest.Serve(t, handler), proxy.Want{Vocabulary: eft.NewVocabulary(pieces())})
			if !errors.Is(err, proxy.ErrOtherDialect) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRowsAreTheModels(t *testing.T) {
	prefix := []eft.Token{3, 1, 4}
	for _, options := range []sglangtest.Options{
		{}, {OutputOnly: true}, {Version: "0.4.9"}, {Preferred: json.RawMessage(`{"temperature": 0.3}`)},
	} {
		for _, k := range []int{1, 5, 20, -1} {
			if k < 0 && options.Version != "" {
				continue
			}
			_, client := start(t, options)
			text := recognise(t, client, k).Begin("tenant")
			defer text.Close()
			for _, path := range [][]eft.Token{nil, {1}, {5, 9, 2, 6}, {36, 0, 36}} {
				for _, from := range [][]eft.Token{prefix, prefix[:1]} {
					rows, err := text.Rows(t.Context(), from, path)
					if err != nil {
						t.Fatal(err)
					}
					if len(rows) != len(path)+1 {
						t.Fatalf("%d rows for a path of %d", len(rows), len(path))
					}
					for i, row := range rows {
						check(t, row, slices.Concat(from, path[:i]), k)
					}
				}
			}
		}
	}
}

func TestOneRequestScoresThePathsOfSeveralTexts(t *testing.T) {
	for _, options := range []sglangtest.Options{{}, {OutputOnly: true}} {
		for _, k := range []int{5, -1} {
			server, client := start(t, options)
			s := recognise(t, client, k)
			server.Requests()
			asks := []proxy.Ask{{Prefix: []eft.Token{3, 1, 4}, Path: []eft.Token{1, 5}}, {Prefix: []eft.Token{2}}, {Prefix: []eft.Token{2, 7}, Path: []eft.Token{36}}}
			got, err := s.(proxy.Gatherer).Gather(t.Context(), "ann", asks)
			if err != nil || len(got) != len(asks) {
				t.Fatalf("%d answers, %v", len(got), err)
			}
			for i, a := range asks {
				if len(got[i]) != len(a.Path)+1 {
					t.Fatalf("ask %d: %d rows", i, len(got[i]))
				}
				for j, row := range got[i] {
					check(t, row, slices.Concat(a.Prefix, a.Path[:j]), k)
				}
			}
			if n := len(server.Requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		}
	}
}

func TestOneRequestScoresAPath(t *testing.T) {
	server, client := start(t, sglangtest.Options{})
	text := recognise(t, client, 5).Begin("ann")
	server.Requests()
	if _, err := text.Rows(t.Context(), []eft.Token{1, 2, 3}, []eft.Token{4, 5}); err != nil {
		t.Fatal(err)
	}
	var sent []string
	for _, r := range server.Requests() {
		sent = append(sent, string(r))
	}
	want := `{"input_ids":[1,2,3,4,5],"sampling_params":{"max_new_tokens":1,"min_new_tokens":0,"temperature":1,"top_k":1,"top_p":1,"min_p":0,"frequency_penalty":0,"presence_penalty":0,"repetition_penalty":1,"ignore_eos":true},` +
		`"return_logprob":true,"logprob_start_len":2,"top_logprobs_num":5,"return_text_in_logprobs":false,"stream":false,"extra_key":"ann"}`
	if len(sent) != 1 || sent[0] != want {
		t.Errorf("sent %v, want %s", sent, want)
	}
}

func TestNamedTokensAreAskedInOnePass(t *testing.T) {
	server, client := start(t, sglangtest.Options{})
	text := recognise(t, client, 2).Begin("")
	prefix, path := []eft.Token{7, 8}, []eft.Token{1, 2, 3, 4}
	for _, names := range [][][]eft.Token{
		{{5}, {6, 0}, nil, {36, 1, 2}, nil},
		{nil, nil, {9, 3}, {9}, nil},
		{nil, nil, nil, nil, {30}},
		{{2}, nil, nil, nil, nil},
		{nil, nil, nil, nil, nil},
	} {
		server.Requests()
		scored, err := text.Named(t.Context(), prefix, path, names)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(server.Requests()); n > 1 {
			t.Errorf("%d requests", n)
		}
		for i, row := range scored {
			if len(row) != len(names[i]) {
				t.Fatalf("%d log-probs for %v", len(row), names[i])
			}
			want := truth(slices.Concat(prefix, path[:i]))
			for j, s := range row {
				if s.ID != names[i][j] || math.Abs(float64(s.LogProb)-want[s.ID]) > 1e-5 {
					t.Errorf("position %d: %v, want id %d with %v", i, s, names[i][j], want[names[i][j]])
				}
			}
		}
	}
}

func TestContinueIsTheBasesOwnText(t *testing.T) {
	prefix := []eft.Token{3, 1, 4}
	own := slices.Clone(prefix)
	for range 80 {
		own = append(own, best(truth(own)))
	}
	own = own[len(prefix):]
	end := slices.IndexFunc(own, func(id eft.Token) bool { return id < vocabulary-3 && slices.Index(own, id) > 1 })
	for name, options := range map[string]sglangtest.Options{
		"all that came in each event":    {},
		"some tokens at a time":          {Interval: 3},
		"only what is new":               {Incremental: true},
		"only what is new, some at once": {Incremental: true, Interval: 7},
	} {
		for _, limit := range []int{0, 1, 7, streamSegment, 2*streamSegment + 5} {
			for _, ends := range [][]eft.Token{nil, {own[max(end, 0)]}} {
				t.Run(fmt.Sprint(name, limit, ends), func(t *testing.T) {
					options.Ends = ends
					_, client := start(t, options)
					stream, err := recognise(t, client, 5).Begin("").Continue(t.Context(), prefix, limit)
					if err != nil {
						t.Fatal(err)
					}
					defer stream.Close()
					want := own[:limit]
					if ends != nil {
						if at := slices.Index(own, ends[0]); at < limit {
							want = own[:at+1]
						}
					}
					text := slices.Clone(prefix)
					for i := 0; ; i++ {
						row, token, err := stream.Next()
						if errors.Is(err, io.EOF) {
							if i != len(want) {
								t.Fatalf("%d tokens, want %d", i, len(want))
							}
							return
						}
						if err != nil {
							t.Fatal(err)
						}
						if i >= len(want) || token != want[i] {
							t.Fatalf("token %d is %d, want %v", i, token, want)
						}
						check(t, row, text, 5)
						text = append(text, token)
					}
				})
			}
		}
	}
}

func TestTenantsHaveCachesOfTheirOwn(t *testing.T) {
	server, client := start(t, sglangtest.Options{})
	s := recognise(t, client, 1)
	for _, tenant := range []string{"ann", "bob"} {
		server.Requests()
		if _, err := s.Begin(tenant).Rows(t.Context(), []eft.Token{1}, nil); err != nil {
			t.Fatal(err)
		}
		if sent := string(server.Requests()[0]); !strings.Contains(sent, `"extra_key":"`+tenant+`"`) {
			t.Errorf("sent %s", sent)
		}
	}
}

func TestChangedWeightsAreNoticed(t *testing.T) {
	server, client := start(t, sglangtest.Options{})
	s := recognise(t, client, 3)
	text := s.Begin("")
	if id, err := s.Identify(t.Context()); err != nil || id != s.Caps().Identity {
		t.Fatalf("identity %q, %v; want %q", id, err, s.Caps().Identity)
	}
	server.Restart(sglangtest.Options{Weights: "newer"})
	if id, err := s.Identify(t.Context()); err != nil || id == s.Caps().Identity {
		t.Errorf("identity %q, %v", id, err)
	}
	_, err := text.Rows(t.Context(), []eft.Token{1}, nil)
	if failure := (*proxy.Error)(nil); !errors.As(err, &failure) || failure.Fault != proxy.Changed {
		t.Errorf("error %v", err)
	}
}

func TestACutPromptIsRefused(t *testing.T) {
	_, client := start(t, sglangtest.Options{Context: 30, AutoTruncate: true})
	_, err := recognise(t, client, 3).Begin("").Rows(t.Context(), make([]eft.Token, 26), nil)
	if err == nil || !strings.Contains(err.Error(), "--allow-auto-truncate") {
		t.Errorf("error %v", err)
	}
}

func TestTokenizer(t *testing.T) {
	_, client := start(t, sglangtest.Options{Pieces: pieces()})
	s := recognise(t, client, 1)
	ids, err := s.Tokenize(t.Context(), "<3><36>")
	if err != nil || !slices.Equal(ids, []eft.Token{3, 36}) {
		t.Errorf("ids %v, %v", ids, err)
	}
	if text, err := s.Detokenize(t.Context(), ids); err != nil || text != "<3><36>" {
		t.Errorf("text %q, %v", text, err)
	}
	_, client = start(t, sglangtest.Options{})
	s = recognise(t, client, 1)
	if _, err := s.Tokenize(t.Context(), "x"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
	if _, err := s.Detokenize(t.Context(), ids); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

func TestAStoppedClientStopsTheStream(t *testing.T) {
	_, client := start(t, sglangtest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := recognise(t, client, 1).Begin("").Continue(ctx, []eft.Token{1}, 2*streamSegment)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	cancel()
	for range 3 * streamSegment {
		if _, _, err = stream.Next(); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
}
