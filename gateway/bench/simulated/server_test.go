package simulated

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// bubble runs a test of a server whose time is the test's own.
func bubble(t *testing.T, do func(t *testing.T, s *Server)) {
	synctest.Test(t, func(t *testing.T) {
		s := New(simulation(&fakeModel{}))
		defer s.Close()
		do(t, s)
	})
}

// post sends a body and returns the answer.
func post(s *Server, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w
}

// decode reads an answer that must be good.
func decode[T any](t *testing.T, w *httptest.ResponseRecorder) (value T) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &value); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return value
}

// truth are the log-probs behind a text, in float64.
func truth(text []eft.Token) []float64 {
	scores, sum := fakeScores(text), 0.0
	for _, s := range scores {
		sum += math.Exp(float64(s))
	}
	row := make([]float64, len(scores))
	for id, s := range scores {
		row[id] = float64(s) - math.Log(sum)
	}
	return row
}

// greedy is the model's own text behind a prompt.
func greedy(prompt []eft.Token, n int) []eft.Token {
	text := slices.Clone(prompt)
	for range n {
		row, best := truth(text), 0
		for id, p := range row {
			if p > row[best] {
				best = id
			}
		}
		text = append(text, eft.Token(best))
	}
	return text[len(prompt):]
}

type completionAnswer struct {
	Choices []struct {
		Index    int
		Text     string
		Logprobs *struct {
			Tokens []string
			Own    []float64            `json:"token_logprobs"`
			Top    []map[string]float64 `json:"top_logprobs"`
		}
		Finish *string `json:"finish_reason"`
		Reason any     `json:"stop_reason"`
		IDs    []int   `json:"token_ids"`
	}
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Details    struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
}

func idList(tokens []eft.Token) string { return string(appendIDs(nil, tokens)) }

func TestBothWaysOfCheckingAPathGiveTheModelsRows(t *testing.T) {
	for _, k := range []int{1, 5, fakeVocabulary} {
		bubble(t, func(t *testing.T, s *Server) {
			prefix, path := counting(2, 20), []eft.Token{7, 1, 30, 7}
			whole := slices.Concat(prefix, path)
			var prompts []string
			for n := len(prefix); n <= len(whole); n++ {
				prompts = append(prompts, idList(whole[:n]))
			}
			asked := k
			if k == fakeVocabulary {
				asked = -1
			}
			byList := decode[completionAnswer](t, post(s, "/v1/completions", fmt.Sprintf(
				`{"prompt":[%s],"max_tokens":1,"temperature":0,"logprobs":%d,"return_tokens_as_token_ids":true,"ignore_eos":true}`, strings.Join(prompts, ","), asked)))
			onePass := decode[struct {
				Meta struct {
					Input  [][][]any `json:"input_top_logprobs"`
					Output [][][]any `json:"output_top_logprobs"`
				} `json:"meta_info"`
			}](t, post(s, "/generate", fmt.Sprintf(
				`{"input_ids":%s,"sampling_params":{"max_new_tokens":1,"temperature":1,"top_k":1},"return_logprob":true,"logprob_start_len":%d,"top_logprobs_num":%d}`, idList(whole), len(prefix)-1, k)))
			rows := append(onePass.Meta.Input[1:], onePass.Meta.Output...)
			if onePass.Meta.Input[0] != nil || len(rows) != len(path)+1 || len(byList.Choices) != len(path)+1 {
				t.Fatalf("%d rows in one pass and %d by the list, want %d", len(rows), len(byList.Choices), len(path)+1)
			}
			for i, choice := range byList.Choices {
				want, top := truth(whole[:len(prefix)+i]), choice.Logprobs.Top[0]
				if len(top) != k || len(rows[i]) != k {
					t.Fatalf("%d and %d log-probs, want %d", len(top), len(rows[i]), k)
				}
				for rank, entry := range rows[i] {
					id := int(entry[1].(float64))
					p := entry[0].(float64)
					if top[fmt.Sprint("token_id:", id)] != p || math.Abs(p-want[id]) > 1e-5 {
						t.Errorf("position %d, id %d: %v in one pass, %v by the list, want %v", i, id, p, top[fmt.Sprint("token_id:", id)], want[id])
					}
					if better := slices.IndexFunc(want, func(w float64) bool { return w > p+1e-5 }); rank == 0 && better >= 0 {
						t.Errorf("position %d: id %d is first, %d is better", i, id, better)
					}
				}
			}
			if s := s.Stats(); s.Passes != 2 {
				t.Errorf("%d passes, want one for each way", s.Passes)
			}
		})
	}
}

