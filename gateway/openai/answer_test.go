package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func wantJSON(t *testing.T, v any, want string) {
	t.Helper()
	got, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(got) {
		t.Fatalf("not JSON: %s", got)
	}
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The expected texts have the keys, nulls and empty lists that the published
// OpenAPI description of the endpoints requires of an answer.

func TestChatAnswersHaveEveryRequiredKey(t *testing.T) {
	wantJSON(t, ChatCompletion{
		ID: "chatcmpl-1", Object: ObjectChat, Created: 7, Model: "demo", Usage: *NewUsage(3, 1),
		Choices: []ChatChoice{{Message: AnswerMessage{Role: "assistant", Content: "Hi"}, FinishReason: FinishStop}},
	}, `{"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"demo","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},`+
		`"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}`)
}

func TestChatChunksOfOneStream(t *testing.T) {
	const head = `{"id":"c","object":"chat.completion.chunk","created":7,"model":"demo","choices":[`
	chunk := func(usage Optional[*Usage], choices ...ChunkChoice) ChatChunk {
		return ChatChunk{ID: "c", Object: ObjectChatChunk, Created: 7, Model: "demo", Choices: choices, Usage: usage}
	}
	var none Optional[*Usage]
	wantJSON(t, chunk(none, ChunkChoice{Delta: Delta{Role: "assistant", Content: Some("")}}),
		head+`{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}`)
	wantJSON(t, chunk(Some[*Usage](nil), ChunkChoice{Index: 1, Delta: Delta{Content: Some("a")}}),
		head+`{"index":1,"delta":{"content":"a"},"logprobs":null,"finish_reason":null}],"usage":null}`)
	wantJSON(t, chunk(none, ChunkChoice{FinishReason: FinishLength}),
		head+`{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}]}`)
	last := chunk(Some(NewUsage(1, 2)))
	last.Choices = []ChunkChoice{}
	wantJSON(t, last, head+`],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`)
}

func TestCompletionsAreTheSameInAStreamAndNot(t *testing.T) {
	usage := NewUsage(1, 1)
	usage.PromptDetails = &PromptDetails{CachedTokens: 1}
	wantJSON(t, Completion{
		ID: "cmpl-1", Object: ObjectCompletion, Created: 7, Model: "demo", SystemFingerprint: "f",
		Choices: []CompletionChoice{{Index: 2, Text: "a", FinishReason: FinishStop}}, Usage: Some(usage),
	}, `{"id":"cmpl-1","object":"text_completion","created":7,"model":"demo","system_fingerprint":"f","choices":[{"index":2,"text":"a","logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}`)
	wantJSON(t, Completion{Choices: []CompletionChoice{{Text: "a"}}},
		`{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":null}]}`)
}

func TestChatLogprobs(t *testing.T) {
	wantJSON(t, &ChatLogprobs{}, `{"content":[],"refusal":null}`)
	wantJSON(t, &ChatLogprobs{Content: []TokenLogprob{
		{TopLogprob: TopLogprob{Token: "a", Logprob: -0.5, Bytes: []byte("a")}},
		{
			TopLogprob: TopLogprob{Token: "\xe2\x82", Logprob: Logprob(math.Inf(-1)), Bytes: []byte{0xe2, 0x82}},
			Top:        []TopLogprob{{Token: "\"\n\u2028<", Logprob: 0, Bytes: []byte{}}, {Token: TokenName(7), Logprob: -1e-7}},
		},
	}}, `{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]},`+
		`{"token":"�","logprob":-9999,"bytes":[226,130],"top_logprobs":[{"token":"\"\n\u2028\u003c","logprob":0,"bytes":[]},`+
		`{"token":"token_id:7","logprob":-1e-07,"bytes":null}]}],"refusal":null}`)
}

// What vLLM's clients read: the ids beside the text, log-probs named by id.
func TestCompletionsTellIDs(t *testing.T) {
	wantJSON(t, Completion{Choices: []CompletionChoice{
		{Text: "a", PromptTokenIDs: []eft.Token{1, 2}, TokenIDs: []eft.Token{3}}, {Index: 1, TokenIDs: []eft.Token{}, FinishReason: FinishLength},
	}, Tuning: nil}, `{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":null,"prompt_token_ids":[1,2],"token_ids":[3]},`+
		`{"index":1,"text":"","logprobs":null,"finish_reason":"length","token_ids":[]}]}`)
}

// logprobsJSON is how a choice's log-probs are written.
func logprobsJSON(l *CompletionLogprobs) (string, error) {
	var b strings.Builder
	e := &encoder{w: &b}
	l.encode(e)
	err := e.flush()
	return b.String(), err
}

func TestCompletionLogprobs(t *testing.T) {
	below := float32(math.Inf(-1))
	for name, c := range map[string]struct {
		in   CompletionLogprobs
		want string
	}{
		"none": {CompletionLogprobs{}, `{"tokens":[],"token_logprobs":[],"top_logprobs":null,"text_offset":[]}`},
		"by text": {CompletionLogprobs{
			Tokens: []string{"a", "\xff"}, Logprobs: []float32{-1, -10000}, Offsets: []int{0, 1},
			Top: []Top{ByText{{"a", -1}, {"b\"", -2}, {"a", -3}}, ByText{}},
		}, `{"tokens":["a","�"],"token_logprobs":[-1,-9999],"top_logprobs":[{"a":-1,"b\"":-2},{}],"text_offset":[0,1]}`},
		// Two pieces of runes look alike once written; the better one stays.
		"torn":  {CompletionLogprobs{Top: []Top{ByText{{"\xe2", -1}, {"\xe3", -2}}}}, `{"tokens":[],"token_logprobs":[],"top_logprobs":[{"�":-1}],"text_offset":[]}`},
		"by id": {CompletionLogprobs{Top: []Top{ByID{{ID: 7, LogProb: -0.1}, {ID: 151935, LogProb: below}}}}, `{"tokens":[],"token_logprobs":[],"top_logprobs":[{"token_id:7":-0.1,"token_id:151935":-9999}],"text_offset":[]}`},
		"whole": {CompletionLogprobs{Top: []Top{Whole{-1, below, -1e-5}, Whole{}}}, `{"tokens":[],"token_logprobs":[],"top_logprobs":[{"token_id:0":-1,"token_id:1":-9999,"token_id:2":-1e-05},{}],"text_offset":[]}`},
	} {
		got, err := logprobsJSON(&c.in)
		if err != nil || got != c.want || !json.Valid([]byte(got)) {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, got, c.want)
		}
	}
}

