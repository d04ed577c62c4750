package llamacpp

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

func TestWhatIsRecognised(t *testing.T) {
	f, url := newFake(t)
	c := f.connect(t, url, 0).Caps()
	if c.Dialect != "llamacpp" || c.Version != "b1-toy" || c.Model != "toy" || c.Context != 64 || c.VocabSize != fakeIDs ||
		c.TopLogprobs != fakeIDs || c.TopLogprobsCap != -1 || c.Dense || c.Names != 0 || c.Tokens != proxy.TokenIDs ||
		c.Scoring != proxy.ScoringGrammar || !c.Stream || !c.Batch || c.PrefixCache != "yes" || c.Isolation == "" || len(c.Notes) != 0 {
		t.Errorf("%+v", c)
	}
}

// refusal answers one path with a status and a message.
func refusal(path string, status int, message string) func(*fake) {
	return func(f *fake) {
		f.wrap = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if r.URL.Path == path {
				writeError(w, status, message)
			}
			return r.URL.Path == path
		}
	}
}

// spoilt are servers that are refused, and why.
var spoilt = []struct {
	name  string
	spoil func(*fake)
	want  proxy.Want
	other bool // another dialect may try
	fault proxy.Fault
	says  string
}{
	{"no /props, as vLLM", func(f *fake) { refusal("/props", 404, "Not Found")(f); f.models = map[string]any{} }, proxy.Want{}, true, "", "/props"},
	{"/props of another kind", func(f *fake) { f.props = map[string]any{"ok": true} }, proxy.Want{}, true, "", "default_generation_settings"},
	{"a page in place of /props", page, proxy.Want{}, true, "", "/props"},
	{"a gate that knows no /props", func(f *fake) { refusal("/props", 401, "no such route")(f); f.models = map[string]any{} }, proxy.Want{}, true, "", "/props"},
	{"a gate that fails at /props", func(f *fake) { refusal("/props", 502, "bad gateway")(f); f.models = map[string]any{} }, proxy.Want{}, true, "", "/props"},
	{"a llama-server behind something that hides /props", refusal("/props", 404, "Not Found"), proxy.Want{}, false, proxy.Refused, "let /props"},
	{"a key is wanted", func(f *fake) {
		f.wrap = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			writeError(w, 401, "Invalid API Key")
			return true
		}
	}, proxy.Want{}, false, proxy.Refused, "Invalid API Key"},
	{"loading", refusal("/props", 503, "Loading model"), proxy.Want{}, false, proxy.Overloaded, "wait until"},
	{"loading when asked for a row", refusal("/completion", 503, "Loading model"), proxy.Want{}, false, proxy.Overloaded, "wait until"},
	{"embeddings", refusal("/completion", 501, "This server does not support completions. Start it without `--embeddings`"), proxy.Want{}, false, proxy.Failed, "without --embeddings"},
	{"no /completion", refusal("/completion", 404, "Not Found"), proxy.Want{}, false, proxy.Refused, "let /props"},
	{"no slots told", func(f *fake) { delete(f.props, "total_slots") }, proxy.Want{}, false, "", "total_slots"},
	{"more slots than there can be", func(f *fake) { f.props["total_slots"] = 1 << 40 }, proxy.Want{}, false, "", "total_slots"},
	{"no model", func(f *fake) { f.models = map[string]any{"data": []any{}} }, proxy.Want{}, false, "", "--model FILE"},
	{"no n_vocab", func(f *fake) { f.models["data"].([]any)[0].(map[string]any)["meta"] = nil }, proxy.Want{}, false, "", "n_vocab"},
	{"another name", func(*fake) {}, proxy.Want{Model: "llama"}, false, "", "--alias llama"},
	{"fewer ids than the pairs", func(f *fake) {
		f.models["data"].([]any)[0].(map[string]any)["meta"].(map[string]any)["n_vocab"] = 30
	}, proxy.Want{}, false, "", "30 ids and the pairs 40"},
	{"another vocabulary", func(*fake) {}, proxy.Want{Vocabulary: eft.NewVocabulary([][]byte{{0}, []byte("<|end|>"), {0xE2}, {0x80}, []byte("a"), []byte("b")})},
		false, "", `4 is "…" there and "a" in the pairs, 5 is "é\xe2" there`},
	{"more log-probs than ids", func(*fake) {}, proxy.Want{TopLogprobs: 41}, false, "", "only 40 ids"},
	{"a k that means nothing", func(*fake) {}, proxy.Want{TopLogprobs: -2}, false, "", "-2"},
	{"no letters", func(f *fake) {
		f.vocabulary = eft.NewVocabulary([][]byte{[]byte("1"), []byte("22")})
	}, proxy.Want{}, false, "", "ASCII letter"},
	{"probabilities in place of log-probs", probabilities, proxy.Want{}, false, proxy.Malformed, "no log-probs"},
}

