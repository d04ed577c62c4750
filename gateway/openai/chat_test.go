package openai

import (
	"reflect"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func TestAbsentAndNullParametersHaveOpenAIsDefaults(t *testing.T) {
	want := &ChatRequest{
		Generation: Generation{Model: "demo", N: 1, Temperature: 1, TopP: 1},
		Messages:   []Message{{Role: "user", Content: "hi"}},
	}
	for name, body := range map[string]string{
		"absent": chatWith(`"n":null`),
		"null": chatWith(`"stream":null,"stream_options":null,"n":null,"best_of":null,"max_tokens":null,"max_completion_tokens":null,
			"min_tokens":null,"ignore_eos":null,"stop":null,"temperature":null,"top_p":null,"top_k":null,"min_p":null,"presence_penalty":null,
			"frequency_penalty":null,"seed":null,"logit_bias":null,"logprobs":null,"top_logprobs":null,"return_tokens_as_token_ids":null,"tuning":null`),
	} {
		if got := mustChat(t, body); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", name, got, want)
		}
	}
}

func TestExplicitZerosAreNotAbsent(t *testing.T) {
	got := mustChat(t, chatWith(`"temperature":0,"seed":0,"tuning":{"strength":0,"base":0,"plausibility":0,"experts":{"chat":0},"explain":false}`))
	if got.Temperature != 0 || got.Seed != Some[int64](0) {
		t.Errorf("temperature %v, seed %v", got.Temperature, got.Seed)
	}
	want := Tuning{Strength: Some(0.0), Base: Some(0.0), Plausibility: Some(0.0), Experts: map[string]float64{"chat": 0}, Explain: Some(false)}
	if !reflect.DeepEqual(got.Tuning, want) {
		t.Errorf("got %+v", got.Tuning)
	}
}

