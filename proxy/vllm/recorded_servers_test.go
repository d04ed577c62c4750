package vllm

import (
	"errors"
	"io"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// The recordings are of vLLM 0.32.0 on a processor, serving the embedded base in
// float32. Its vocabulary has 1,024 ids, its context 2,048 tokens.

var (
	prefix = []eft.Token{1, 300, 400, 17}
	path   = []eft.Token{89, 680, 439}
)

func TestRecordedServerWithoutACap(t *testing.T) {
	url := play(t, "whole") // --max-logprobs -1 --stream-interval 3 --enable-force-include-usage --enable-prompt-tokens-details
	server := recognise(t, url, proxy.Want{})
	want := proxy.Caps{
		Dialect: "vllm", Version: "0.32.0", Model: "base", Identity: server.Caps().Identity, Context: 2048, VocabSize: 1024,
		TopLogprobs: 100, TopLogprobsCap: -1, CapFlag: "--max-logprobs", Tokens: proxy.TokenIDs, Batch: true,
		Scoring: proxy.ScoringList, Stream: true, PrefixCache: "yes", Isolation: "cache_salt", Notes: server.Caps().Notes,
	}
	if got := server.Caps(); !reflect.DeepEqual(got, want) {
		t.Errorf("caps\n%+v, want\n%+v", got, want)
	}
	spoilsRows(t, want.Notes)
	if again, err := server.Identify(t.Context()); err != nil || again != want.Identity || !strings.Contains(again, `"base" root "`) {
		t.Errorf("identity %q, %v, was %q", again, err, want.Identity)
	}
	text := server.Begin("")
	defer text.Close()
	rows, err := text.Rows(t.Context(), prefix, path)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, row := range rows {
		if row.Dense() || row.Best != 100 || len(row.IDs) != 100 || !sorted(row) {
			t.Errorf("row %d: %+v", i, row)
		}
	}
	dense := recognise(t, url, proxy.Want{Model: "base-alias", TopLogprobs: -1})
	if caps := dense.Caps(); !caps.Dense || caps.TopLogprobs != 1024 || caps.Model != "base-alias" {
		t.Errorf("dense: %+v", caps)
	}
	whole, err := dense.Begin("").Rows(t.Context(), prefix, path)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range whole {
		if len(row.Scores) != 1024 || math.Abs(massOf(row.Scores)-1) > 1e-5 {
			t.Errorf("dense row %d has %d scores with mass %v", i, len(row.Scores), massOf(row.Scores))
		}
		for j, id := range rows[i].IDs {
			if math.Abs(float64(row.Scores[id]-rows[i].LogProbs[j])) > 1e-4 {
				t.Errorf("row %d: token %d has %v among the best and %v in the whole row", i, id, rows[i].LogProbs[j], row.Scores[id])
			}
		}
	}
	namedEqualWhole(t, withNames(server), whole)
}

// spoilsRows wants notes of a server whose names spoil rows, as vLLM 0.32's do on a
// processor, and of nothing else.
func spoilsRows(t *testing.T, notes []string) {
	t.Helper()
	if len(notes) != 1 || !strings.Contains(notes[0], "V1 model runner") {
		t.Errorf("notes %q", notes)
	}
}

// withNames is a text that asks for names, which harms nobody who asks for nothing else.
func withNames(server proxy.Server) *Text {
	named := *server.(*Server)
	named.caps.Names = 128
	return &Text{server: &named}
}

func namedEqualWhole(t *testing.T, text proxy.Text, whole []eft.Row) {
	t.Helper()
	names := [][]eft.Token{{5, 900}, nil, {1500, 5}, {1023}} // 1,500 is beyond the vocabulary
	named, err := text.Named(t.Context(), prefix, path, names)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		if len(named[i]) != len(names[i]) {
			t.Fatalf("position %d has %v for %v", i, named[i], names[i])
		}
		for j, id := range names[i] {
			want := math.Inf(-1)
			if int(id) < len(whole[i].Scores) {
				want = float64(whole[i].Scores[id])
			}
			if got := named[i][j]; got.ID != id || float64(got.LogProb) != want && !(math.Abs(float64(got.LogProb)-want) < 1e-4) {
				t.Errorf("position %d: %v, want token %d with %v", i, got, id, want)
			}
		}
	}
}

