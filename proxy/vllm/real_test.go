package vllm

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// reference is a row that PyTorch computed: testdata/rows.py.
type reference struct {
	Prefix   []eft.Token `json:"prefix"`
	IDs      []eft.Token `json:"ids"`
	LogProbs []float64   `json:"log_probs"`
}

// rowEpsilon bounds, in nats, what may lie between two computations of a row in single
// precision. On a processor vLLM 0.32 is within 2e-5 of PyTorch, and gives the same row
// to the last bit in a list, in a stream and alone; GPUs differ more.
const rowEpsilon = 1e-3

// TestRealServer compares the rows of a vLLM that serves the embedded base in float32,
// or of another Graft, with PyTorch's, and the ways to have them with each other:
//
//	GRAFT_VLLM_URL=http://127.0.0.1:8000 go test ./proxy/vllm -run TestRealServer -v
//
// Where the server has several models GRAFT_VLLM_MODEL names the one (demo-base).
func TestRealServer(t *testing.T) {
	url := os.Getenv("GRAFT_VLLM_URL")
	if url == "" {
		t.Skip("GRAFT_VLLM_URL names no server")
	}
	server := recognise(t, url, proxy.Want{Model: os.Getenv("GRAFT_VLLM_MODEL")})
	t.Logf("%+v", server.Caps())
	text := server.Begin("a tenant")
	defer text.Close()
	var dense proxy.Text
	if server.Caps().TopLogprobsCap == wholeVocabulary {
		dense = recognise(t, url, proxy.Want{Model: server.Caps().Model, TopLogprobs: -1}).Begin("")
	}
	e := epsilons{t: t, worst: map[string]float64{}, differ: map[string]int{}}
	for _, r := range readReferences(t) {
		e.compare(text, withNames(server), dense, r)
	}
	for _, way := range []string{"PyTorch", "list and stream", "list and alone", "list and whole rows", "list and names"} {
		t.Logf("%s: ε = %.2g nats, other best tokens %d times", way, e.worst[way], e.differ[way])
		if e.worst[way] > rowEpsilon {
			t.Errorf("%s: rows differ by %g nats", way, e.worst[way])
		}
	}
}

func readReferences(t *testing.T) []reference {
	t.Helper()
	file, err := os.Open("testdata/rows.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []reference
	if err := json.NewDecoder(unpacked).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// epsilons collects by how much rows differ that should be the same.
type epsilons struct {
	t      *testing.T
	worst  map[string]float64
	differ map[string]int
}

func (e epsilons) compare(text, named, dense proxy.Text, r reference) {
	t := e.t
	t.Helper()
	const limit = 6
	stream, err := text.Continue(t.Context(), r.Prefix, limit)
	if err != nil {
		t.Fatal(err)
	}
	var streamed []eft.Row
	var tokens []eft.Token
	for range limit {
		row, token, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		streamed, tokens = append(streamed, row), append(tokens, token)
	}
	stream.Close()
	path := tokens[:limit-1]
	rows, err := text.Rows(t.Context(), r.Prefix, path)
	if err != nil {
		t.Fatal(err)
	}
	e.add("PyTorch", rows[0], lookup(r.IDs, r.LogProbs), r.IDs[0])
	names := make([][]eft.Token, len(rows))
	for i, row := range rows {
		e.add("list and stream", row, listed(streamed[i]), streamed[i].IDs[0])
		alone, err := text.Rows(t.Context(), append(r.Prefix[:len(r.Prefix):len(r.Prefix)], path[:i]...), nil)
		if err != nil {
			t.Fatal(err)
		}
		e.add("list and alone", row, listed(alone[0]), alone[0].IDs[0])
		names[i] = row.IDs[10+i : 20+i]
	}
	byName, err := named.Named(t.Context(), r.Prefix, path, names)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		e.add("list and names", eft.Canonical(byName[i], len(byName[i])), listed(row), row.IDs[10+i])
	}
	if dense == nil {
		return
	}
	whole, err := dense.Rows(t.Context(), r.Prefix, path)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		e.add("list and whole rows", row, func(id eft.Token) (float64, bool) { return float64(whole[i].Scores[id]), true }, row.IDs[0])
	}
}