// A base's rows are float32: what is read back must be the very number. The chosen
// token's is compared with its own among the best ones.
func TestALogprobHasOneSpelling(t *testing.T) {
	for _, v := range []float32{-1.0 / 3, -2.0794415, -1e-30, -123.456, 0, -0x1.fffffep3, math.SmallestNonzeroFloat32 * -1} {
		got, err := logprobsJSON(&CompletionLogprobs{Logprobs: []float32{v}, Top: []Top{ByText{{"a", v}}, ByID{{ID: 1, LogProb: v}}, Whole{v}}})
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			Logprobs []float32            `json:"token_logprobs"`
			Top      []map[string]float32 `json:"top_logprobs"`
		}
		if err := json.Unmarshal([]byte(got), &back); err != nil {
			t.Fatal(err)
		}
		if back.Logprobs[0] != v || back.Top[0]["a"] != v || back.Top[1]["token_id:1"] != v || back.Top[2]["token_id:0"] != v {
			t.Errorf("%v came back as %+v", v, back)
		}
	}
}

func TestLogprobsThatAreNoneFailToMarshal(t *testing.T) {
	completion := func(l CompletionLogprobs) Completion {
		return Completion{Choices: []CompletionChoice{{Logprobs: &l}}}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		for name, answer := range map[string]any{
			"chat":              &ChatLogprobs{Content: []TokenLogprob{{TopLogprob: TopLogprob{Logprob: Logprob(v)}}}},
			"chat, best":        &ChatLogprobs{Content: []TokenLogprob{{Top: []TopLogprob{{Logprob: Logprob(v)}}}}},
			"completion":        completion(CompletionLogprobs{Logprobs: []float32{float32(v)}}),
			"completion, top":   completion(CompletionLogprobs{Top: []Top{ByText{{"a", float32(v)}}}}),
			"completion, whole": completion(CompletionLogprobs{Top: []Top{Whole{float32(v)}}}),
			"alone":             Logprob(v),
		} {
			if got, err := json.Marshal(answer); err == nil || !strings.Contains(err.Error(), "is no log-prob") {
				t.Errorf("%s: %s, %v", name, got, err)
			}
		}
	}
}

