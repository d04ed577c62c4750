package llamacpp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// fake is a llama-server with a model of hashed logits. It does what was seen of the
// real one: tokens that leave a character open have no row, grammars fail at tokens
// that are no whole UTF-8 or end the text, end tokens end it, streams send an event
// for each token with a row and end without [DONE].
type fake struct {
	vocabulary *eft.Vocabulary
	ends       map[eft.Token]bool
	props      map[string]any
	models     map[string]any
	// wrap may answer in its place.
	wrap func(w http.ResponseWriter, r *http.Request, body []byte) bool
	// noGrammar ignores grammars, stubborn are tokens that grammars do not match.
	noGrammar bool
	stubborn  map[eft.Token]bool
	greedy    map[string]eft.Token // prefix → what is generated behind it, whatever the row says

	mu    sync.Mutex
	asked []heard
}

// heard is the body of POST /completion as the server reads it.
type heard struct {
	Prompt      json.RawMessage `json:"prompt"`
	Slot        int             `json:"id_slot"`
	CachePrompt bool            `json:"cache_prompt"`
	Stream      bool            `json:"stream"`
	Predict     int             `json:"n_predict"`
	Probs       int             `json:"n_probs"`
	Grammar     string          `json:"grammar"`
	LogitBias   [][2]float64    `json:"logit_bias"`
	Fields      []string        `json:"response_fields"`

	prompt []eft.Token
}

const (
	fakeEnd    = eft.Token(1) // <|end|>
	fakeOpen   = eft.Token(2) // E2, which leaves a character open
	fakeMiddle = eft.Token(3) // 80
	fakeA      = eft.Token(8) // a, and so on to z
	fakeIDs    = 40
)

func newFake(t *testing.T) (*fake, string) {
	t.Helper()
	pieces := [][]byte{{0}, []byte("<|end|>"), {0xE2}, {0x80}, []byte("…"), []byte("é\xE2"), []byte(" the"), []byte("<b>")}
	for c := byte('a'); c <= 'z'; c++ {
		pieces = append(pieces, []byte{c})
	}
	for len(pieces) < fakeIDs {
		pieces = append(pieces, []byte(fmt.Sprintf(" word%d", len(pieces))))
	}
	f := &fake{
		vocabulary: eft.NewVocabulary(pieces), ends: map[eft.Token]bool{fakeEnd: true},
		props: map[string]any{
			"default_generation_settings": map[string]any{"n_ctx": 64, "params": map[string]any{"lora": []any{}}},
			"total_slots":                 4, "model_alias": "toy", "model_path": "/models/toy.gguf", "build_info": "b1-toy",
		},
		models: map[string]any{"data": []any{map[string]any{
			"id": "toy", "owned_by": "llamacpp",
			"meta": map[string]any{"vocab_type": 2, "n_vocab": fakeIDs, "n_embd": 8, "n_params": 1000, "size": 4000, "ftype": "all F32"},
		}}},
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server.URL
}

func (f *fake) connect(t *testing.T, url string, k int) proxy.Server {
	t.Helper()
	return recognise(t, once(url), proxy.Want{TopLogprobs: k, Vocabulary: f.vocabulary})
}

// requests returns what was asked since the last call.
func (f *fake) requests() []heard {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if f.wrap != nil && f.wrap(w, r, body) {
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /props":
		writeJSON(w, 200, f.props)
	case "GET /v1/models":
		writeJSON(w, 200, f.models)
	case "POST /tokenize":
		f.tokenize(w, body)
	case "POST /detokenize":
		writeJSON(w, 200, map[string]any{"content": "abc"})
	case "POST /completion":
		f.complete(w, body)
	default:
		writeError(w, 404, "File Not Found")
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"error": map[string]any{"code": status, "message": message}})
}

func (f *fake) tokenize(w http.ResponseWriter, body []byte) {
	var in struct {
		Content any `json:"content"`
	}
	json.Unmarshal(body, &in)
	list, ok := in.Content.([]any)
	if !ok {
		writeJSON(w, 200, map[string]any{"tokens": []eft.Token{fakeA, fakeA + 1}})
		return
	}
	var out []any
	for _, v := range list {
		id := eft.Token(v.(float64))
		var p any = string(f.vocabulary.Piece(id))
		if piece := f.vocabulary.Piece(id); !utf8.Valid(piece) {
			numbers := make([]int, len(piece))
			for i, b := range piece {
				numbers[i] = int(b)
			}
			p = numbers
		}
		out = append(out, map[string]any{"id": id, "piece": p})
	}
	writeJSON(w, 200, map[string]any{"tokens": out})
}

// row is the model: log-probs of every id behind prefix.
func (f *fake) row(prefix []eft.Token) []float64 {
	row := make([]float64, fakeIDs)
	sum := 0.0
	for id := range row {
		h := fnv.New64a()
		fmt.Fprint(h, prefix[max(0, len(prefix)-6):], id)
		row[id] = float64(h.Sum64()%100000) / 10000
		sum += math.Exp(row[id])
	}
	for id := range row {
		row[id] -= math.Log(sum)
	}
	return row
}

