package sglang

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/dialecttest"
)

// scripted is a recognised server that answers every request with body.
func scripted(t testing.TB, kind, body string) *server {
	t.Helper()
	return &server{
		client: dialecttest.Saying(t, kind, body), vocabulary: eft.NewVocabulary(pieces()), pass: true, segment: 4,
		caps: proxy.Caps{TopLogprobs: 2, VocabSize: vocabulary}, weights: json.RawMessage(`"a"`),
	}
}

// good is the answer to one prefix token 7 and the path 8: written by the wire format
// of meta_info, with the row behind 7 in input_top_logprobs[1].
const good = `{"text":"x","output_ids":[5],"meta_info":{"finish_reason":{"type":"length","length":1},"prompt_tokens":2,"completion_tokens":1,"cached_tokens":0,"weight_version":"a",
"input_token_logprobs":[[null,7,null],[-2.5,8,null]],"input_top_logprobs":[null,[[-0.5,3,null],[-1.5,4,null]]],
"output_token_logprobs":[[-0.25,5,null]],"output_top_logprobs":[[[-0.25,5,null],[null,6,null]]]}}`

func TestDocumentedAnswer(t *testing.T) {
	rows, err := scripted(t, "application/json", good).rows(t.Context(), "", []eft.Token{7}, []eft.Token{8})
	if err != nil {
		t.Fatal(err)
	}
	want := "[{[] [3 4] [-0.5 -1.5] 2} {[] [5] [-0.25] 1}]"
	if got := fmt.Sprint(rows); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
}

func TestWrongAnswersAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ from, to, says string }{
		"not JSON":                   {good, `{"meta_info":`, "JSON"},
		"another prompt's token":     {`[-2.5,8,null]`, `[-2.5,9,null]`, "id 9 where id 8"},
		"a prompt that was cut":      {`"prompt_tokens":2`, `"prompt_tokens":1`, "--allow-auto-truncate"},
		"rows for too few":           {`[null,[[-0.5,3,null],[-1.5,4,null]]]`, `[null]`, "want 2"},
		"no rows at all":             {`[[[-0.25,5,null],[null,6,null]]]`, `[]`, "want those of 1"},
		"fewer than k":               {`[[-0.5,3,null],[-1.5,4,null]]`, `[[-0.5,3,null]]`, "a row of 1"},
		"an id twice":                {`[-1.5,4,null]`, `[-1.5,3,null]`, "id 3 twice"},
		"nothing finite":             {`[[-0.25,5,null],[null,6,null]]`, `[[null,5,null],[null,6,null]]`, "finite"},
		"a probability above 1":      {`[-0.5,3,null]`, `[0.5,3,null]`, "log-prob"},
		"a negative id":              {`[-0.5,3,null]`, `[-0.5,-3,null]`, "id is not one"},
		"an id that is text":         {`[-0.5,3,null]`, `[-0.5,"3",null]`, "id is not one"},
		"an entry that is a number":  {`[-0.5,3,null]`, `-0.5`, "want [log-prob, id, text]"},
		"other weights":              {`"weight_version":"a"`, `"weight_version":"b"`, "changed"},
		"nothing generated":          {`"completion_tokens":1`, `"completion_tokens":0`, "0 tokens were generated"},
		"the server gave up":         {`{"type":"length","length":1}`, `{"type":"abort","message":"out of memory","status_code":500}`, "out of memory"},
		"an error in place of it":    {good, `{"error":{"message":"bad luck","code":400}}`, "bad luck"},
		"a list in place of one":     {good, `[` + good + `]`, "JSON"},
		"null in place of the lists": {`"output_top_logprobs":[[[-0.25,5,null],[null,6,null]]]`, `"output_top_logprobs":null`, "want those of 1"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(good, test.from, test.to, 1)
			if body == good {
				t.Fatal("the test changes nothing")
			}
			rows, err := scripted(t, "application/json", body).rows(t.Context(), "", []eft.Token{7}, []eft.Token{8})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("rows %v, error %v, want %q", rows, err, test.says)
			}
		})
	}
}

func event(finish string, completion int, tokens ...int) string {
	var top, own []string
	for _, id := range tokens {
		own = append(own, fmt.Sprintf("[-0.5,%d,null]", id))
		top = append(top, fmt.Sprintf("[[-0.5,%d,null],[-3,%d,null]]", id, id+1))
	}
	return fmt.Sprintf(`data: {"meta_info":{"finish_reason":%s,"prompt_tokens":1,"completion_tokens":%d,"output_token_logprobs":[%s],"output_top_logprobs":[%s]}}`+"\n\n",
		finish, completion, strings.Join(own, ","), strings.Join(top, ","))
}