// add compares the tokens that both have.
func (e epsilons) add(way string, row eft.Row, other func(eft.Token) (float64, bool), best eft.Token) {
	for i, id := range row.IDs {
		if l, ok := other(id); ok {
			e.worst[way] = max(e.worst[way], math.Abs(l-float64(row.LogProbs[i])))
		}
	}
	if row.IDs[0] != best {
		e.differ[way]++
	}
}

func listed(row eft.Row) func(eft.Token) (float64, bool) {
	logProbs := make([]float64, len(row.LogProbs))
	for i, l := range row.LogProbs {
		logProbs[i] = float64(l)
	}
	return lookup(row.IDs, logProbs)
}

func lookup(ids []eft.Token, logProbs []float64) func(eft.Token) (float64, bool) {
	found := make(map[eft.Token]float64, len(ids))
	for i, id := range ids {
		found[id] = logProbs[i]
	}
	return func(id eft.Token) (float64, bool) {
		l, ok := found[id]
		return l, ok
	}
}

// TestRealServerSideBySide has 8 texts ask for PyTorch's prefixes at once, alone and while
// somebody asks for names every few steps: a row is right or there is none. It runs as
// TestRealServer does.
func TestRealServerSideBySide(t *testing.T) {
	url := os.Getenv("GRAFT_VLLM_URL")
	if url == "" {
		t.Skip("GRAFT_VLLM_URL names no server")
	}
	server := recognise(t, url, proxy.Want{Model: os.Getenv("GRAFT_VLLM_MODEL")})
	references := readReferences(t)
	for _, others := range []bool{false, true} {
		t.Run(fmt.Sprintf("names of others %v", others), func(t *testing.T) {
			if others {
				defer askBeside(t, url, server.Caps().Model)()
			}
			alone := &rowsAlone{text: server.Begin(""), rows: map[string]eft.Row{}}
			refused := sideBySide(t, server, func(text int) []eft.Token { return references[text].Prefix }, alone.compare)
			t.Logf("%d of 32 texts refused, %d prefixes, ε = %.2g nats", refused, len(alone.rows), alone.worst)
			if refused > 0 && !others {
				t.Errorf("%d texts were refused", refused)
			}
		})
	}
}

// rowsAlone compares rows with the same ones asked for by one text. TestRealServer compares
// such rows with PyTorch's.
type rowsAlone struct {
	mu    sync.Mutex // guards what follows
	text  proxy.Text
	rows  map[string]eft.Row
	worst float64
}

func (a *rowsAlone) compare(t *testing.T, prefix []eft.Token, row eft.Row, named []eft.Scored) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := fmt.Sprint(prefix)
	other, ok := a.rows[key]
	if !ok {
		rows, err := a.text.Rows(t.Context(), prefix, nil)
		if err != nil {
			return // others' names, again and again
		}
		other = rows[0]
		a.rows[key] = other
	}
	if row.Best != other.Best || row.IDs[0] != other.IDs[0] {
		t.Errorf("behind %v: %d log-probs, best %d; alone %d, best %d", prefix, row.Best, row.IDs[0], other.Best, other.IDs[0])
	}
	same := listed(other)
	for _, s := range append(scored(row), named...) {
		if l, ok := same(s.ID); ok {
			difference := math.Abs(l - float64(s.LogProb))
			if a.worst = max(a.worst, difference); !(difference <= rowEpsilon) {
				t.Errorf("behind %v: token %d has %v, alone %v", prefix, s.ID, s.LogProb, l)
			}
		}
	}
}

func scored(row eft.Row) []eft.Scored {
	out := make([]eft.Scored, len(row.IDs))
	for i, id := range row.IDs {
		out[i] = eft.Scored{ID: id, LogProb: row.LogProbs[i]}
	}
	return out
}