// truth is the canonical row that is to come of it.
func (f *fake) truth(prefix []eft.Token, k int) eft.Row {
	var all []eft.Scored
	for id, v := range f.row(prefix) {
		all = append(all, eft.Scored{ID: eft.Token(id), LogProb: float32(v)})
	}
	return eft.Canonical(all, k)
}

func (f *fake) position(id eft.Token, row []float64, probs int) map[string]any {
	ids := make([]int, len(row))
	for i := range ids {
		ids[i] = i
	}
	slices.SortFunc(ids, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
	var top []any
	for _, i := range ids[:min(probs, len(ids))] {
		top = append(top, map[string]any{"id": i, "token": "", "bytes": []int{}, "logprob": row[i]})
	}
	return map[string]any{"id": id, "token": "", "bytes": []int{}, "logprob": row[id], "top_logprobs": top}
}

var literal = regexp.MustCompile(`<\[(\d+)\]>`)

func (f *fake) complete(w http.ResponseWriter, body []byte) {
	var q heard
	if err := json.Unmarshal(body, &q); err != nil {
		writeError(w, 400, err.Error())
		return
	}
	var lists [][]eft.Token
	if json.Unmarshal(q.Prompt, &lists) == nil {
		writeJSON(w, 200, make([]map[string]any, len(lists)))
		return
	}
	if json.Unmarshal(q.Prompt, &q.prompt) != nil || len(q.prompt) == 0 {
		writeError(w, 400, `"prompt" must not be empty`)
		return
	}
	f.mu.Lock()
	f.asked = append(f.asked, q)
	f.mu.Unlock()
	var forced []eft.Token
	if !f.noGrammar {
		for _, m := range literal.FindAllStringSubmatch(q.Grammar, -1) {
			id, _ := strconv.Atoi(m[1])
			forced = append(forced, eft.Token(id))
		}
	}
	f.generate(w, q, forced)
}

func (f *fake) generate(w http.ResponseWriter, q heard, forced []eft.Token) {
	var positions, events []map[string]any
	said := []byte{}
	tokens := slices.Clone(q.prompt)
	for n := range q.Predict {
		row := f.row(tokens)
		id, ok := f.choose(q, forced, n, row, tokens)
		if !ok {
			writeError(w, 500, "got exception: Unexpected empty grammar stack after accepting piece: x (39)")
			return
		}
		tokens = append(tokens, id)
		if !f.ends[id] {
			said = append(said, f.vocabulary.Piece(id)...)
		}
		if !open(said) {
			p := f.position(id, row, q.Probs)
			positions = append(positions, p)
			events = append(events, map[string]any{"stop": false, "tokens": []eft.Token{id}, "tokens_predicted": n + 1,
				"tokens_evaluated": len(q.prompt), "completion_probabilities": []any{p}})
		}
		if f.ends[id] {
			break
		}
	}
	if !q.Stream {
		writeJSON(w, 200, map[string]any{"completion_probabilities": positions, "tokens_evaluated": len(q.prompt),
			"timings": map[string]any{"cache_n": len(q.prompt) - 1}})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	// The settings that are left out are the last event's alone.
	last := map[string]any{"tokens_evaluated": len(q.prompt)}
	if slices.Contains(q.Fields, "stop") {
		last["stop"] = true
	}
	for _, e := range append(events, last) {
		data, _ := json.Marshal(e)
		fmt.Fprintf(w, "data: %s\n\n", data)
	}
}

func (f *fake) choose(q heard, forced []eft.Token, n int, row []float64, tokens []eft.Token) (eft.Token, bool) {
	if q.Grammar != "" && !f.noGrammar {
		if n >= len(forced) {
			return 0, false
		}
		id := forced[n]
		p := f.vocabulary.Piece(id)
		return id, len(p) > 0 && p[0] != 0 && utf8.Valid(p) && !f.ends[id] && !f.stubborn[id]
	}
	if id, ok := f.greedy[fmt.Sprint(tokens)]; ok && len(q.LogitBias) == 0 {
		return id, true
	}
	best := eft.Token(0)
	score := func(id eft.Token) float64 {
		for _, b := range q.LogitBias {
			if eft.Token(b[0]) == id {
				return row[id] + b[1]
			}
		}
		return row[id]
	}
	for id := range eft.Token(fakeIDs) {
		if score(id) > score(best) {
			best = id
		}
	}
	return best, true
}

// open says whether said ends within a character, by the leading byte alone as
// llama-server sees it: what follows need not be a continuation.
func open(said []byte) bool {
	for i := 1; i <= 4 && i <= len(said); i++ {
		c := said[len(said)-i]
		if c&0xE0 == 0xC0 && i < 2 || c&0xF0 == 0xE0 && i < 3 || c&0xF8 == 0xF0 && i < 4 {
			return true
		}
	}
	return false
}
