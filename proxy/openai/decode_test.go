package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/dialecttest"
)

// scripted is a recognised server that answers every request with body.
func scripted(t testing.TB, kind, body string) *server {
	t.Helper()
	vocabulary := eft.NewVocabulary(pieces())
	s := &server{client: dialecttest.Saying(t, kind, body), vocabulary: vocabulary, naming: newNaming(vocabulary), answers: "m", pin: -1, other: new(atomic.Pointer[string])}
	s.naming.asIDs, s.caps.TopLogprobs = true, 3
	return s
}

func answering(logprobs string) string {
	return `{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" red","index":0,"logprobs":` + logprobs +
		`,"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}`
}

func TestDocumentedShapes(t *testing.T) {
	for name, test := range map[string]struct{ logprobs, want string }{
		"legacy":                     {`{"tokens":[" red"],"token_logprobs":[-0.5],"top_logprobs":[{"blue":-2.5," red":-0.5,"mill":-1.5}],"text_offset":[3]}`, "[2 13 3] [-0.5 -1.5 -2.5]"},
		"legacy, bytes":              {`{"tokens":["bytes:\\xe2\\x80"],"token_logprobs":[-0.5],"top_logprobs":[{"blue":-2.5,"bytes:\\xe2\\x80":-0.5,"bytes: \\xe2":-1.5}]}`, "[31 32 3] [-0.5 -1.5 -2.5]"},
		"legacy, ids":                {`{"tokens":["token_id:35"],"token_logprobs":[-0.5],"top_logprobs":[{"token_id:34":-2.5,"token_id:35":-0.5,"token_id:39":-1.5}]}`, "[35 34] [-0.5 -2.5]"},
		"legacy, one more":           {`{"tokens":["é"],"token_logprobs":[-9],"top_logprobs":[{"é":-9,"red":-1,"blue":-1,"mill":-2}]}`, "error lists id 1"},
		"legacy, a tie":              {`{"tokens":["blue"],"token_logprobs":[-1],"top_logprobs":[{"é":-9,"red":-1,"blue":-1}]}`, "[1 3 36] [-1 -1 -9]"},
		"legacy, −∞ as servers do":   {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"blue":-9999.0,"mill":null}]}`, "[1] [-0.5]"},
		"chat, bytes":                {`{"content":[{"token":" red","logprob":-0.5,"bytes":[32,114,101,100],"top_logprobs":[{"token":" red","logprob":-0.5,"bytes":[32,114,101,100]},{"token":"\ufffd","logprob":-1,"bytes":[153]},{"token":"é","logprob":-2,"bytes":null}]}]}`, "[2 33 36] [-0.5 -1 -2]"},
		"chat, ids":                  {`{"content":[{"token":"x","logprob":-0.5,"id":34,"top_logprobs":[{"token":"x","id":34,"logprob":-0.5},{"token":"x","token_id":35,"logprob":-1},{"token":"x","id":1,"logprob":-2}]}]}`, "[34 35 1] [-0.5 -1 -2]"},
		"ends above what is unknown": {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"same":-1.5,"blue":-2}]}`, "[1] [-0.5]"},
		"as good as the best":        {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"same":-0.5,"blue":-2}]}`, "error \"same\""},
		"as good when rounded":       {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"same":-0.50000000001,"blue":-2}]}`, "error \"same\""},
		"the best is unknown":        {`{"tokens":["\ufffd"],"token_logprobs":[-0.5],"top_logprobs":[{"\ufffd":-0.5,"red":-1.5,"blue":-2}]}`, "error part of a character"},
		"what is left of a part":     {`{"tokens":[" "],"token_logprobs":[-0.5],"top_logprobs":[{" ":-0.5,"red":-1.5,"blue":-2}]}`, "error what is left"},
		"merged names":               {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"blue":-1,"":-8}]}`, "[1 3] [-0.5 -1]"},
		"merged names, one lost":     {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"":-8}]}`, "[1] [-0.5]"},
		"a name twice":               {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"blue":-1,"blue":-2}]}`, "error id 3 twice"},
		"no names at all":            {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":null}`, "error without the best"},
		"none":                       {`null`, "error without log-probs"},
		"lists of other lengths":     {`{"tokens":["red"],"token_logprobs":[],"top_logprobs":[{}]}`, "error malformed"},
		"probabilities":              {`{"tokens":["red"],"token_logprobs":[0.5],"top_logprobs":[{"red":0.5}]}`, "error log-prob"},
		"two tokens":                 {`{"tokens":["red","red"],"token_logprobs":[-1,-1],"top_logprobs":[{"red":-1},{"red":-1}]}`, "error 2 tokens"},
		"not an object":              {`{"tokens":["red"],"token_logprobs":[-1],"top_logprobs":[["red"]]}`, "error want an object"},
		"text of ids":                {`{"tokens":["token_id:x"],"token_logprobs":[-1],"top_logprobs":[{"token_id:x":-1}]}`, "error token_id:x"},
		"bytes that are none":        {`{"tokens":["bytes:\\xg1"],"token_logprobs":[-1],"top_logprobs":[{"bytes:\\xg1":-1}]}`, "error is not bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := scripted(t, "application/json", answering(test.logprobs)).rows(t.Context(), []eft.Token{5, 6}, nil)
			if says, fails := strings.CutPrefix(test.want, "error "); fails {
				if err == nil || !strings.Contains(err.Error(), strings.Trim(says, "\"")) {
					t.Errorf("rows %v, error %v, want %q", rows, err, says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(rows[0].IDs, rows[0].LogProbs); got != test.want {
				t.Errorf("row %s, want %s", got, test.want)
			}
		})
	}
}