func TestWhatIsNotRecognisedAndWhy(t *testing.T) {
	for _, c := range spoilt {
		t.Run(c.name, func(t *testing.T) {
			f, url := newFake(t)
			c.spoil(f)
			client := newClient(t, once(url))
			if c.want.Vocabulary == nil {
				c.want.Vocabulary = f.vocabulary
			}
			_, err := Dialect{}.Recognise(t.Context(), client, c.want)
			if err == nil || errors.Is(err, proxy.ErrOtherDialect) != c.other || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v; want another dialect %v, and %q", err, c.other, c.says)
			}
			var fault *proxy.Error
			if errors.As(err, &fault); c.fault != "" && (fault == nil || fault.Fault != c.fault) {
				t.Errorf("%v; want the fault %q", err, c.fault)
			}
		})
	}
}

// page answers /props as a site does.
func page(f *fake) {
	f.models = map[string]any{}
	f.wrap = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/props" {
			w.Write([]byte("<html>"))
		}
		return r.URL.Path == "/props"
	}
}

// probabilities answers as versions of 2024 did.
func probabilities(f *fake) {
	f.wrap = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/completion" {
			w.Write([]byte(`{"content":"a","completion_probabilities":[{"content":"a","probs":[{"tok_str":"a","prob":1}]}]}`))
		}
		return r.URL.Path == "/completion"
	}
}

func TestNamesOfTheModel(t *testing.T) {
	for _, name := range []string{"", "toy", "/models/toy.gguf", "toy.gguf"} {
		f, url := newFake(t)
		c := recognise(t, once(url), proxy.Want{Model: name, Vocabulary: f.vocabulary}).Caps()
		if want := max(name, "toy"); name != "/models/toy.gguf" && c.Model != want {
			t.Errorf("asked for %q: %q, want %q", name, c.Model, want)
		}
	}
}

func TestARouterIsAskedForItsModel(t *testing.T) {
	f, url := newFake(t)
	entry := f.models["data"].([]any)[0].(map[string]any)
	meta := entry["meta"]
	entry["meta"] = nil // until it is loaded
	f.models["data"] = []any{map[string]any{"id": "other"}, entry}
	f.wrap = func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		if r.Method == "POST" && !bytes.Contains(body, []byte(`"model":"toy"`)) {
			t.Errorf("%s without its model: %s", r.URL.Path, body)
		}
		if r.URL.Path != "/props" {
			return false
		}
		if r.URL.Query().Get("model") == "toy" {
			entry["meta"] = meta
			return false
		}
		writeJSON(w, 200, map[string]any{"role": "router", "default_generation_settings": map[string]any{"n_ctx": 0}})
		return true
	}
	if c := recognise(t, once(url), proxy.Want{Model: "toy", Vocabulary: f.vocabulary}).Caps(); c.Model != "toy" || c.Context != 64 {
		t.Errorf("%+v", c)
	}
	client := newClient(t, once(url))
	if _, err := (Dialect{}).Recognise(t.Context(), client, proxy.Want{Vocabulary: f.vocabulary}); err == nil || !strings.Contains(err.Error(), "other, toy") {
		t.Errorf("%v, want the names to choose from", err)
	}
}