func TestRecordedContinuationsHaveSeveralTokensAnEvent(t *testing.T) {
	server := recognise(t, play(t, "stream"), proxy.Want{TopLogprobs: 3}) // the flags of whole
	text := server.Begin("a tenant")
	stream, err := text.Continue(t.Context(), prefix, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var tokens []eft.Token
	var streamed []eft.Row
	for {
		row, token, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if row.Best != 3 || row.IDs[0] != token {
			t.Errorf("token %d of row %+v", token, row)
		}
		tokens, streamed = append(tokens, token), append(streamed, row)
	}
	if len(tokens) != 8 {
		t.Fatalf("tokens %v", tokens)
	}
	rows, err := text.Rows(t.Context(), prefix, tokens[:7])
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if !reflect.DeepEqual(rows[i].IDs, streamed[i].IDs) || math.Abs(float64(rows[i].LogProbs[0]-streamed[i].LogProbs[0])) > 1e-4 {
			t.Errorf("position %d: streamed %+v, listed %+v", i, streamed[i], rows[i])
		}
	}
}

func TestRecordedServerWithTheDefaultCap(t *testing.T) {
	url := play(t, "default") // no flags
	caps := recognise(t, url, proxy.Want{Model: "base"}).Caps()
	if caps.TopLogprobs != 20 || caps.TopLogprobsCap != 20 || caps.VocabSize != 1024 || caps.Names != 0 || caps.Dense || caps.PrefixCache != "unknown" {
		t.Errorf("caps %+v", caps)
	}
	spoilsRows(t, caps.Notes)
	for _, c := range []struct {
		want proxy.Want
		says string
	}{
		{proxy.Want{TopLogprobs: 50}, "--max-logprobs 50"},
		{proxy.Want{TopLogprobs: -1}, "--max-logprobs -1"},
		{proxy.Want{Model: "other"}, `no model "other"; it has base`},
	} {
		if _, err := (Dialect{}).Recognise(t.Context(), client(t, url), c.want); err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, proxy.ErrOtherDialect) {
			t.Errorf("%+v: %v, want %q", c.want, err, c.says)
		}
	}
}

func TestRecordedServersWhoseLogprobsAreNoLogprobsAreRefused(t *testing.T) {
	for _, name := range []string{"processed_logprobs", "processed_logits", "raw_logits"} { // --logprobs-mode
		t.Run(name, func(t *testing.T) {
			_, err := Dialect{}.Recognise(t.Context(), client(t, play(t, name)), proxy.Want{TopLogprobs: 5})
			if err == nil || !strings.Contains(err.Error(), "--logprobs-mode raw_logprobs") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRecordedRefusals(t *testing.T) {
	server := recognise(t, play(t, "refusals"), proxy.Want{TopLogprobs: 2}) // the flags of whole
	text := server.Begin("")
	for name, prefix := range map[string][]eft.Token{
		"an id beyond the vocabulary":   {1, 5000},
		"more tokens than the context":  make([]eft.Token, 2049),
		"no room for a token behind it": make([]eft.Token, 2048),
		"no token":                      {},
	} {
		_, err := text.Rows(t.Context(), prefix, nil)
		var fault *proxy.Error
		if !errors.As(err, &fault) || fault.Fault != proxy.Refused || fault.Status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A stream has begun when vLLM finds that it cannot go on.
	bad := &Text{server: server.(*Server)}
	over := *bad.server
	over.shape.ask = 2000
	bad.server = &over
	_, err := bad.Continue(t.Context(), prefix, 4)
	var fault *proxy.Error
	if !errors.As(err, &fault) || fault.Fault != proxy.Refused || !strings.Contains(fault.Message, "max allowed: 1024") {
		t.Errorf("stream: %v", err)
	}
}

func TestRecordedTokenizer(t *testing.T) {
	server := recognise(t, play(t, "tokenizer"), proxy.Want{TopLogprobs: 1}) // the flags of whole
	ids, err := server.Tokenize(t.Context(), "Hello river <|im_end|>")
	if err != nil {
		t.Fatal(err)
	}
	text, err := server.Detokenize(t.Context(), ids)
	if err != nil || text != "Hello river <|im_end|>" {
		t.Errorf("%v are %q, %v", ids, text, err)
	}
	if ids, err := server.Tokenize(t.Context(), ""); err != nil || len(ids) != 0 {
		t.Errorf("nothing is %v, %v", ids, err)
	}
}

func sorted(row eft.Row) bool {
	for i := 1; i < len(row.IDs); i++ {
		a, b := row.LogProbs[i-1], row.LogProbs[i]
		if a < b || a == b && row.IDs[i-1] > row.IDs[i] {
			return false
		}
	}
	return true
}

func massOf(logProbs []float32) float64 {
	sum := 0.0
	for _, l := range logProbs {
		sum += math.Exp(float64(l))
	}
	return sum
}
