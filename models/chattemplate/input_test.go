package chattemplate

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestInputBecomesTheDataThatTemplatesKnow(t *testing.T) {
	tests := []struct {
		name, source, want string
		in                 Input
	}{
		{"messages keep their order of members", "{{ messages }}",
			`[{'role': 'user', 'content': 'Hi', 'name': 'Ann'}, {'role': 'assistant', 'content': None, 'tool_calls': [{'id': 1}]}]`,
			Input{Messages: []Message{
				{Role: "user", Content: "Hi", Extra: json.RawMessage(`{"name": "Ann"}`)},
				{Role: "assistant", Extra: json.RawMessage(`{"content": null, "tool_calls": [{"id": 1}]}`)},
			}}},
		{"parts take the place of content", "{{ messages[0].content[0].text }}", "Hi",
			Input{Messages: []Message{{Role: "user", Content: "no", Parts: json.RawMessage(`[{"type": "text", "text": "Hi"}]`)}}}},
		{"no tools are None", "{{ tools is none }}{{ documents is none }}{{ tools is defined }}", "TrueTrueTrue", Input{}},
		{"tools keep their order and numbers", "{{ tools|tojson }}", `[{"b": 1.0, "a": 1}]`, Input{Tools: json.RawMessage(`[{"b":1.0,"a":1}]`)}},
		{"special tokens have their names", "{{ bos_token is defined }}{{ eos_token }}{{ pad_token is defined }}{{ image_token }}", "False</s>True<img>",
			Input{Special: map[string]string{"eos_token": "</s>", "pad_token": "", "image_token": "<img>"}}},
		{"extra names win", "{{ add_generation_prompt }}{{ enable_thinking }}{{ bos_token }}", "TrueFalse<x>",
			Input{AddGenerationPrompt: true, Special: map[string]string{"bos_token": "<s>"}, Extra: map[string]json.RawMessage{"enable_thinking": json.RawMessage("false"), "bos_token": json.RawMessage(`"<x>"`)}}},
		{"now is the given time", "{{ strftime_now('%d %b %Y') }}", "10 Jul 2025", Input{Now: vectorTime}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, err := Parse(tt.source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tmpl.RenderInput(context.Background(), tt.in)
			if err != nil || got != tt.want {
				t.Errorf("got  %q, error %v\nwant %q", got, err, tt.want)
			}
		})
	}
}

func TestInputWithoutATimeSeesTheClock(t *testing.T) {
	tmpl, err := Parse("{{ strftime_now('%Y') }}")
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Format("2006")
	got, err := tmpl.RenderInput(context.Background(), Input{})
	if after := time.Now().Format("2006"); err != nil || got != before && got != after {
		t.Errorf("got %q, error %v", got, err)
	}
}

func TestInputThatIsNotJSONIsRefusedByName(t *testing.T) {
	tmpl, err := Parse("")
	if err != nil {
		t.Fatal(err)
	}
	bad := json.RawMessage("{")
	for want, in := range map[string]Input{
		"message 1: ":          {Messages: []Message{{}, {Extra: bad}}},
		"message 0: content: ": {Messages: []Message{{Parts: bad}}},
		"not an object":        {Messages: []Message{{Extra: json.RawMessage("[]")}}},
		"tools: ":              {Tools: bad},
		"documents: ":          {Documents: bad},
		"date_string: ":        {Extra: map[string]json.RawMessage{"date_string": bad}},
	} {
		if _, err := tmpl.RenderInput(context.Background(), in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
