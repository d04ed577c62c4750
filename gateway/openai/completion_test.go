package openai

import (
	"reflect"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func TestEveryShapeOfPromptIsRead(t *testing.T) {
	for body, want := range map[string][]Prompt{
		`"a"`:           {{Text: "a"}},
		`["a","b"]`:     {{Text: "a"}, {Text: "b"}},
		`[1,0]`:         {{Tokens: []eft.Token{1, 0}}},
		`[[1,2],[3]]`:   {{Tokens: []eft.Token{1, 2}}, {Tokens: []eft.Token{3}}},
		`[2147483647]`:  {{Tokens: []eft.Token{2147483647}}},
		"\n[ [ 1 ] ]\n": {{Tokens: []eft.Token{1}}},
	} {
		if got := mustCompletion(t, promptWith(body)).Prompts; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", body, got, want)
		}
	}
}

func TestCompletionParametersAreRead(t *testing.T) {
	got := mustCompletion(t, completionWith(`"logprobs":0,"max_tokens":0,"temperature":0,"best_of":2,"n":2,"echo":false,"suffix":null`))
	want := &CompletionRequest{
		Generation: Generation{Model: "demo", N: 2, MaxTokens: Some(0), TopP: 1},
		Prompts:    []Prompt{{Text: "hi"}},
		Logprobs:   Some(0), AddSpecialTokens: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := mustCompletion(t, completionWith(`"logprobs":null`)); got.Logprobs.Set || got.MaxTokens.Set {
		t.Errorf("got %+v", got)
	}
}

func TestCompletionsThatCannotBeAnsweredAreRefused(t *testing.T) {
	refuses(t, DecodeCompletion, []wrong{
		{"no prompt", `{"model":"demo"}`, "prompt", CodeMissing, "prompt is missing"},
		{"null", promptWith("null"), "prompt", CodeMissing, ""},
		{"empty text", promptWith(`""`), "prompt", CodeInvalidValue, "prompt is empty"},
		{"empty list", promptWith(`[]`), "prompt", CodeInvalidValue, "is an empty list"},
		{"empty text in a list", promptWith(`["a",""]`), "prompt[1]", CodeInvalidValue, "prompt[1] is empty"},
		{"empty ids in a list", promptWith(`[[1],[]]`), "prompt[1]", CodeInvalidValue, "prompt[1] is empty"},
		{"a number", promptWith(`1`), "prompt", CodeInvalidType, "a string or a list, got a number"},
		{"a list of objects", promptWith(`[{}]`), "prompt[0]", CodeInvalidType, "a string, a token id or a list of token ids, got an object"},
		{"text among ids", promptWith(`[1,"a"]`), "prompt[1]", CodeInvalidType, "must be a number, got a string"},
		{"ids among text", promptWith(`["a",[1]]`), "prompt[1]", CodeInvalidType, "must be a string, got a list"},
		{"text in a list of lists", promptWith(`[[1,"a"]]`), "prompt[0][1]", CodeInvalidType, "must be a number"},
		{"a negative id", promptWith(`[-1]`), "prompt[0]", CodeInvalidValue, "at least 0"},
		{"an id that is no integer", promptWith(`[[1.5]]`), "prompt[0][0]", CodeInvalidType, "must be an integer"},
		{"an id beyond int32", promptWith(`[2147483648]`), "prompt[0]", CodeInvalidValue, ""},
		{"too many prompts", promptWith(`["a"` + strings.Repeat(`,"a"`, MaxPrompts) + `]`), "prompt", CodeInvalidValue, "more than 1024 prompts"},
		{"a broken list", promptWith(`[!]`), "prompt[0]", CodeInvalidJSON, ""},
		{"a missing prompt", promptWith(``), "prompt", CodeInvalidJSON, ""},
		{"logprobs a boolean", completionWith(`"logprobs":true`), "logprobs", CodeInvalidType, "must be a number, got a boolean"},
		{"logprobs negative", completionWith(`"logprobs":-2`), "logprobs", CodeInvalidValue, "at least -1"},
		{"named without logprobs", completionWith(`"logprob_token_ids":[1]`), "logprob_token_ids", CodeInvalidValue, "only allowed with logprobs"},
		{"too many named", completionWith(`"logprobs":1,"logprob_token_ids":[0` + strings.Repeat(",0", MaxNamed) + `]`), "logprob_token_ids", CodeInvalidValue,
			"Requested logprob_token_ids of length 129, which is greater than max allowed: 128"},
		{"named by text", completionWith(`"logprobs":1,"logprob_token_ids":["a"]`), "logprob_token_ids[0]", CodeInvalidType, "a number"},
		{"return_token_ids a number", completionWith(`"return_token_ids":1`), "return_token_ids", CodeInvalidType, "a boolean"},
		{"add_special_tokens a text", completionWith(`"add_special_tokens":"no"`), "add_special_tokens", CodeInvalidType, "a boolean"},
		{"no salt", completionWith(`"cache_salt":""`), "cache_salt", CodeInvalidValue, "must be a non-empty string of at most 1024 bytes"},
		{"much salt", completionWith(`"cache_salt":"` + strings.Repeat("x", MaxSaltBytes+1) + `"`), "cache_salt", CodeInvalidValue, "got 1025"},
		{"top_logprobs", completionWith(`"top_logprobs":1`), "top_logprobs", CodeUnknown, ""},
		{"messages", completionWith(`"messages":[]`), "messages", CodeUnknown, ""},
		{"max_completion_tokens", completionWith(`"max_completion_tokens":5`), "max_completion_tokens", CodeUnknown, ""},
		{"max_tokens negative", completionWith(`"max_tokens":-1`), "max_tokens", CodeInvalidValue, "at least 0"},
		{"echo", completionWith(`"echo":true`), "echo", CodeUnsupported, "send null or false"},
		{"no model", `{"prompt":"a"}`, "model", CodeMissing, ""},
	})
	if got := mustCompletion(t, promptWith(`["a"`+strings.Repeat(`,"a"`, MaxPrompts-1)+`]`)); len(got.Prompts) != MaxPrompts {
		t.Errorf("%d prompts", len(got.Prompts))
	}
}

func TestVLLMsExtensionsAreRead(t *testing.T) {
	got := mustCompletion(t, completionWith(`"logprobs":-1,"logprob_token_ids":[7,3,7],"return_token_ids":true,"return_tokens_as_token_ids":true,`+
		`"add_special_tokens":false,"skip_special_tokens":false,"cache_salt":"s"`))
	want := &CompletionRequest{
		Generation: Generation{Model: "demo", N: 1, Temperature: 1, TopP: 1, ReturnTokensAsTokenIDs: true, KeepSpecialTokens: true, CacheSalt: "s"},
		Prompts:    []Prompt{{Text: "hi"}},
		Logprobs:   Some(WholeVocabulary), Named: []eft.Token{7, 3}, ReturnTokenIDs: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got = mustCompletion(t, completionWith(`"logprob_token_ids":[],"return_token_ids":null,"add_special_tokens":null,"skip_special_tokens":null,"cache_salt":null`))
	if got.Named != nil || got.ReturnTokenIDs || !got.AddSpecialTokens || got.KeepSpecialTokens || got.CacheSalt != "" {
		t.Errorf("got %+v", got)
	}
}

func TestPromptIDsAreHeldToAVocabulary(t *testing.T) {
	req := mustCompletion(t, `{"model":"demo","prompt":[[1],[2,512]],"logit_bias":{"600":1}}`)
	wantError(t, req.CheckVocabulary(512), "prompt", CodeInvalidValue, "prompt 1 has token 512 at index 1, but the vocabulary has ids 0 to 511")
	wantError(t, req.CheckVocabulary(513), "logit_bias.600", CodeInvalidValue, "")
	if err := req.CheckVocabulary(601); err != nil {
		t.Error(err)
	}
	named := mustCompletion(t, completionWith(`"logprobs":0,"logprob_token_ids":[511,512]`))
	wantError(t, named.CheckVocabulary(512), "logprob_token_ids", CodeInvalidValue, "names token 512, but the vocabulary has ids 0 to 511")
}
