package llamacpptest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

type object = map[string]any

// pieces of the tests' model: letters, an end, a half of a character and its other half.
var pieces = [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("<|end|>"), {0xC3}, {0xA9}}

const end, half, otherHalf = 3, 4, 5

// counting is a model that likes the id behind the last one, of a, b and c.
func counting(prefix []eft.Token) []float32 {
	logits := []float32{3, 2, 1, 0, -1, -2}
	logits[(prefix[len(prefix)-1]+1)%3] += 5
	return logits
}

func serve(t *testing.T, options Options) string {
	t.Helper()
	options.Pieces, options.Ends = pieces, []eft.Token{end}
	server := httptest.NewServer(New(counting, options))
	t.Cleanup(server.Close)
	return server.URL
}

func post(t *testing.T, url, path string, body object) (int, string) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(url+path, "application/json", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// completed is what the tests read of an answer, or of an event.
type completed struct {
	Tokens    []int
	Stop      bool
	StopType  string `json:"stop_type"`
	Predicted int    `json:"tokens_predicted"`
	Positions []struct {
		ID      int
		LogProb float64 `json:"logprob"`
		Top     []struct {
			ID      int
			LogProb float64 `json:"logprob"`
		} `json:"top_logprobs"`
	} `json:"completion_probabilities"`
	Timings struct {
		Cached int `json:"cache_n"`
	}
}

func complete(t *testing.T, url string, body object) completed {
	t.Helper()
	body["temperature"] = 0
	status, text := post(t, url, "/completion", body)
	var out completed
	if err := json.Unmarshal([]byte(text), &out); status != 200 || err != nil {
		t.Fatalf("%d, %v: %s", status, err, text)
	}
	return out
}

func TestPinsAndGrammarsChooseAndRowsStay(t *testing.T) {
	url := serve(t, Options{})
	free := complete(t, url, object{"prompt": []int{0}, "n_predict": 1, "n_probs": 6})
	if free.Tokens[0] != 1 || free.Positions[0].Top[0].ID != 1 || len(free.Positions[0].Top) != 6 {
		t.Fatalf("behind a: %+v, want b", free)
	}
	sum := 0.0
	for _, top := range free.Positions[0].Top {
		sum += math.Exp(top.LogProb)
	}
	if math.Abs(sum-1) > 1e-6 {
		t.Errorf("probabilities sum to %v", sum)
	}
	pinned := complete(t, url, object{"prompt": []int{0}, "n_predict": 1, "n_probs": 6, "logit_bias": [][]float64{{2, 1e9}}})
	forced := complete(t, url, object{"prompt": []int{0}, "n_predict": 3, "n_probs": 6, "grammar": "root ::= <[2]> <[0]> <[2]>"})
	if pinned.Tokens[0] != 2 || !slices.Equal(forced.Tokens, []int{2, 0, 2}) {
		t.Errorf("pinned %v, forced %v", pinned.Tokens, forced.Tokens)
	}
	for name, other := range map[string]completed{"pinned": pinned, "forced": forced} {
		if !slices.Equal(other.Positions[0].Top, free.Positions[0].Top) {
			t.Errorf("%s: the row is %v, and was %v", name, other.Positions[0].Top, free.Positions[0].Top)
		}
	}
	if forced.Timings.Cached != 0 || complete(t, url, object{"prompt": []int{0, 2, 0, 2}, "n_predict": 1, "id_slot": 0}).Timings.Cached != 3 {
		t.Error("slot 0 holds the forced tokens, and did not use them")
	}
}

func TestTokensThatLeaveACharacterOpenHaveNoPosition(t *testing.T) {
	url := serve(t, Options{})
	pin := func(id int) [][]float64 { return [][]float64{{float64(id), 1e9}} }
	if got := complete(t, url, object{"prompt": []int{0}, "n_predict": 1, "n_probs": 2, "logit_bias": pin(half)}); got.Positions != nil {
		t.Errorf("positions %v, want none", got.Positions)
	}
	if got := complete(t, url, object{"prompt": []int{0}, "n_predict": 1, "n_probs": 2, "logit_bias": pin(otherHalf)}); len(got.Positions) != 1 {
		t.Errorf("positions %v, want one", got.Positions)
	}
}

func TestEndTokensEndAndHaveARow(t *testing.T) {
	url := serve(t, Options{})
	got := complete(t, url, object{"prompt": []int{0}, "n_predict": 5, "n_probs": 1, "logit_bias": [][]float64{{end, 1e9}}})
	if got.StopType != "eos" || len(got.Positions) != 1 || got.Positions[0].ID != end {
		t.Errorf("%+v", got)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		body    object
		status  int
		says    string
	}{
		{"no prompt", Options{}, object{"prompt": []int{}}, 400, "empty"},
		{"an id beyond", Options{}, object{"prompt": []int{6}}, 400, "invalid tokens"},
		{"too long", Options{Context: 3}, object{"prompt": []int{0, 0, 0}}, 400, "exceeds the available context"},
		{"a grammar of another kind", Options{}, object{"prompt": []int{0}, "grammar": `root ::= "a"`}, 400, "grammar"},
		{"an older server", Options{Grammars: Refused}, object{"prompt": []int{0}, "grammar": "root ::= <[1]>"}, 400, "grammar"},
		{"a token that grammars cannot match", Options{}, object{"prompt": []int{0}, "grammar": "root ::= <[4]>"}, 500, "empty grammar stack"},
		{"a server that is loading", Options{Loading: true}, object{"prompt": []int{0}}, 503, "Loading"},
		{"no key", Options{Key: "k"}, object{"prompt": []int{0}}, 401, "API Key"},
	} {
		c.body["temperature"] = 0
		status, text := post(t, serve(t, c.options), "/completion", c.body)
		if status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, status, text, c.status, c.says)
		}
	}
}