func TestCompletionsAreTheModelsText(t *testing.T) {
	prompt := []eft.Token{1, 2, 3}
	own := greedy(prompt, 12)
	text := fakeText{}.Decode(own)
	second := fmt.Sprintf("<%d><%d>", own[4], own[5])
	for _, test := range []struct{ name, body, text, finish string }{
		{"ids", `{"prompt":[1,2,3],"temperature":0,"max_tokens":12,"ignore_eos":true}`, text, "length"},
		{"a list of ids", `{"prompt":[[1,2,3]],"temperature":0,"max_tokens":12,"ignore_eos":true}`, text, "length"},
		{"a text", `{"prompt":"<1><2><3>","temperature":0,"max_tokens":12,"ignore_eos":true}`, text, "length"},
		{"a list of texts", `{"prompt":["<1><2><3>"],"temperature":0,"max_tokens":12,"ignore_eos":true,"seed":null}`, text, "length"},
		{"a stop string over two tokens", `{"prompt":[1,2,3],"temperature":0,"max_tokens":12,"ignore_eos":true,"stop":["` + second + `"]}`, text[:strings.Index(text, second)], "stop"},
		{"a stop token", fmt.Sprintf(`{"prompt":[1,2,3],"temperature":0,"max_tokens":12,"stop_token_ids":[%d]}`, own[3]), text[:strings.Index(text, fmt.Sprintf("<%d>", own[3]))], "stop"},
		{"a bias", `{"prompt":[1,2,3],"temperature":0,"max_tokens":2,"ignore_eos":true,"logit_bias":{"9":100}}`, "<9><9>", "length"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Server) {
				whole := decode[completionAnswer](t, post(s, "/v1/completions", test.body)).Choices[0]
				if whole.Text != test.text || *whole.Finish != test.finish {
					t.Errorf("%q, %s, want %q, %s", whole.Text, *whole.Finish, test.text, test.finish)
				}
				if id := fmt.Sprint(whole.Reason); strings.HasSuffix(test.name, "stop token") && id != fmt.Sprint(own[3]) {
					t.Errorf("stop_reason %s, want %d", id, own[3])
				}
				streamed, finish := "", ""
				for _, event := range streamOf(t, post(s, "/v1/completions", strings.Replace(test.body, "{", `{"stream":true,`, 1))) {
					streamed += event.Choices[0].Text
					if f := event.Choices[0].Finish; f != nil {
						finish = *f
					}
				}
				if streamed != test.text || finish != test.finish {
					t.Errorf("streamed %q, %s, want %q, %s", streamed, finish, test.text, test.finish)
				}
			})
		})
	}
}

// streamOf reads a stream of completions to its [DONE].
func streamOf(t *testing.T, w *httptest.ResponseRecorder) (all []completionAnswer) {
	t.Helper()
	last := ""
	for scanner := bufio.NewScanner(w.Body); scanner.Scan(); {
		data, ok := strings.CutPrefix(scanner.Text(), "data: ")
		if !ok {
			continue
		}
		if last = data; data != "[DONE]" {
			var event completionAnswer
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.Fatalf("%v: %s", err, data)
			}
			all = append(all, event)
		}
	}
	if last != "[DONE]" {
		t.Errorf("the stream ends with %q", last)
	}
	return all
}

func TestStreamsTellUsageAtTheirEnd(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		post(s, "/v1/completions", `{"prompt":`+idList(counting(0, 20))+`,"max_tokens":1}`)
		all := streamOf(t, post(s, "/v1/completions", `{"prompt":[`+idList(counting(0, 20))+`,[5]],"n":2,"max_tokens":3,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`))
		last := all[len(all)-1]
		if len(all) != 13 || last.Usage == nil || last.Usage.Prompt != 21 || last.Usage.Completion != 12 || last.Usage.Details.Cached != 32 {
			t.Errorf("%d events, usage %+v", len(all), last.Usage)
		}
		count := map[int]int{}
		for _, event := range all[:12] {
			count[event.Choices[0].Index]++
		}
		for index := range 4 {
			if count[index] != 3 {
				t.Errorf("%d tokens of choice %d, want 3", count[index], index)
			}
		}
	})
}

