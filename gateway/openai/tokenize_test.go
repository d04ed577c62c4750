package openai

import (
	"reflect"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func TestTokenizeReadsAPromptOrMessages(t *testing.T) {
	hi := []Message{{Role: "user", Content: "hi"}}
	for body, want := range map[string]TokenizeRequest{
		`{"prompt":"a"}`: {Prompt: Some("a"), AddSpecialTokens: true},
		`{"prompt":"","add_special_tokens":false,"model":"m"}`:                                                    {Model: "m", Prompt: Some("")},
		`{"messages":[{"role":"user","content":"hi"}]}`:                                                           {Messages: hi},
		`{"messages":[{"role":"user","content":"hi"}],"add_special_tokens":true}`:                                 {Messages: hi, AddSpecialTokens: true},
		`{"prompt":"a","messages":null,"add_generation_prompt":true,"return_token_strs":false}`:                   {Prompt: Some("a"), AddSpecialTokens: true},
		`{"prompt":null,"messages":[{"role":"user","content":"hi"}],"continue_final_message":false,"model":null}`: {Messages: hi},
	} {
		got, err := DecodeTokenize([]byte(body))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", body, got, err, want)
		}
	}
	refuses(t, DecodeTokenize, []wrong{
		{"nothing", `{}`, "prompt", CodeMissing, "send a prompt or messages"},
		{"both", `{"prompt":"a","messages":[{"role":"user","content":"hi"}]}`, "messages", CodeInvalidValue, "send one of them"},
		{"a list", `{"prompt":["a"]}`, "prompt", CodeInvalidType, "must be a string"},
		{"an unknown key", `{"prompt":"a","x":1}`, "x", CodeUnknown, ""},
		{"token strings", `{"prompt":"a","return_token_strs":true}`, "return_token_strs", CodeUnsupported, ""},
		{"no generation prompt", `{"prompt":"a","add_generation_prompt":false}`, "add_generation_prompt", CodeUnsupported, ""},
		{"empty messages", `{"messages":[]}`, "messages", CodeInvalidValue, ""},
		{"no object", `[]`, "", CodeInvalidType, ""},
	})
}

func TestDetokenizeReadsIDs(t *testing.T) {
	for body, want := range map[string]DetokenizeRequest{
		`{"tokens":[1,2],"model":"m"}`: {Model: "m", Tokens: []eft.Token{1, 2}},
		`{"tokens":[]}`:                {Tokens: []eft.Token{}},
	} {
		got, err := DecodeDetokenize([]byte(body))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", body, got, err, want)
		}
	}
	refuses(t, DecodeDetokenize, []wrong{
		{"nothing", `{}`, "tokens", CodeMissing, "send a list of token ids"},
		{"null", `{"tokens":null}`, "tokens", CodeMissing, ""},
		{"a negative id", `{"tokens":[-1]}`, "tokens[0]", CodeInvalidValue, ""},
		{"text", `{"tokens":"a"}`, "tokens", CodeInvalidType, "must be a list"},
		{"an unknown key", `{"tokens":[],"x":1}`, "x", CodeUnknown, ""},
	})
}
