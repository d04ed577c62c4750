package openai

import (
	"strings"
	"testing"
)

// asks has, for each key, values that ask for nothing and values that ask for
// something.
type asks map[string][2][]string

func TestUnsupportedParametersAreRefusedUnlessTheyAskForNothing(t *testing.T) {
	refusesUnlessNothing(t, asks{
		"tools":                     {{`[]`, `[ ]`}, {`[{"type":"function","function":{"name":"f"}}]`, `{}`, `""`}},
		"functions":                 {{`[]`}, {`[{"name":"f"}]`}},
		"tool_choice":               {{`"none"`, `"auto"`}, {`"required"`, `{"type":"function"}`, `" none"`}},
		"function_call":             {{`"none"`, `"auto"`}, {`{"name":"f"}`}},
		"parallel_tool_calls":       {{`false`}, {`true`}},
		"web_search_options":        {nil, {`{}`}},
		"response_format":           {{`{"type":"text"}`, "{ \"type\" :\n\"text\" }"}, {`{"type":"json_object"}`, `{"type":"json_schema","json_schema":{}}`, `{}`}},
		"modalities":                {{`["text"]`}, {`["text","audio"]`, `["audio"]`}},
		"audio":                     {nil, {`{"voice":"alloy","format":"mp3"}`}},
		"prediction":                {nil, {`{"type":"content","content":"a"}`}},
		"reasoning_effort":          {{`"none"`}, {`"low"`}},
		"reasoning":                 {nil, {`{}`}},
		"thinking":                  {nil, {`{}`}},
		"moderation":                {nil, {`{}`}},
		"verbosity":                 {{`"medium"`}, {`"low"`}},
		"structured_outputs":        {nil, {`{"json":{}}`}},
		"guided_json":               {nil, {`{}`}},
		"guided_regex":              {nil, {`"a+"`}},
		"guided_choice":             {nil, {`["a"]`}},
		"guided_grammar":            {nil, {`"root ::= a"`}},
		"guided_decoding_backend":   {nil, {`"outlines"`}},
		"guided_whitespace_pattern": {nil, {`" "`}},
		"grammar":                   {nil, {`"root ::= a"`}},
		"json_schema":               {nil, {`{}`}},
		"echo":                      {{`false`}, {`true`}},
		"suffix":                    {{`""`}, {`" "`, `"end"`}},
		"continue_final_message":    {{`false`}, {`true`}},
		"add_generation_prompt":     {{`true`}, {`false`}},
		"chat_template":             {nil, {`"{{x}}"`}},
		"chat_template_kwargs":      {{`{}`}, {`{"enable_thinking":true}`}},
		"documents":                 {{`[]`}, {`[{}]`}},
		"truncate_prompt_tokens":    {nil, {`5`}},
		"prompt_embeds":             {nil, {`"AA=="`}},
	})
}

func TestUnsupportedExtensionsAreRefusedUnlessTheyAskForNothing(t *testing.T) {
	refusesUnlessNothing(t, asks{
		"repetition_penalty":            {{`1`, `1.0`}, {`1.1`}},
		"length_penalty":                {{`1.0`}, {`2`}},
		"repeat_penalty":                {{`1`}, {`1.1`}},
		"typical_p":                     {{`1`}, {`0.5`}},
		"use_beam_search":               {{`false`}, {`true`}},
		"logits_processors":             {{`[]`}, {`["x"]`}},
		"bad_words":                     {{`[]`}, {`["x"]`}},
		"allowed_token_ids":             {{`[]`}, {`[1]`}},
		"stop_token_ids":                {{`[]`}, {`[1]`}},
		"vllm_xargs":                    {{`{}`}, {`{"a":1}`}},
		"prompt_logprobs":               {nil, {`0`, `5`}},
		"kv_transfer_params":            {nil, {`{}`}},
		"include_stop_str_in_output":    {{`false`}, {`true`}},
		"ec_transfer_params":            {nil, {`{}`}},
		"repetition_detection":          {nil, {`{}`}},
		"truncation_side":               {nil, {`"left"`}},
		"thinking_token_budget":         {{`-1`}, {`5`}},
		"watermarking":                  {{`false`}, {`true`}},
		"return_token_offsets":          {{`false`}, {`true`}},
		"spaces_between_special_tokens": {{`true`}, {`false`}},
	})
}

// refusesUnlessNothing asks both endpoints, which treat these keys alike.
func refusesUnlessNothing(t *testing.T, cases asks) {
	t.Helper()
	for key, values := range cases {
		t.Run(key, func(t *testing.T) {
			for _, nothing := range append([]string{"null", " null "}, values[0]...) {
				mustChat(t, chatWith(`"`+key+`":`+nothing))
				mustCompletion(t, completionWith(`"`+key+`":`+nothing))
			}
			for _, something := range append(values[1], `"`+strings.Repeat("x", 100)+`"`) {
				_, err := DecodeChat([]byte(chatWith(`"` + key + `":` + something)))
				wantError(t, err, key, CodeUnsupported, key+" is not supported, and to ignore it could change the answer; leave it out or send null")
				_, err = DecodeCompletion([]byte(completionWith(`"` + key + `":` + something)))
				wantError(t, err, key, CodeUnsupported, "leave it out or send null")
			}
		})
	}
}

func TestWhatOnlyCompletionsTellIsRefusedOnChat(t *testing.T) {
	for key, values := range map[string][2]string{
		"return_token_ids": {"false", "true"}, "add_special_tokens": {"false", "true"}, "logprob_token_ids": {"[]", "[1]"},
	} {
		mustChat(t, chatWith(`"`+key+`":`+values[0]))
		_, err := DecodeChat([]byte(chatWith(`"` + key + `":` + values[1])))
		wantError(t, err, key, CodeUnsupported, "is not supported")
	}
}

func TestStreamOptionsThatAreNotSupportedAreRefused(t *testing.T) {
	for _, key := range []string{"include_obfuscation", "continuous_usage_stats"} {
		mustChat(t, chatWith(`"stream":true,"stream_options":{"`+key+`":false}`))
		_, err := DecodeChat([]byte(chatWith(`"stream":true,"stream_options":{"` + key + `":true}`)))
		wantError(t, err, "stream_options."+key, CodeUnsupported, "send null or false")
	}
}

func TestHarmlessParametersAreAccepted(t *testing.T) {
	for _, members := range []string{
		`"user":"u"`, `"safety_identifier":"s"`, `"service_tier":"auto"`, `"prompt_cache_key":"k"`, `"prompt_cache_retention":"24h"`, `"prompt_cache_options":{}`,
		`"request_id":"r"`, `"session_id":"s"`, `"metadata":{"a":"b","c":[1,-2.5e3,true,null,{"d":"\u00e9"}]}`, `"store":true`, `"priority":3`, `"user":null`, `"metadata":null`,
	} {
		mustChat(t, chatWith(members))
		mustCompletion(t, completionWith(members))
	}
}

func TestBrokenValuesOfParametersNobodyReadsAreRefused(t *testing.T) {
	refuses(t, DecodeChat, []wrong{
		{"unsupported", chatWith(`"tools":[`), "tools[0]", CodeInvalidJSON, ""},
		{"unsupported without a value", `{"tools":`, "tools", CodeInvalidJSON, ""},
		{"harmless", chatWith(`"metadata":{"a":!}`), "metadata.a", CodeInvalidJSON, ""},
		{"harmless number", chatWith(`"metadata":{"a":-}`), "metadata.a", CodeInvalidJSON, ""},
		{"harmless without a value", `{"user":`, "user", CodeInvalidJSON, ""},
	})
}