func TestEverySupportedChatParameterIsRead(t *testing.T) {
	got := mustChat(t, `{"model":"demo@0.5","messages":[
		{"role":"system","content":"s"},{"role":"developer","content":"d","name":"n"},{"role":"user","content":[{"type":"text","text":"a"},{"text":"b","type":"text"}]},
		{"role":"assistant","content":"","tool_calls":[],"function_call":null,"audio":null,"refusal":null,"annotations":[],"reasoning_content":""},
		{"tool_call_id":"c1","content":"t","role":"tool"}],
		"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"n":16,"best_of":16,"max_tokens":7,"max_completion_tokens":7,"min_tokens":3,
		"ignore_eos":true,"stop":["a","é"],"temperature":2,"top_p":1e-3,"top_k":5,"min_p":0.1,"presence_penalty":-2,"frequency_penalty":2.0,"seed":-9223372036854775808,
		"logit_bias":{"0":-100,"2147483647":100,"7":0.5},"logprobs":true,"top_logprobs":20,"return_tokens_as_token_ids":true,
		"tuning":{"strength":0.8,"experts":{"chat":1,"safe":0.5},"base":1.5,"plausibility":0.1,"draft":"off","explain":true}}`)
	want := &ChatRequest{
		Generation: Generation{
			Model: "demo@0.5", Stream: true, IncludeUsage: true, N: 16, MaxTokens: Some(7), MinTokens: 3, IgnoreEOS: true, Stop: []string{"a", "é"},
			Temperature: 2, TopP: 1e-3, TopK: 5, MinP: 0.1, PresencePenalty: -2, FrequencyPenalty: 2, Seed: Some[int64](-9223372036854775808),
			LogitBias: map[eft.Token]float64{0: -100, 2147483647: 100, 7: 0.5}, ReturnTokensAsTokenIDs: true,
			Tuning: Tuning{
				Strength: Some(0.8), Experts: map[string]float64{"chat": 1, "safe": 0.5}, Base: Some(1.5), Plausibility: Some(0.1),
				Draft: Some(DraftOff), Explain: Some(true),
			},
		},
		Messages: []Message{
			{Role: "system", Content: "s"}, {Role: "developer", Content: "d", Name: "n"}, {Role: "user", Content: "a\nb"},
			{Role: "assistant"}, {Role: "tool", Content: "t", ToolCallID: "c1"},
		},
		Logprobs: true, TopLogprobs: 20,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSpellingsOfNothingAreAccepted(t *testing.T) {
	for _, members := range []string{
		`"stop":[]`, `"logit_bias":{}`, `"tuning":{}`, `"tuning":{"experts":{}}`, `"tuning":{"strength":null,"draft":null,"experts":{"chat":null}}`,
		`"top_logprobs":0`, `"logprobs":false`, `"max_tokens":5,"max_completion_tokens":null`, `"best_of":1`, `"top_k":0`, `"top_k":-1`, `"temperature":-0.0`,
	} {
		mustChat(t, chatWith(members))
	}
	if got := mustChat(t, chatWith(`"top_k":-1`)).TopK; got != 0 {
		t.Errorf("top_k -1 is %d, want 0", got)
	}
	if got := mustChat(t, chatWith(`"tuning":{"experts":{"chat":null}}`)).Tuning.Experts; got == nil || len(got) != 0 {
		t.Errorf("experts %v, want an empty map", got)
	}
}

func TestEitherNameOfMaxTokensCounts(t *testing.T) {
	for _, key := range []string{"max_tokens", "max_completion_tokens"} {
		if got := mustChat(t, chatWith(`"`+key+`":3`)).MaxTokens; got != Some(3) {
			t.Errorf("%s: %v", key, got)
		}
	}
}

func TestChatParametersOutOfBoundsAreRefused(t *testing.T) {
	longStop := strings.Repeat("s", MaxStopBytes)
	refuses(t, DecodeChat, []wrong{
		{"temperature below", chatWith(`"temperature":-0.1`), "temperature", CodeInvalidValue, "temperature must be between 0 and 2, got -0.1"},
		{"temperature above", chatWith(`"temperature":2.0000001`), "temperature", CodeInvalidValue, "got 2.0000001"},
		{"temperature beyond float64", chatWith(`"temperature":1e999`), "temperature", CodeInvalidValue, "got 1e999"},
		{"top_p zero", chatWith(`"top_p":0`), "top_p", CodeInvalidValue, "top_p must be above 0 and at most 1, got 0"},
		{"top_p above", chatWith(`"top_p":1.1`), "top_p", CodeInvalidValue, ""},
		{"top_k below", chatWith(`"top_k":-2`), "top_k", CodeInvalidValue, "at least -1"},
		{"min_p below", chatWith(`"min_p":-1`), "min_p", CodeInvalidValue, "between 0 and 1"},
		{"min_p above", chatWith(`"min_p":1.5`), "min_p", CodeInvalidValue, ""},
		{"n zero", chatWith(`"n":0`), "n", CodeInvalidValue, "n must be an integer between 1 and 16, got 0"},
		{"n huge", chatWith(`"n":1000000000000000000000000`), "n", CodeInvalidValue, "between 1 and 16"},
		{"n negative", chatWith(`"n":-1`), "n", CodeInvalidValue, ""},
		{"n as a fraction", chatWith(`"n":1.0`), "n", CodeInvalidType, "n must be an integer, got 1.0"},
		{"n with an exponent", chatWith(`"n":1e0`), "n", CodeInvalidType, "n must be an integer, got 1e0"},
		{"max_tokens zero", chatWith(`"max_tokens":0`), "max_tokens", CodeInvalidValue, "at least 1"},
		{"max_tokens negative", chatWith(`"max_tokens":-5`), "max_tokens", CodeInvalidValue, "at least 1 (and below 2^31), got -5"},
		{"max_tokens huge", chatWith(`"max_tokens":2147483648`), "max_tokens", CodeInvalidValue, ""},
		{"max_completion_tokens zero", chatWith(`"max_completion_tokens":0`), "max_completion_tokens", CodeInvalidValue, "at least 1"},
		{"both that differ", chatWith(`"max_completion_tokens":1,"max_tokens":2`), "max_completion_tokens", CodeInvalidValue, "(1) and max_tokens (2) differ"},
		{"min_tokens negative", chatWith(`"min_tokens":-1`), "min_tokens", CodeInvalidValue, "at least 0"},
		{"min_tokens above max", chatWith(`"min_tokens":3,"max_tokens":2`), "min_tokens", CodeInvalidValue, "(2), got 3"},
		{"presence_penalty", chatWith(`"presence_penalty":2.1`), "presence_penalty", CodeInvalidValue, "between -2 and 2"},
		{"frequency_penalty", chatWith(`"frequency_penalty":-2.1`), "frequency_penalty", CodeInvalidValue, "between -2 and 2"},
		{"seed beyond int64", chatWith(`"seed":9223372036854775808`), "seed", CodeInvalidValue, "between -9223372036854775808 and"},
		{"seed as a fraction", chatWith(`"seed":1.5`), "seed", CodeInvalidType, "must be an integer"},
		{"top_logprobs negative", chatWith(`"logprobs":true,"top_logprobs":-1`), "top_logprobs", CodeInvalidValue, ""},
		{"top_logprobs alone", chatWith(`"top_logprobs":2`), "top_logprobs", CodeInvalidValue, "only allowed when logprobs is true"},
		{"stop empty", chatWith(`"stop":""`), "stop", CodeInvalidValue, "stop must have between 1 and 256 bytes, got 0"},
		{"stop empty in a list", chatWith(`"stop":["a",""]`), "stop[1]", CodeInvalidValue, "between 1 and 256 bytes"},
		{"stop too long", chatWith(`"stop":"` + longStop + `a"`), "stop", CodeInvalidValue, "got 257"},
		{"five stops", chatWith(`"stop":["a","b","c","d","e"]`), "stop", CodeInvalidValue, "more than 4 strings"},
		{"stop null in a list", chatWith(`"stop":[null]`), "stop[0]", CodeInvalidType, "stop[0] must be a string, got null"},
		{"stop a number", chatWith(`"stop":1`), "stop", CodeInvalidType, "a string or a list of strings, got a number"},
		{"stop missing", `{"stop":}`, "stop", CodeInvalidJSON, ""},
		{"bias above", chatWith(`"logit_bias":{"7":101}`), "logit_bias.7", CodeInvalidValue, "between -100 and 100"},
		{"bias null", chatWith(`"logit_bias":{"7":null}`), "logit_bias.7", CodeInvalidType, "must be a number, got null"},
		{"bias a list", chatWith(`"logit_bias":[[7,1]]`), "logit_bias", CodeInvalidType, "must be an object, got a list"},
		{"bias by text", chatWith(`"logit_bias":{"the":1}`), "logit_bias.the", CodeInvalidValue, "token ids in decimal"},
		{"bias of a negative id", chatWith(`"logit_bias":{"-1":1}`), "logit_bias.-1", CodeInvalidValue, ""},
		{"bias of another spelling", chatWith(`"logit_bias":{"07":1}`), "logit_bias.07", CodeInvalidValue, ""},
		{"bias beyond int32", chatWith(`"logit_bias":{"2147483648":1}`), "logit_bias.2147483648", CodeInvalidValue, ""},
		{"stream_options without stream", chatWith(`"stream_options":{"include_usage":true}`), "stream_options", CodeInvalidValue, "only allowed when stream is true"},
		{"stream_options empty without stream", chatWith(`"stream_options":{},"stream":false`), "stream_options", CodeInvalidValue, ""},
		{"best_of other than n", chatWith(`"best_of":3,"n":2`), "best_of", CodeUnsupported, "make it n (2), got 3"},
	})
	if got := mustChat(t, chatWith(`"stop":"`+longStop+`"`)).Stop[0]; got != longStop {
		t.Error("a stop string of 256 bytes is refused or changed")
	}
}

func TestWrongTypesNameTheFieldAndBothTypes(t *testing.T) {
	refuses(t, DecodeChat, []wrong{
		{"model", `{"model":1}`, "model", CodeInvalidType, "model must be a string, got a number"},
		{"messages", `{"messages":{}}`, "messages", CodeInvalidType, "messages must be a list, got an object"},
		{"a message", `{"messages":["hi"]}`, "messages[0]", CodeInvalidType, "messages[0] must be an object, got a string"},
		{"role", messageWith(`{"role":1}`), "messages[0].role", CodeInvalidType, "must be a string"},
		{"role null", messageWith(`{"role":null}`), "messages[0].role", CodeInvalidType, "got null"},
		{"content", contentWith(`7`), "messages[0].content", CodeInvalidType, "a string or a list of text parts, got a number"},
		{"part", contentWith(`["x"]`), "messages[0].content[0]", CodeInvalidType, "must be an object"},
		{"part text", contentWith(`[{"type":"text","text":"a"},{"type":"text","text":1}]`), "messages[0].content[1].text", CodeInvalidType, "must be a string, got a number"},
		{"part type", contentWith(`[{"type":null}]`), "messages[0].content[0].type", CodeInvalidType, "got null"},
		{"name", messageWith(`{"role":"user","content":"","name":{}}`), "messages[0].name", CodeInvalidType, ""},
		{"stream", chatWith(`"stream":"true"`), "stream", CodeInvalidType, "stream must be a boolean, got a string"},
		{"stream_options", chatWith(`"stream_options":true`), "stream_options", CodeInvalidType, "must be an object"},
		{"include_usage", chatWith(`"stream_options":{"include_usage":1}`), "stream_options.include_usage", CodeInvalidType, ""},
		{"temperature", chatWith(`"temperature":"1"`), "temperature", CodeInvalidType, "must be a number, got a string"},
		{"n", chatWith(`"n":true`), "n", CodeInvalidType, "must be a number, got a boolean"},
		{"seed", chatWith(`"seed":"7"`), "seed", CodeInvalidType, ""},
		{"logprobs", chatWith(`"logprobs":5`), "logprobs", CodeInvalidType, "must be a boolean"},
		{"top_logprobs", chatWith(`"top_logprobs":true`), "top_logprobs", CodeInvalidType, ""},
		{"logit_bias", chatWith(`"logit_bias":{"1":"2"}`), "logit_bias.1", CodeInvalidType, ""},
		{"top_k", chatWith(`"top_k":[]`), "top_k", CodeInvalidType, ""},
		{"max_tokens", chatWith(`"max_tokens":"5"`), "max_tokens", CodeInvalidType, ""},
		{"user", chatWith(`"user":7`), "user", CodeInvalidType, "user must be a string"},
		{"metadata", chatWith(`"metadata":"x"`), "metadata", CodeInvalidType, "metadata must be an object"},
		{"store", chatWith(`"store":1`), "store", CodeInvalidType, ""},
		{"tuning", chatWith(`"tuning":0.5`), "tuning", CodeInvalidType, "tuning must be an object, got a number"},
		{"experts", chatWith(`"tuning":{"experts":["chat"]}`), "tuning.experts", CodeInvalidType, ""},
		{"explain", chatWith(`"tuning":{"explain":1}`), "tuning.explain", CodeInvalidType, ""},
		{"draft", chatWith(`"tuning":{"draft":true}`), "tuning.draft", CodeInvalidType, ""},
	})
}

func TestMessagesThatCannotBeAnsweredAreRefused(t *testing.T) {
	const text = `{"type":"text","text":"a"}`
	refuses(t, DecodeChat, []wrong{
		{"none", `{"model":"demo"}`, "messages", CodeMissing, "messages is missing"},
		{"null", `{"model":"demo","messages":null}`, "messages", CodeMissing, "messages is missing"},
		{"empty", messageWith(""), "messages", CodeInvalidValue, "messages is empty"},
		{"no role", messageWith(`{"content":"a"}`), "messages[0].role", CodeMissing, "must be one of system, developer, user, assistant, tool"},
		{"unknown role", messageWith(`{"role":"robot","content":"a"}`), "messages[0].role", CodeInvalidValue, `got "robot"`},
		{"role of other case", messageWith(`{"role":"User","content":"a"}`), "messages[0].role", CodeInvalidValue, ""},
		{"no content", messageWith(`{"role":"user"}`), "messages[0].content", CodeMissing, "missing or null"},
		{"null content of the assistant", messageWith(`{"role":"user","content":"a"},{"role":"assistant","content":null}`), "messages[1].content", CodeMissing, "missing or null"},
		{"no parts", contentWith("[]"), "messages[0].content", CodeInvalidValue, "is an empty list"},
		{"an image", contentWith(`[` + text + `,{"type":"image_url","image_url":{"url":"x"}}]`), "messages[0].content[1].type", CodeUnsupported, `only text is supported, got "image_url"`},
		{"an image before its type", contentWith(`[{"image_url":{"url":"x"},"type":"image_url"}]`), "messages[0].content[0].image_url", CodeUnsupported, "not supported"},
		{"audio", contentWith(`[{"type":"input_audio","input_audio":{}}]`), "messages[0].content[0].type", CodeUnsupported, ""},
		{"a part without a type", contentWith(`[{"text":"a"}]`), "messages[0].content[0].type", CodeMissing, ""},
		{"a part without text", contentWith(`[{"type":"text","text":null}]`), "messages[0].content[0].text", CodeMissing, ""},
		{"a part with more", contentWith(`[{"type":"text","text":"a","cache_control":{}}]`), "messages[0].content[0].cache_control", CodeUnknown, ""},
		{"an unknown key", messageWith(`{"role":"user","content":"a","mood":"good"}`), "messages[0].mood", CodeUnknown, ""},
		{"tool calls", messageWith(`{"role":"assistant","content":"a","tool_calls":[{}]}`), "messages[0].tool_calls", CodeUnsupported, "leave it out or send null or []"},
		{"a function call", messageWith(`{"role":"assistant","content":"a","function_call":{}}`), "messages[0].function_call", CodeUnsupported, ""},
		{"a refusal", messageWith(`{"role":"assistant","content":"a","refusal":"no"}`), "messages[0].refusal", CodeUnsupported, ""},
		{"a tool's id on another role", messageWith(`{"role":"user","content":"a","tool_call_id":"x"}`), "messages[0].tool_call_id", CodeInvalidValue, "only allowed for the role tool"},
		{"no model", `{"messages":[{"role":"user","content":"a"}]}`, "model", CodeMissing, "model is missing"},
		{"an empty model", `{"model":"","messages":[{"role":"user","content":"a"}]}`, "model", CodeMissing, ""},
	})
}

func TestLogitBiasIsHeldToAVocabulary(t *testing.T) {
	req := mustChat(t, chatWith(`"logit_bias":{"512":1,"600":2,"511":3}`))
	wantError(t, req.CheckVocabulary(512), "logit_bias.512", CodeInvalidValue, "token 512, but the vocabulary has ids 0 to 511")
	if err := req.CheckVocabulary(601); err != nil {
		t.Error(err)
	}
}
