package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/llamacpp/llamacpptest"
	"github.com/graft-gateway/graft/proxy/openai/openaitest"
	"github.com/graft-gateway/graft/proxy/sglang/sglangtest"
)

// served is a model that a base server has.
type served int

const (
	rightModel      served = iota // the embedded base
	otherWeights                  // the embedded base-chat under the same name
	otherVocabulary               // a model whose ids stand for other bytes, or that has fewer
)

// dialect is a kind of base server in front of the embedded base.
type dialect struct {
	name   string
	config string // of the base, behind its url
	path   string // where rows are asked for
	// rowless is an answer to that, whole or as an event, without log-probs.
	rowless string
	handler func(m *models, model served) http.Handler
}

// models are what base servers of all dialects have in common: their models' rows, each
// asked for once. It is safe for concurrent use.
type models struct {
	t      *testing.T
	urls   map[served]string // of Grafts that have them as demo-base
	size   int               // of the vocabulary
	pieces [][]byte
	rows   sync.Map // by URL and prefix
}

func newModels(t *testing.T) *models {
	t.Helper()
	other := configured(t, "bases: {other: {folder: embedded:base-chat}}\nroutes: {demo-base: {base: other, logprobs: {completions: -1}}}\n")
	return &models{
		t: t, urls: map[served]string{rightModel: shared.url, otherWeights: other.url, otherVocabulary: shared.url},
		size: vocabularySize(t, "demo"), pieces: pieces(t),
	}
}

// through says that routes over it pass requests on and mix nothing.
func (d dialect) through() bool { return d.name == "pass-through" }

func dialects() []dialect {
	return []dialect{
		{"vllm", "dialect: vllm, model: demo-base, top_logprobs: 20", "/v1/completions",
			`{"object":"text_completion","model":"demo-base","choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":1}}`, graftHandler},
		{"llamacpp", "dialect: llamacpp, model: demo-base, top_logprobs: 20", "/completion",
			`{"content":"a","tokens":[9],"stop":false,"tokens_predicted":3}`, llamacppHandler},
		{"sglang", "dialect: sglang, model: demo-base, top_logprobs: 20", "/generate",
			`{"text":"a","output_ids":[9],"meta_info":{"id":"0","finish_reason":null,"prompt_tokens":1,"completion_tokens":1,"cached_tokens":0}}`, sglangHandler},
		{"openai", "dialect: openai, model: demo-base, top_logprobs: 20", "/v1/completions",
			`{"object":"text_completion","model":"demo-base-0","choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":null}]}`, openaiHandler},
		{"pass-through", "model: demo-base", "/v1/completions", "{}", graftHandler},
	}
}

// graftHandler is a real Graft.
func graftHandler(m *models, model served) http.Handler {
	return forwardTo(m.t, m.urls[model], func(response *http.Response) error {
		if model != otherVocabulary || !strings.HasPrefix(response.Request.URL.Path, "/v1/models/") {
			return nil
		}
		text := `{"id":"demo-base","object":"model","created":1,"owned_by":"graft","vocab_size":512,"max_model_len":2048,"fingerprint":"another"}`
		response.Body.Close()
		response.Body, response.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		response.Header.Set("Content-Length", strconv.Itoa(len(text)))
		return nil
	})
}

// forwardTo stands in front of a server.
func forwardTo(t *testing.T, target string, modify func(*http.Response) error) http.Handler {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: modify,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
}

func llamacppHandler(m *models, model served) http.Handler {
	options := llamacpptest.Options{Alias: "demo-base", Pieces: m.spelt(model), Ends: []eft.Token{2}, Size: 1000 + int(model)}
	return llamacpptest.New(m.of(model), options)
}

func sglangHandler(m *models, model served) http.Handler {
	options := sglangtest.Options{Name: "demo-base", Pieces: m.spelt(model), Ends: []eft.Token{2}, Weights: fmt.Sprint(int(model))}
	return sglangtest.New(m.of(model), options)
}

// openaiHandler names tokens by bytes, as those servers do whose answers are like chat's.
func openaiHandler(m *models, model served) http.Handler {
	options := openaitest.Options{
		Name: "demo-base", Answers: fmt.Sprintf("demo-base-%d", model), Pieces: m.spelt(model), Ends: []eft.Token{2},
		Chat: true, Bytes: true, Most: 100, Lists: true,
		Models: []map[string]any{{"id": "demo-base", "object": "model", "owned_by": "somebody", "context_length": 2048}},
	}
	return openaitest.New(m.of(model), options)
}

// spelt are what a model's ids stand for. In another vocabulary every id stands for what
// the one before it does here.
func (m *models) spelt(model served) [][]byte {
	if last := len(m.pieces) - 1; model == otherVocabulary {
		return slices.Concat(m.pieces[last:], m.pieces[:last])
	}
	return m.pieces
}

// pieces are what the embedded family's ids stand for, out of its byte-level tokenizer.
func pieces(t *testing.T) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "models", "demo", "base", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var tokenizer struct {
		Model struct{ Vocab map[string]int }
	}
	if err := json.Unmarshal(text, &tokenizer); err != nil {
		t.Fatal(err)
	}
	bytes := byteLevel()
	all := make([][]byte, len(tokenizer.Model.Vocab))
	for name, id := range tokenizer.Model.Vocab {
		if strings.HasPrefix(name, "<|") {
			all[id] = []byte(name)
			continue
		}
		for _, r := range name {
			all[id] = append(all[id], bytes[r])
		}
	}
	return all
}

// byteLevel is what the letters of byte-level tokenizers stand for: bytes that can be
// printed for themselves, the others, in order, for the code points from 256 on.
func byteLevel() map[rune]byte {
	letters, next := map[rune]byte{}, rune(256)
	for b := range 256 {
		r := rune(b)
		if r < '!' || r > '~' && r < '¡' || r == '\u00AD' {
			r = next
			next++
		}
		letters[r] = byte(b)
	}
	return letters
}

// asked are rows that were asked for once.
type asked struct {
	once   sync.Once
	logits []float32
}

// of is a model by the rows that a Graft gives of it.
func (m *models) of(model served) func(prefix []eft.Token) []float32 {
	url := m.urls[model]
	return func(prefix []eft.Token) []float32 {
		known, _ := m.rows.LoadOrStore(fmt.Sprint(url, prefix), new(asked))
		row := known.(*asked)
		row.once.Do(func() { row.logits = m.ask(url, prefix) })
		return row.logits
	}
}

// ask gets the log-probs of a whole row.
func (m *models) ask(url string, prefix []eft.Token) []float32 {
	ids := make([]int, len(prefix))
	for i, id := range prefix {
		ids[i] = int(id)
	}
	logits := make([]float32, m.size)
	for i := range logits {
		logits[i] = float32(math.Inf(-1))
	}
	rows, err := nextRows(url, "demo-base", [][]int{ids}, m.size)
	if err != nil {
		m.t.Errorf("a row of the scripted servers' model: %v", err)
		return logits
	}
	for name, logProb := range rows[0] {
		id, err := strconv.Atoi(strings.TrimPrefix(name, "token_id:"))
		if err != nil {
			m.t.Errorf("a row of the scripted servers' model: %v", err)
			return logits
		}
		logits[id] = float32(logProb)
	}
	return logits
}