func TestServersThatCanLess(t *testing.T) {
	t.Run("grammars are ignored", func(t *testing.T) {
		f, url := newFake(t)
		f.noGrammar = true
		s := f.connect(t, url, 5)
		if c := s.Caps(); c.Scoring != proxy.ScoringSingly || len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "update llama-server") {
			t.Errorf("%+v", c)
		}
	})
	t.Run("grammars cannot be read", func(t *testing.T) {
		f, url := newFake(t)
		f.wrap = func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			if bytes.Contains(body, []byte(`"grammar"`)) {
				writeError(w, 400, "Failed to parse grammar")
				return true
			}
			return false
		}
		if c := f.connect(t, url, 5).Caps(); c.Scoring != proxy.ScoringSingly {
			t.Errorf("%+v", c)
		}
	})
	t.Run("rows that a bias changes", func(t *testing.T) {
		f, url := newFake(t)
		f.wrap = func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			if r.URL.Path != "/completion" || !bytes.Contains(body, []byte(`"logit_bias":[[`)) {
				return false
			}
			row := slices.Repeat([]float64{-3.4028234663852886e38}, fakeIDs)
			row[fakeA] = 0
			writeJSON(w, 200, map[string]any{"completion_probabilities": []any{f.position(fakeA, row, fakeIDs)}})
			return true
		}
		client := newClient(t, once(url))
		if _, err := (Dialect{}).Recognise(t.Context(), client, proxy.Want{Vocabulary: f.vocabulary}); err == nil || !strings.Contains(err.Error(), "not the model's own") {
			t.Errorf("%v, want a refusal", err)
		}
	})
	t.Run("pieces are not told", func(t *testing.T) {
		f, url := newFake(t)
		refusal("/tokenize", 400, "content must be a string")(f)
		if c := f.connect(t, url, 5).Caps(); len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "number of ids") {
			t.Errorf("%+v", c)
		}
	})
	t.Run("no pairs to compare with", func(t *testing.T) {
		_, url := newFake(t)
		if c := recognise(t, once(url), proxy.Want{}).Caps(); c.Scoring != proxy.ScoringGrammar {
			t.Errorf("%+v", c)
		}
	})
}

func TestIdentityFollowsTheModel(t *testing.T) {
	f, url := newFake(t)
	s := f.connect(t, url, 5)
	entry := f.models["data"].([]any)[0].(map[string]any)
	meta := entry["meta"].(map[string]any)
	settings := f.props["default_generation_settings"].(map[string]any)
	for _, c := range []struct {
		name   string
		change func()
		same   bool
	}{
		{"nothing", func() {}, true},
		{"started again", func() { entry["created"] = 1795423700; f.props["media_marker"] = "x" }, true},
		{"another version", func() { f.props["build_info"] = "b2-toy" }, true},
		{"more slots", func() { f.props["total_slots"] = 8; settings["n_ctx"] = 32 }, true},
		{"another file", func() { f.props["model_path"] = "/models/toy-2.gguf" }, false},
		{"another file by the same path", func() { f.props["model_path"] = "/models/toy.gguf"; meta["size"] = 2000 }, false},
		{"an adapter", func() {
			meta["size"] = 4000
			settings["params"] = map[string]any{"lora": []any{map[string]any{"id": 0, "scale": 1}}}
		}, false},
	} {
		c.change()
		id, err := s.Identify(t.Context())
		if err != nil || (id == s.Caps().Identity) != c.same {
			t.Errorf("%s: %s (%v), was %s", c.name, id, err, s.Caps().Identity)
		}
	}
}

func TestTokenizer(t *testing.T) {
	f, url := newFake(t)
	s := f.connect(t, url, 5)
	var sent []string
	f.wrap = func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		sent = append(sent, r.URL.Path+" "+string(body))
		return false
	}
	ids, err := s.Tokenize(t.Context(), "ab")
	if err != nil || !slices.Equal(ids, []eft.Token{fakeA, fakeA + 1}) {
		t.Errorf("%v, %v", ids, err)
	}
	if text, err := s.Detokenize(t.Context(), ids); err != nil || text != "abc" {
		t.Errorf("%q, %v", text, err)
	}
	want := []string{`/tokenize {"model":"toy","content":"ab","add_special":false,"parse_special":true}`, `/detokenize {"model":"toy","tokens":[8,9]}`}
	if !slices.Equal(sent, want) {
		t.Errorf("sent %q, want %q", sent, want)
	}
	if _, err := s.Detokenize(t.Context(), []eft.Token{40}); err == nil {
		t.Error("an id beyond the vocabulary was sent, which the server fails at")
	}
}

func TestWhatIsAsked(t *testing.T) {
	data, err := json.Marshal(newQuestion("m", []eft.Token{1, 2}, 3, 4))
	want := `{"model":"m","prompt":[1,2],"id_slot":-1,"cache_prompt":true,"stream":false,"n_predict":3,"n_probs":4,"logit_bias":[],` +
		`"samplers":["temperature"],"temperature":0,"dynatemp_range":0,"mirostat":0,"post_sampling_probs":false,"ignore_eos":false,"stop":[],` +
		`"n_indent":0,"response_fields":["completion_probabilities","tokens_evaluated","timings","stop"]}`
	if err != nil || string(data) != want {
		t.Errorf("%s (%v), want %s", data, err, want)
	}
	if g := grammar([]eft.Token{5, 128000, 7}); g != "root ::= <[5]> <[128000]> <[7]>" {
		t.Error(g)
	}
}