func TestStreamsSendAnEventForEachTokenAndALastOne(t *testing.T) {
	status, text := post(t, serve(t, Options{}), "/completion", object{"prompt": []int{0}, "n_predict": 3, "n_probs": 2, "temperature": 0, "stream": true})
	var tokens []int
	stops := 0
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event completed
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if event.Stop {
			stops++
			continue
		}
		if tokens = append(tokens, event.Positions[0].ID); event.Predicted != len(tokens) {
			t.Errorf("event %d tells of %d tokens", len(tokens), event.Predicted)
		}
	}
	if status != 200 || !slices.Equal(tokens, []int{1, 2, 0}) || stops != 1 {
		t.Errorf("%d, tokens %v, %d stops", status, tokens, stops)
	}
}

func TestListsOfPromptsAreAnsweredInOrder(t *testing.T) {
	_, text := post(t, serve(t, Options{}), "/completion", object{"prompt": [][]int{{0}, {1}}, "n_predict": 1, "n_probs": 1, "temperature": 0})
	var out []completed
	if err := json.Unmarshal([]byte(text), &out); err != nil || len(out) != 2 || out[0].Tokens[0] != 1 || out[1].Tokens[0] != 2 {
		t.Errorf("%v: %s", err, text)
	}
}

func TestPiecesAndTokens(t *testing.T) {
	url := serve(t, Options{})
	for _, c := range []struct {
		path string
		body object
		want string
	}{
		{"/tokenize", object{"content": "abc"}, `{"tokens":[0,1,2]}`},
		{"/tokenize", object{"content": []any{0, "b", 4}, "with_pieces": true}, `{"tokens":[{"id":0,"piece":"a"},{"id":1,"piece":"b"},{"id":4,"piece":[195]}]}`},
		{"/detokenize", object{"tokens": []int{0, 4, 5}}, `{"content":"aé"}`},
	} {
		if status, text := post(t, url, c.path, c.body); status != 200 || strings.TrimSpace(text) != c.want {
			t.Errorf("%s %v: %d %s, want %s", c.path, c.body, status, text, c.want)
		}
	}
}

// What a real llama-server was recorded to answer has the fields that this one answers,
// and whatever else.
func TestAnswersHaveFieldsThatTheRealOneHas(t *testing.T) {
	url := serve(t, Options{})
	recorded := func(name string) object {
		text, err := os.ReadFile(filepath.Join("..", "testdata", "b1-de3ff81", name))
		if err != nil {
			t.Fatal(err)
		}
		var pair struct{ Response object }
		if err := json.Unmarshal(text, &pair); err != nil {
			t.Fatal(err)
		}
		return pair.Response
	}
	for _, c := range []struct {
		file string
		body object
	}{
		{"row.json", object{"prompt": []int{0}, "n_predict": 1, "n_probs": 2}},
		{"path.json", object{"prompt": []int{0}, "n_predict": 2, "n_probs": 2, "grammar": "root ::= <[2]> <[0]>"}},
		{"open.json", object{"prompt": []int{0}, "n_predict": 1, "n_probs": 2, "logit_bias": [][]float64{{half, 1e9}}}},
		{"end.json", object{"prompt": []int{0}, "n_predict": 3, "n_probs": 2, "logit_bias": [][]float64{{end, 1e9}}}},
	} {
		c.body["temperature"] = 0
		_, text := post(t, url, "/completion", c.body)
		var ours object
		if err := json.Unmarshal([]byte(text), &ours); err != nil {
			t.Fatal(err)
		}
		within(t, c.file, ours, recorded(c.file))
		if theirs := recorded(c.file); !slices.Equal(slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs))) {
			t.Errorf("%s: fields %v, recorded %v", c.file, slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs)))
		}
	}
	for path, file := range map[string]string{"/props": "props.json", "/v1/models": "models.json"} {
		response, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		var ours object
		err = json.NewDecoder(response.Body).Decode(&ours)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		within(t, file, ours, recorded(file))
	}
}

// within fails where ours has a field that theirs has not, or of another kind.
func within(t *testing.T, at string, ours, theirs any) {
	t.Helper()
	switch ours := ours.(type) {
	case object:
		known, ok := theirs.(object)
		if !ok {
			t.Errorf("%s is an object, recorded %T", at, theirs)
			return
		}
		for name, value := range ours {
			if _, ok := known[name]; !ok {
				t.Errorf("%s.%s was not recorded", at, name)
				continue
			}
			within(t, at+"."+name, value, known[name])
		}
	case []any:
		known, ok := theirs.([]any)
		if !ok {
			t.Errorf("%s is a list, recorded %T", at, theirs)
		} else if len(ours) > 0 && len(known) > 0 {
			within(t, at+"[0]", ours[0], known[0])
		}
	case string:
		if _, ok := theirs.(string); !ok {
			t.Errorf("%s is a string, recorded %T", at, theirs)
		}
	case float64:
		if _, ok := theirs.(float64); !ok {
			t.Errorf("%s is a number, recorded %T", at, theirs)
		}
	}
}
