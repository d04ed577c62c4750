package enginetest

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func TestRowsAreLogProbs(t *testing.T) {
	inf := float32(math.Inf(-1))
	for name, c := range map[string]struct{ logits, want []float32 }{
		// By hand: 1/4 and 3/4, and 1/2 twice.
		"odds":              {[]float32{0, float32(math.Log(3))}, []float32{-1.3862944, -0.2876821}},
		"large logits":      {[]float32{3e38, 3e38}, []float32{-0.6931472, -0.6931472}},
		"what is forbidden": {[]float32{7, inf, 7}, []float32{-0.6931472, inf, -0.6931472}},
	} {
		row := LogSoftmax(c.logits)
		for id, want := range c.want {
			if row[id] != want && !(math.Abs(float64(row[id]-want)) < 1e-6) {
				t.Errorf("%s: id %d has %v, want %v", name, id, row[id], want)
			}
		}
	}
}

func TestTheBestComeFirst(t *testing.T) {
	row := []float32{-3, -1, -2, -1}
	for k, want := range map[int][]eft.Token{0: {}, 1: {1}, 3: {1, 3, 2}, 9: {1, 3, 2, 0}} {
		if got := Best(row, k); !slices.Equal(got, want) {
			t.Errorf("the %d best are %v, want %v", k, got, want)
		}
	}
}

func TestTextIsCutIntoTheLongestPieces(t *testing.T) {
	pieces := [][]byte{[]byte("a"), nil, []byte("ab"), []byte("ab"), []byte("abd")}
	for text, want := range map[string]string{"abc": `2 "c" true`, "abdab": `4 "ab" true`, "b": `0 "b" false`, "": `0 "" false`} {
		id, rest, ok := Longest(pieces, text)
		if got := fmt.Sprintf("%d %q %v", id, rest, ok); got != want {
			t.Errorf("%q is cut into %s, want %s", text, got, want)
		}
	}
	if n := Common([]eft.Token{1, 2, 3}, []eft.Token{1, 2}); n != 2 {
		t.Errorf("%d tokens in common, want 2", n)
	}
}

func TestServersKeepWhatTheyWereAsked(t *testing.T) {
	var requests Requests
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := requests.Read(r); err != nil {
			return
		}
		Stream(w)
		Send(w, []int{1})
		Done(w)
	}))
	defer server.Close()
	for _, body := range []string{`{"a":1}`, `not JSON`} {
		response, err := http.Post(server.URL, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if want := "data: [1]\n\ndata: [DONE]\n\n"; string(text) != want || err != nil || response.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("answered %q, %v, want %q", text, err, want)
		}
	}
	if got := fmt.Sprintf("%s", requests.Take()); got != `[{"a":1} not JSON]` || requests.Take() != nil {
		t.Errorf("kept %s", got)
	}
}

func TestAServerMaySayWhatKindOfJSONItIs(t *testing.T) {
	for set, want := range map[string]string{"": "application/json", "application/json; charset=utf-8": "application/json; charset=utf-8"} {
		w := httptest.NewRecorder()
		if set != "" {
			w.Header().Set("Content-Type", set)
		}
		Reply(w, http.StatusTeapot, map[string]int{"a": 1})
		if got := w.Header().Get("Content-Type"); got != want || w.Code != http.StatusTeapot || w.Body.String() != "{\"a\":1}\n" {
			t.Errorf("%d, %s, %s", w.Code, got, w.Body)
		}
	}
}