func TestStreamsByTheirEvents(t *testing.T) {
	const done, stop = "data: [DONE]\n\n", `{"type":"stop","matched":9}`
	for _, test := range []struct {
		name, body, want string
	}{
		{"whole lists that grow", event("null", 1, 3) + event("null", 2, 3, 4) + event(stop, 3, 3, 4, 9) + done, "3 4 9 EOF"},
		{"lists ahead of their count", event("null", 1, 3, 4) + event("null", 2, 3, 4) + event(stop, 3, 3, 4, 9) + done, "3 4 9 EOF"},
		{"only what is new", event("null", 1, 3) + event("null", 3, 4, 5) + event(stop, 4, 9) + done, "3 4 5 9 EOF"},
		{"an end at once", event(stop, 1, 9) + done, "9 EOF"},
		{"fewer than asked for lack of room", event(`{"type":"length","length":2}`, 2, 3, 4) + done, "3 4 EOF"},
		{"a token without a row", event("null", 1, 3) + event(stop, 3, 4) + done, "3|1 tokens came before"},
		{"more than asked for", event("null", 5, 3, 4, 5, 6, 7), "|more than the 4"},
		{"no reason to end", event("null", 1, 3) + done, "3|says no reason"},
		{"a cut", event("null", 1, 3), "3|cut"},
		{"an error inside", event("null", 1, 3) + `data: {"error":{"message":"the model is gone","code":503}}` + "\n\n" + done, "3|the model is gone"},
		{"not JSON", event("null", 1, 3) + "data: {\n\n", "3|JSON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dialecttest.Streamed(t, &text{server: scripted(t, "text/event-stream", test.body)}, test.want)
		})
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"meta_info":{"prompt_tokens":2,"completion_tokens":1,"input_token_logprobs":[[null,7],[0,8]],"input_top_logprobs":[null,[]],"output_top_logprobs":[[]]}}`))
	f.Add([]byte(`{"error":{"message":"x"}}`))
	f.Add([]byte(`[[-1,2,"a]b,"]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &server{client: dialecttest.Client(t, "http://127.0.0.1:1"), vocabulary: eft.NewVocabulary(pieces()), pass: true, segment: 4, caps: proxy.Caps{TopLogprobs: 2, VocabSize: vocabulary}}
		var out answer
		_ = new(answers).ReadLean(data) // whatever it is, it ends
		if out.ReadLean(data); json.Unmarshal(data, &out) != nil {
			return
		}
		compare(t, data, &out)
		c := &continuation{server: s, segment: 4, prompt: 2}
		if c.take(&out.Meta) == nil && len(c.queue) > 4 {
			t.Errorf("%d tokens of 4", len(c.queue))
		}
		if s.check(&out, 2, 1) != nil {
			return
		}
		positions, err := s.positions(&out, []eft.Token{7}, []eft.Token{8}, out.Meta.InputTop, out.Meta.OutputTop)
		if err != nil {
			return
		}
		rows, err := s.canonical(positions)
		if err != nil {
			return
		}
		if len(rows) != 2 {
			t.Fatalf("%d rows", len(rows))
		}
		for _, row := range rows {
			if row.Best < 1 || row.Best > 2 || len(row.IDs) != row.Best || len(row.LogProbs) != row.Best {
				t.Errorf("row %v", row)
			}
		}
	})
}

// plain is an answer as encoding/json reads it: what reading by hand must agree with.
type plain struct {
	Meta struct {
		Prompt    int               `json:"prompt_tokens"`
		InputTop  [][][]json.Number `json:"input_top_logprobs"`
		OutputTop [][][]json.Number `json:"output_top_logprobs"`
	} `json:"meta_info"`
}

// compare leaves out what encoding/json has rules of its own for: names that come twice or
// in other letters, and texts in entries.
func compare(t *testing.T, data []byte, got *answer) {
	t.Helper()
	var want plain
	text := strings.ToLower(string(data))
	for _, name := range []string{"meta_info", "prompt_tokens", "input_top_logprobs", "output_top_logprobs"} {
		if strings.Count(text, name) != 1 || strings.Count(string(data), name) != 1 {
			return
		}
	}
	if strings.ContainsAny(text, "\\ſ") || json.Unmarshal(data, &want) != nil {
		return
	}
	if got.Meta.PromptTokens != want.Meta.Prompt {
		t.Errorf("%d tokens of prompt, want %d", got.Meta.PromptTokens, want.Meta.Prompt)
	}
	for name, side := range map[string]struct {
		got  [][]entry
		want [][][]json.Number
	}{"input": {got.Meta.InputTop, want.Meta.InputTop}, "output": {got.Meta.OutputTop, want.Meta.OutputTop}} {
		if len(side.got) != len(side.want) {
			t.Fatalf("%s: %d positions, want %d", name, len(side.got), len(side.want))
		}
		for i, entries := range side.want {
			if len(side.got[i]) != len(entries) {
				t.Fatalf("%s: %d entries, want %d", name, len(side.got[i]), len(entries))
			}
			for j, e := range entries {
				id, err := e[1].Int64()
				p, _ := e[0].Float64()
				if e[0] == "" {
					p = math.Inf(-1)
				}
				if err == nil && (int64(side.got[i][j].ID) != id || side.got[i][j].LogProb != float32(p) && math.Abs(float64(side.got[i][j].LogProb)-p) > 1e-6*math.Abs(p)) {
					t.Errorf("%s: entry %v, want %v", name, side.got[i][j], e)
				}
			}
		}
	}
}