func TestSeedsRepeatAnAnswerAndNoiseIsTheBasesOwn(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		ask := func(seed int) string {
			return decode[completionAnswer](t, post(s, "/v1/completions", fmt.Sprintf(`{"prompt":[1],"max_tokens":20,"ignore_eos":true,"seed":%d}`, seed))).Choices[0].Text
		}
		if a, b, c := ask(1), ask(1), ask(2); a != b || a == c {
			t.Errorf("seed 1 gives %q and %q, seed 2 %q", a, b, c)
		}
		// What the same hash gives without the constant.
		mixer, sampler, text := eft.NewMixer(fakePieces(), eft.Mix{Base: 1}), eft.NewSampler(eft.Params{Temperature: 1, TopP: 1, Seed: 1}), []eft.Token{1}
		for range 20 {
			c, err := mixer.Combine(eft.Rows{Base: eft.Row{Scores: fakeScores(text)}})
			if err != nil {
				t.Fatal(err)
			}
			id, err := sampler.Next(c, text[1:])
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, id)
		}
		if same := (fakeText{}).Decode(text[1:]); same == ask(1) {
			t.Error("the base draws as whoever uses the same hash does")
		}
	})
}

func TestChat(t *testing.T) {
	want := fakeText{}.Decode(greedy([]eft.Token{4, 5}, 3))
	bubble(t, func(t *testing.T, s *Server) {
		const body = `{"messages":[{"role":"system","content":"<4>"},{"role":"user","content":[{"type":"text","text":"<5>"}]}],"max_tokens":3,"temperature":0,"ignore_eos":true,"logprobs":true,"top_logprobs":2}`
		whole := decode[struct {
			Choices []struct {
				Message  struct{ Content string }
				Logprobs struct {
					Content []struct {
						Token string
						Bytes []int
						Top   []struct{ Token string } `json:"top_logprobs"`
					}
				}
			}
		}](t, post(s, "/v1/chat/completions", body)).Choices[0]
		first := whole.Logprobs.Content[0]
		if whole.Message.Content != want || len(whole.Logprobs.Content) != 3 || len(first.Top) != 2 || first.Token != first.Top[0].Token || len(first.Bytes) != len(first.Token) {
			t.Errorf("%+v, want %q", whole, want)
		}
		streamed := ""
		for line := range strings.Lines(post(s, "/v1/chat/completions", strings.Replace(body, "{", `{"stream":true,`, 1)).Body.String()) {
			var event struct {
				Choices []struct{ Delta struct{ Content string } }
			}
			if data, ok := strings.CutPrefix(line, "data: {"); ok {
				if err := json.Unmarshal([]byte("{"+data), &event); err != nil {
					t.Fatal(err)
				}
				streamed += event.Choices[0].Delta.Content
			}
		}
		if streamed != want {
			t.Errorf("streamed %q, want %q", streamed, want)
		}
	})
}

