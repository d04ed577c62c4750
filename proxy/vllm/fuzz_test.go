package vllm

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// plain is the same answer as encoding/json reads it: what the lean decoder must agree
// with.
type plain struct {
	Choices []struct {
		Index    *int    `json:"index"`
		Finish   *string `json:"finish_reason"`
		Logprobs *struct {
			Tokens []string              `json:"tokens"`
			Top    []map[string]*float64 `json:"top_logprobs"`
		} `json:"logprobs"`
	} `json:"choices"`
}

func equalChoices(a, b choice) bool {
	return a.index == b.index && a.finish == b.finish && slices.EqualFunc(a.positions, b.positions, func(a, b position) bool {
		return a.token == b.token && slices.Equal(a.listed, b.listed)
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(whole(row(0, "token_id:1", `{"token_id:1":-0.5,"token_id:2":-9999.0,"token_id:3":-1e-07}`))))
	f.Add([]byte(whole(row(1, "token_id:1", `{}`), row(0, "token_id:4", `{"token_id:4":0}`))))
	f.Add([]byte(`{"choices":[{"index":0,"logprobs":null,"text":"a\"b\\","finish_reason":null}],"usage":null,"error":null}`))
	f.Add([]byte(`{"choices":[],"usage":{"prompt_tokens_details":{"cached_tokens":3}}}`))
	f.Add([]byte(" { \"ch\\u006fices\" : [ {\"index\" : 2 , \"x\":[[{}],{\"y\":[1,\"]\"]}], \"logprobs\" :{\"tokens\":[ ] , \"top_logprobs\":[ ]} } ] } "))
	f.Add([]byte(`{"choices":[{"index":0,"logprobs":{"tokens":["token_id:1"],"top_logprobs":[{"token_id:1":-0.5,"token_id:1":-1}]}}]}`))
	f.Add([]byte(`{"choices":[{"index":1e0,"logprobs":{"tokens":["token_id:01"],"top_logprobs":[{"token_id:7":1E-2}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Even what is no JSON is read to some end.
		_ = new(answer).UnmarshalJSON(data)
		var lean answer
		if json.Unmarshal(data, &lean) != nil {
			return
		}
		// Memory of other answers leaves no trace.
		used := answer{
			choices: []choice{{index: 7, finish: "stop", positions: make([]position, 2)}},
			spare:   [][]eft.Scored{nil, {{ID: 5, LogProb: -5}, {ID: 6, LogProb: -6}}, {}},
		}
		if err := used.ReadLean(data); err != nil || !slices.EqualFunc(used.choices, lean.choices, equalChoices) {
			t.Errorf("%+v, %v in memory that was used, want %+v", used.choices, err, lean.choices)
		}
		for _, c := range lean.choices {
			for _, p := range c.positions {
				for _, shape := range []shape{{k: 2}, {k: 2, vocabulary: 3}, {dense: true, vocabulary: 4}} {
					row, err := shape.row(append([]eft.Scored(nil), p.listed...))
					if err == nil && !shape.dense && (len(row.IDs) > 2 || !sorted(row)) {
						t.Errorf("row %+v", row)
					}
				}
			}
		}
		var reference plain
		if ambiguous(data) || json.Unmarshal(data, &reference) != nil {
			return // the lean decoder does not look at what it does not need
		}
		if len(lean.choices) != len(reference.Choices) {
			t.Fatalf("%d choices, want %d", len(lean.choices), len(reference.Choices))
		}
		for i, want := range reference.Choices {
			got := lean.choices[i]
			if want.Index != nil && got.index != *want.Index || want.Finish != nil && got.finish != *want.Finish {
				t.Fatalf("choice %d: %+v", i, got)
			}
			if want.Logprobs == nil {
				continue
			}
			if len(got.positions) != len(want.Logprobs.Tokens) {
				t.Fatalf("choice %d has %d positions, want %d", i, len(got.positions), len(want.Logprobs.Tokens))
			}
			for j, p := range got.positions {
				agree(t, p, want.Logprobs.Tokens[j], want.Logprobs.Top[j])
			}
		}
	})
}

// ambiguous is text for which encoding/json has rules of its own: names in other cases,
// names that come twice, and names that hold no valid text.
func ambiguous(data []byte) bool {
	for _, name := range []string{"choices", "index", "finish_reason", "logprobs", "tokens", "top_logprobs", "token_id:"} {
		lower := strings.ToLower(string(data))
		if strings.Count(lower, name) != strings.Count(string(data), name) {
			return true
		}
	}
	return strings.ContainsAny(string(data), "\\") || strings.Count(string(data), `"choices"`) > 1 ||
		repeatedNames(data) || strings.ContainsRune(string(data), 'ſ') || strings.ContainsRune(string(data), 'K')
}

// repeatedNames walks over tokens and says whether an object has a name twice.
func repeatedNames(data []byte) bool {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	type level struct {
		names map[string]bool // nil in an array
		name  bool            // a name is due
	}
	var levels []level
	for {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		top := len(levels) - 1
		if text, ok := token.(string); ok && top >= 0 && levels[top].names != nil && levels[top].name {
			if levels[top].names[text] {
				return true
			}
			levels[top].names[text], levels[top].name = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{map[string]bool{}, true})
			continue
		case json.Delim('['):
			levels = append(levels, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:top]
		}
		if top = len(levels) - 1; top >= 0 && levels[top].names != nil {
			levels[top].name = true
		}
	}
}

func agree(t *testing.T, got position, token string, top map[string]*float64) {
	t.Helper()
	if id, err := strconv.Atoi(strings.TrimPrefix(token, tokenPrefix)); err != nil || eft.Token(id) != got.token {
		t.Fatalf("token %d, want %s", got.token, token)
	}
	if len(got.listed) < len(top) {
		t.Fatalf("%d listed, want %d", len(got.listed), len(top))
	}
	for _, s := range got.listed {
		want := math.NaN()
		for name, value := range top {
			if id, err := strconv.Atoi(strings.TrimPrefix(name, tokenPrefix)); err == nil && eft.Token(id) == s.ID && value != nil && *value > leastLogprob {
				want = *value
			} else if err == nil && eft.Token(id) == s.ID {
				want = math.Inf(-1)
			}
		}
		if float32(want) != s.LogProb && len(top) == len(got.listed) && !math.IsInf(want, -1) {
			t.Fatalf("token %d has %v, want %v", s.ID, s.LogProb, want)
		}
	}
}