// pieces remembers how an answer was written.
type pieces struct {
	bytes.Buffer
	largest int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.largest = max(p.largest, len(b))
	return p.Buffer.Write(b)
}

func TestLargeAnswersAreWrittenInPieces(t *testing.T) {
	whole := make(Whole, 20_000)
	for id := range whole {
		whole[id] = -float32(id) / 7
	}
	answer := Completion{Choices: []CompletionChoice{{Logprobs: &CompletionLogprobs{Top: []Top{whole, whole}}}}}
	var p pieces
	if err := answer.Encode(&p); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(p.Bytes()) || p.Len() < 400_000 || p.largest > 65<<10 {
		t.Errorf("%d bytes, the largest piece has %d", p.Len(), p.largest)
	}
	broken := errors.New("gone")
	if err := answer.Encode(failing{broken}); !errors.Is(err, broken) {
		t.Errorf("the writer's error became %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestReports(t *testing.T) {
	wantJSON(t, TuningReport{
		Strength: 0.5, Experts: map[string]float64{"chat": 0.5}, Base: 1, Draft: DraftOff, Seed: 7, ChangedTokens: 1,
		MeanKL: Measure(math.Inf(1)), BaseCalls: 2, DraftedTokens: 3, AgreedTokens: 1, MissingMass: 0.25, Truncated: true,
		Explain: []Explanation{{
			Token: "a", ID: 1, Base: Logprob(math.Inf(-1)), Tuned: map[string]Logprob{"chat": -1}, Untuned: map[string]Logprob{"chat": -2},
			Combined: -0.5, BaseChoice: "b", BaseChoiceID: 2,
		}},
	}, `{"strength":0.5,"experts":{"chat":0.5},"base":1,"plausibility":0,"draft":"off","seed":7,"changed_tokens":1,"mean_kl":null,"base_calls":2,"drafted_tokens":3,`+
		`"agreed_tokens":1,"truncated":true,"missing_mass":0.25,"explain":[{"choice":0,"token":"a","id":1,"base":-9999,"tuned":{"chat":-1},"untuned":{"chat":-2},`+
		`"combined":-0.5,"base_choice":"b","base_choice_id":2}]}`)
	wantJSON(t, Measure(math.NaN()), "null")
}

func TestModelsAndTokens(t *testing.T) {
	wantJSON(t, ModelList{Object: ObjectList, Data: []Model{
		{ID: "plain", Object: ObjectModel, Created: 7, OwnedBy: "graft"},
		{
			ID: "demo", Object: ObjectModel, OwnedBy: "graft", VocabSize: 512, MaxModelLen: 2048, MaxLogprobs: 512, Fingerprint: "f", Base: "base",
			Experts: map[string]float64{"chat": 1}, Bounds: map[string][2]float64{"strength": {0, 2}},
		},
	}}, `{"object":"list","data":[{"id":"plain","object":"model","created":7,"owned_by":"graft"},{"id":"demo","object":"model","created":0,"owned_by":"graft",`+
		`"vocab_size":512,"max_model_len":2048,"max_logprobs":512,"fingerprint":"f","base":"base","experts":{"chat":1},"bounds":{"strength":[0,2]}}]}`)
	wantJSON(t, TokenizeResponse{Count: 1, MaxModelLen: 9, Tokens: []eft.Token{5}}, `{"count":1,"max_model_len":9,"tokens":[5]}`)
	wantJSON(t, DetokenizeResponse{Prompt: "a"}, `{"prompt":"a"}`)
	wantJSON(t, TokenizerInfo{EOSToken: "[end]"}, `{"eos_token":"[end]"}`)
	wantJSON(t, Optional[int]{}, "null")
}

// BenchmarkWholeVocabulary is an answer to nine prefixes: nine rows over 150k ids.
func BenchmarkWholeVocabulary(b *testing.B) {
	row := make(Whole, 150_000)
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range row {
		row[i] = float32(-12 + 3*noise.NormFloat64())
	}
	var answer Completion
	for range 9 {
		answer.Choices = append(answer.Choices, CompletionChoice{Logprobs: &CompletionLogprobs{Top: []Top{row}}})
	}
	var size pieces
	if err := answer.Encode(&size); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if err := answer.Encode(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
