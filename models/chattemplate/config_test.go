package chattemplate

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestFromConfigFindsTheTemplates(t *testing.T) {
	tests := []struct {
		name, config string
		want         Sources
		err          string
	}{
		{"one text", `{"chat_template": "a"}`, Sources{"default": "a"}, ""},
		{"an empty text", `{"chat_template": ""}`, Sources{"default": ""}, ""},
		{"named ones", `{"chat_template": [{"name": "tool_use", "template": "b"}, {"name": "default", "template": "a"}, {"name": "rag", "template": "c"}]}`,
			Sources{"default": "a", "tool_use": "b", "rag": "c"}, ""},
		{"an object of them", `{"chat_template": {"default": "a", "rag": "c"}}`, Sources{"default": "a", "rag": "c"}, ""},
		{"none", `{}`, Sources{}, ""},
		{"null", `{"chat_template": null}`, Sources{}, ""},
		{"a name without a template", `{"chat_template": [{"name": "rag"}]}`, nil, "item 0 of chat_template has no name or no template"},
		{"a number", `{"chat_template": 1}`, nil, "neither a text nor a list"},
		{"a list of texts", `{"chat_template": ["a"]}`, nil, "neither a text nor a list"},
		{"no JSON", `x`, nil, "tokenizer_config.json: invalid character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := FromConfig([]byte(tt.config))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want one with %q", err, tt.err)
			}
			if !maps.Equal(s, tt.want) {
				t.Errorf("got %v, want %v", s, tt.want)
			}
		})
	}
}

func TestPickTakesTheTemplateForTools(t *testing.T) {
	tests := []struct {
		name         string
		sources      Sources
		plain, tools string
		err          string
	}{
		{"one", Sources{"default": "a"}, "a", "a", ""},
		{"one for tools too", Sources{"default": "a", "tool_use": "b"}, "a", "b", ""},
		{"none", nil, "", "", "no chat template"},
		{"several without a default", Sources{"rag": "c", "other": "d"}, "", "", `the model's chat templates are other, rag, and none is "default"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for tools, want := range map[bool]string{false: tt.plain, true: tt.tools} {
				got, err := tt.sources.Pick(tools)
				if got != want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("tools %v: got %q, error %v", tools, got, err)
				}
			}
		})
	}
	if _, err := (Sources{"tool_use": "b"}).Pick(false); err == nil || errors.Is(err, ErrNoTemplate) {
		t.Errorf("a model that renders tools only: error %v", err)
	}
}

func TestFromFilesNamesTemplatesForTheirFiles(t *testing.T) {
	got := FromFiles(map[string][]byte{
		"chat_template.jinja":                      []byte("a"),
		"additional_chat_templates/tool_use.jinja": []byte("b"),
		"additional_chat_templates/x/y.jinja":      []byte("no"),
		"additional_chat_templates/readme.md":      []byte("no"),
		"other.jinja":                              []byte("no"),
	})
	if want := (Sources{"default": "a", "tool_use": "b"}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = FromFiles(map[string][]byte{"chat_template.jinja": []byte("a"), "additional_chat_templates/default.jinja": []byte("b")})
	if got["default"] != "b" {
		t.Errorf("got %v, want the file of that name to win", got)
	}
}

func TestSpecialTokensAreReadAsTransformersDoes(t *testing.T) {
	const object = `{"__type": "AddedToken", "content": "<s>", "lstrip": false}`
	tests := []struct {
		name, config, legacy string
		want                 map[string]string
		err                  string
	}{
		{"texts and objects", `{"bos_token": ` + object + `, "eos_token": "</s>", "pad_token": null, "unk_token": ""}`, "",
			map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": ""}, ""},
		{"further names", `{"image_token": "<img>", "add_bos_token": true, "extra_special_tokens": {"audio": "<au>", "boi_token": ` + object + `}}`, "",
			map[string]string{"image_token": "<img>", "audio": "<au>", "boi_token": "<s>"}, ""},
		{"a list has no names", `{"extra_special_tokens": ["<x>"], "additional_special_tokens": ["<y>"]}`, "", map[string]string{}, ""},
		{"the older file wins", `{"bos_token": "a", "eos_token": "b"}`, `{"bos_token": {"content": "c"}, "additional_special_tokens": []}`,
			map[string]string{"bos_token": "c", "eos_token": "b"}, ""},
		{"but not over a list of added tokens", `{"bos_token": "a", "added_tokens_decoder": {}}`, `{"bos_token": "c"}`, map[string]string{"bos_token": "a"}, ""},
		{"a number", `{"bos_token": 1}`, "", nil, "tokenizer_config.json: bos_token is neither a text"},
		{"an object without content", `{"eos_token": {}}`, "", nil, "eos_token is neither a text"},
		{"a named number", `{"extra_special_tokens": {"a": 1}}`, "", nil, "extra_special_tokens: a is neither"},
		{"no JSON", `x`, "", nil, "tokenizer_config.json: invalid"},
		{"no JSON in the older file", `{}`, "x", nil, "special_tokens_map.json: invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var legacy json.RawMessage
			if tt.legacy != "" {
				legacy = json.RawMessage(tt.legacy)
			}
			got, err := SpecialTokens([]byte(tt.config), legacy)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want one with %q", err, tt.err)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