func TestAnswersToAnotherQuestionAreRefused(t *testing.T) {
	good := answering(`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"blue":-1,"mill":-2}]}`)
	for name, test := range map[string]struct{ from, to, says string }{
		"another model":        {`"model":"m"`, `"model":"n"`, "changed"},
		"a longer prompt":      {`"prompt_tokens":2`, `"prompt_tokens":3`, "counts 3"},
		"an error in place":    {good, `{"error":{"message":"overloaded"}}`, "overloaded"},
		"no choice":            {`"choices":[`, `"choices":[],"more":[`, "0 choices"},
		"half of it":           {good, good[:80], "malformed"},
		"a page":               {good, "<html>", "malformed"},
		"a text without a row": {`{"tokens":["red"],"token_logprobs":[-0.5],"top_logprobs":[{"red":-0.5,"blue":-1,"mill":-2}]}`, `{"tokens":[],"token_logprobs":[],"top_logprobs":[]}`, "without log-probs"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(good, test.from, test.to, 1)
			_, err := scripted(t, "application/json", body).rows(t.Context(), []eft.Token{5, 6}, nil)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
}

func event(text, token, finish string) string {
	logprobs := "null"
	if token != "" {
		logprobs = fmt.Sprintf(`{"tokens":[%q],"token_logprobs":[-0.5],"top_logprobs":[{%q:-0.5,"é":-3,"h":-4}]}`, token, token)
	}
	return fmt.Sprintf(`data: {"model":"m","choices":[{"text":%q,"index":0,"logprobs":%s,"finish_reason":%s}]}`+"\n\n", text, logprobs, finish)
}

func TestStreamsByTheirEvents(t *testing.T) {
	const done = "data: [DONE]\n\n"
	for _, test := range []struct{ name, body, want string }{
		{"a token at a time", event("red", "red", "null") + event(" blue", " blue", `"length"`) + done, "1 4 EOF"},
		{"the reason alone", event("red", "red", "null") + event("", "", `"stop"`) + done, "1 EOF"},
		{"usage behind it", event("red", "red", `"stop"`) + `data: {"model":"m","choices":[],"usage":{"prompt_tokens":3}}` + "\n\n" + done, "1 EOF"},
		{"text held back", event("", "red", "null") + event("red blue", " blue", `"length"`) + done, "1 4 EOF"},
		{"an end token that is not shown", event("red", "red", "null") + event("", "</s>", `"stop"`) + done, "1 0 EOF"},
		{"text without its row", event("red", "red", "null") + event(" blue", "", "null") + event(" mill", " mill", `"length"`) + done, "1|came with log-probs"},
		{"a token that cannot be told", event("red", "red", "null") + event("\ufffd", "\ufffd", "null"), "1|part of a character"},
		{"a cut", event("red", "red", "null"), "1|cut"},
		{"no reason", event("red", "red", "null") + done, "1|no reason"},
		{"an error", event("red", "red", "null") + `data: {"error":{"message":"gone"}}` + "\n\n", "1|gone"},
		{"not JSON", event("red", "red", "null") + "data: {\n\n", "1|JSON"},
		{"more than asked for", strings.Repeat(event("red", "red", "null"), 5), "1 1 1 1|more tokens"},
		{"another model", strings.Replace(event("red", "red", "null"), `"m"`, `"n"`, 1), "|changed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dialecttest.Streamed(t, &text{server: scripted(t, "text/event-stream", test.body)}, test.want)
		})
	}
}

func TestShownTextFollowsTokens(t *testing.T) {
	for _, test := range []struct {
		told, shown string
		want        bool
	}{
		{"red blue", "red", true}, {"red", "red blue", false}, {"red", "rod", false}, {"", "", true},
		{"a\xe2\x80\x99b", "a\ufffd", true}, {"a\xe2\x80b", "a\ufffdb", true}, {"a\xe2\x80b", "a\ufffd\ufffdb", true}, {"a\xe2\x80b", "a\ufffdc", false},
	} {
		if got := follows(test.told, test.shown); got != test.want {
			t.Errorf("%q follows %q: %v", test.shown, test.told, got)
		}
	}
}

func TestCuttersReadTheirServers(t *testing.T) {
	for body, want := range map[string]string{
		`{"tokens":[1,2]}`: "[1 2]", // llama-cpp-python
		`[{"id":1,"text":"a","start":0,"stop":1},{"id":2,"text":"b","start":1,"stop":2}]`: "[1 2]", // text-generation-inference
		`{"error":"x"}`: "error", `[1.5]`: "error", `"x"`: "error",
	} {
		s := scripted(t, "application/json", body)
		got := "error"
		for _, c := range cutters() {
			if ids, err := c.cut(t.Context(), s.client, "ab"); err == nil && len(ids) > 0 {
				got = fmt.Sprint(ids)
			}
		}
		if got != want {
			t.Errorf("%s: ids %s, want %s", body, got, want)
		}
	}
}

func TestListsOfModels(t *testing.T) {
	for body, want := range map[string]int{
		`{"object":"list","data":[{"id":"a"},{"id":"b"}]}`: 2, `[{"id":"a","context_length":4096}]`: 1, `{"data":[]}`: 0, `{}`: -1, `"x"`: -1,
	} {
		var list modelList
		n := -1
		if err := json.Unmarshal([]byte(body), &list); err == nil {
			n = len(list)
		}
		if n != want {
			t.Errorf("%s: %d models, want %d", body, n, want)
		}
	}
}

func FuzzCompletion(f *testing.F) {
	f.Add([]byte(answering(`{"tokens":[" red"],"token_logprobs":[-0.5],"top_logprobs":[{"blue":-2.5," red":-0.5,"bytes:\\xe2\\x80":-1.5}]}`)))
	f.Add([]byte(answering(`{"tokens":["token_id:35"],"token_logprobs":[-0.5],"top_logprobs":[{"token_id:34":-2.5,"token_id:35":-0.5}]}`)))
	f.Add([]byte(answering(`{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.5,"token_id":36}]}]}`)))
	vocabulary := eft.NewVocabulary(pieces())
	s := &server{client: dialecttest.Client(f, "http://127.0.0.1:1"), vocabulary: vocabulary, naming: newNaming(vocabulary), pin: -1, other: new(atomic.Pointer[string])}
	s.naming.asIDs, s.caps.TopLogprobs = true, 3
	f.Fuzz(func(t *testing.T, data []byte) {
		var out completion
		if json.Unmarshal(data, &out) != nil {
			return
		}
		c := &continuation{server: s, left: 4}
		_ = c.take(&out)
		if len(c.queue) > 4 {
			t.Errorf("%d tokens of 4", len(c.queue))
		}
		for _, choice := range out.Choices {
			for _, p := range choice.Logprobs {
				row, err := s.row(p, true)
				if err != nil {
					continue
				}
				top, _ := best(p)
				if n := len(row.IDs); n < 1 || n > 3 || row.Best != n || len(row.LogProbs) != n {
					t.Fatalf("row %v", row)
				}
				if id, err := s.naming.id(top); err == nil && int(id) < vocabulary.Size() && float64(row.LogProbs[0]) < top.logProb-1e-2*math.Abs(top.logProb) {
					t.Errorf("row %v, and the best is %v", row, top)
				} else if err != nil && !errors.Is(err, proxy.ErrNotOneToken) {
					t.Errorf("error %v", err)
				}
			}
		}
	})
}