func TestSGLangStreamsRepeatWhatCameBefore(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		own, n := greedy([]eft.Token{4, 5}, 3), 0
		for line := range strings.Lines(post(s, "/generate", `{"input_ids":[4,5],"sampling_params":{"max_new_tokens":3,"top_k":1,"ignore_eos":true},"return_logprob":true,"top_logprobs_num":2,"stream":true}`).Body.String()) {
			var event struct {
				Text string
				IDs  []eft.Token `json:"output_ids"`
				Meta struct {
					Output []any                  `json:"output_top_logprobs"`
					Finish *struct{ Type string } `json:"finish_reason"`
				} `json:"meta_info"`
			}
			data, ok := strings.CutPrefix(line, "data: {")
			if !ok {
				continue
			}
			if err := json.Unmarshal([]byte("{"+data), &event); err != nil {
				t.Fatal(err)
			}
			n++
			if !slices.Equal(event.IDs, own[:n]) || len(event.Meta.Output) != n || event.Text != (fakeText{}).Decode(own[:n]) || (event.Meta.Finish != nil) != (n == 3) {
				t.Errorf("event %d: %+v", n, event)
			}
		}
		if n != 3 {
			t.Errorf("%d events, want 3", n)
		}
	})
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	for _, test := range []struct{ path, body, says string }{
		{"/v1/completions", `{"prompt":[1],"guided_regex":"a"}`, `"guided_regex" is not known`},
		{"/v1/completions", `{"prompt":[1],"Max_tokens":3}`, `"Max_tokens" is not known`},
		{"/v1/completions", `[]`, "no JSON object"},
		{"/v1/completions", `{"prompt":[1]`, "no JSON object"},
		{"/v1/completions", `{}`, "prompt is missing"},
		{"/v1/completions", `{"prompt":[1,null]}`, "no token id"},
		{"/v1/completions", `{"prompt":[[1],null]}`, "want a list"},
		{"/v1/completions", `{"prompt":["a",1]}`, "no text"},
		{"/v1/completions", `{"prompt":[1.5]}`, "no token id"},
		{"/v1/completions", `{"prompt":[]}`, "want a text"},
		{"/v1/completions", `{"prompt":[[]]}`, "cannot be empty"},
		{"/v1/completions", `{"prompt":[40]}`, "Token id 40 is out of vocabulary"},
		{"/v1/completions", `{"prompt":[1],"max_tokens":0}`, "max_tokens must be at least 1"},
		{"/v1/completions", `{"prompt":[1],"max_tokens":200}`, "maximum context length is 200"},
		{"/v1/completions", `{"prompt":[1],"cache_salt":""}`, "must be a non-empty string"},
		{"/v1/completions", `{"prompt":[1],"echo":true}`, "echo is not simulated"},
		{"/v1/completions", `{"prompt":[1],"best_of":3}`, "best_of must be n"},
		{"/v1/completions", `{"prompt":[1],"temperature":3}`, "temperature 3"},
		{"/v1/completions", `{"prompt":[1],"temperature":"hot"}`, "temperature"},
		{"/v1/completions", `{"prompt":[1],"stop":""}`, "empty string"},
		{"/v1/completions", `{"prompt":[1],"logit_bias":{"40":1}}`, "out-of-vocab"},
		{"/v1/completions", `{"prompt":[1],"repetition_penalty":2}`, "not simulated"},
		{"/v1/completions", `{"prompt":[1],"model":"other"}`, "does not exist"},
		{"/v1/completions", `{"prompt":[1],"logprobs":0,"logprob_token_ids":` + idList(make([]eft.Token, 129)) + `}`, "max allowed: 128"},
		{"/v1/completions", `{"prompt":[1],"stream_options":{"include_usage":true}}`, "stream=True"},
		{"/v1/completions", `{"prompt":[1],"stream":true,"stream_options":{"usage":true}}`, "is not known"},
		{"/v1/chat/completions", `{"messages":[]}`, "messages are missing"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"<1>"}],"tools":[]}`, `"tools" is not known`},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, "is no text"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"<1>"}],"top_logprobs":2}`, "must be set to true"},
		{"/generate", `{"input_ids":[1],"sampling_params":{"regex":"a"}}`, `"regex" is not known`},
		{"/generate", `{"sampling_params":{}}`, "Either text or input_ids"},
		{"/generate", `{"input_ids":[1],"sampling_params":{"logit_bias":{"2147483647":0}}}`, "keys in [0, 39]"},
		{"/generate", `{"input_ids":[1],"return_logprob":true,"sampling_params":{"temperature":0.5}}`, "not simulated"},
		{"/generate", `{"input_ids":[1],"return_logprob":true,"logprob_start_len":2}`, "higher than"},
		{"/generate", `{"input_ids":` + idList(make([]eft.Token, 194)) + `}`, "maximum allowed length"},
		{"/generate", `{"input_ids":[[1],[2]],"stream":true}`, "not simulated"},
		{"/tokenize", `{}`, "prompt is missing"},
		{"/detokenize", `{"tokens":[99]}`, "out of vocabulary"},
	} {
		bubble(t, func(t *testing.T, s *Server) {
			w := post(s, test.path, test.body)
			var said struct{ Error struct{ Message string } }
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code < 400 || w.Code > 404 || !strings.Contains(said.Error.Message, test.says) {
				t.Errorf("%s %s: %d %s, want %q", test.path, test.body, w.Code, w.Body, test.says)
			}
		})
	}
}

func TestAClientThatLeavesStopsItsWork(t *testing.T) {
	for _, body := range []string{`{"prompt":[1],"max_tokens":150,"ignore_eos":true}`, `{"prompt":[[1],[2]],"max_tokens":150,"ignore_eos":true,"stream":true}`} {
		bubble(t, func(t *testing.T, s *Server) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			r := httptest.NewRequest(http.MethodPost, "/v1/completions", strings.NewReader(body)).WithContext(ctx)
			s.ServeHTTP(httptest.NewRecorder(), r)
			time.Sleep(time.Second)
			if got := s.Stats().Passes; got != 4 { // the fourth was under way
				t.Errorf("%d passes, want 4", got)
			}
		})
	}
}

func TestTokenizerAnswersBothDialects(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		if got := post(s, "/tokenize", `{"prompt":"<3><4>","add_special_tokens":false}`).Body.String(); got != `{"count":2,"max_model_len":200,"token_strs":null,"tokens":[3,4]}` {
			t.Error(got)
		}
		if got := post(s, "/detokenize", `{"tokens":[3,4]}`).Body.String(); !strings.Contains(got, `"prompt":"\u003c3\u003e\u003c4\u003e"`) || !strings.Contains(got, `"text":"\u003c3`) {
			t.Error(got)
		}
	})
}
