package gateway

import (
	"fmt"
	"math"
	"testing"
)

func TestCompletionsAnswerEveryPrompt(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "abc"})}})
	for name, prompt := range map[string]any{
		"text": "x", "texts": []string{"x", "yy"}, "ids": []int{1, 2}, "lists of ids": [][]int{{1}, {2, 3}, {4}},
	} {
		prompts := map[string]int{"text": 1, "texts": 2, "ids": 1, "lists of ids": 3}[name]
		_, answer := post(t, server.URL+"/v1/completions", object{"model": "m", "prompt": prompt, "n": 2, "temperature": 0})
		choices := get(t, answer, "choices").([]any)
		if len(choices) != 2*prompts {
			t.Errorf("%s: %d choices", name, len(choices))
		}
		for i, c := range choices {
			if get(t, c, "index") != float64(i) || get(t, c, "text") != "abc" || get(t, c, "logprobs") != nil {
				t.Errorf("%s: choice %d is %v", name, i, c)
			}
		}
	}
	_, answer := post(t, server.URL+"/v1/completions", object{"model": "m", "prompt": []string{"x", "yy"}, "n": 2, "temperature": 0})
	// Each prompt counts once, each choice's tokens count.
	if get(t, answer, "usage", "prompt_tokens") != 3.0 || get(t, answer, "usage", "completion_tokens") != 16.0 {
		t.Errorf("usage %v", get(t, answer, "usage"))
	}
}

func TestCompletionsStream(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "abc"})}})
	text, finish := "", any(nil)
	for _, event := range streamed(t, server.URL+"/v1/completions", object{"model": "m", "prompt": "x", "temperature": 0, "stream_options": object{"include_usage": true}}) {
		if choices := event["choices"].([]any); len(choices) > 0 {
			text += get(t, choices[0], "text").(string)
			finish = get(t, choices[0], "finish_reason")
		}
	}
	if text != "abc" || finish != "stop" {
		t.Errorf("%q, %v", text, finish)
	}
}

func TestWholeVocabularyOfLogprobs(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "é"})}})
	_, answer := post(t, server.URL+"/v1/completions", object{"model": "m", "prompt": []int{1}, "max_tokens": 2, "logprobs": 257, "temperature": 0, "return_tokens_as_token_ids": true})
	logprobs := get(t, answer, "choices", 0, "logprobs")
	top := get(t, logprobs, "top_logprobs", 0).(object)
	sum := 0.0
	for id := range 257 {
		sum += math.Exp(top[fmt.Sprintf("token_id:%d", id)].(float64))
	}
	if len(top) != 257 || math.Abs(sum-1) > 1e-9 {
		t.Errorf("%d ids with a mass of %v", len(top), sum)
	}
	if got := fmt.Sprint(get(t, logprobs, "tokens"), get(t, logprobs, "text_offset")); got != "[token_id:195 token_id:169] [0 0]" {
		t.Errorf("tokens and offsets %s", got)
	}
}

func TestLogprobsHoldTheChosenToken(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "abc"})}})
	for asked, entries := range map[int]int{0: 1, 1: 2} {
		_, answer := post(t, server.URL+"/v1/completions", object{"model": "m", "prompt": "x", "max_tokens": 1, "logprobs": asked, "temperature": 0, "logit_bias": object{"122": 100}})
		logprobs := get(t, answer, "choices", 0, "logprobs")
		top := get(t, logprobs, "top_logprobs", 0).(object)
		if len(top) != entries || top["z"] != get(t, logprobs, "token_logprobs", 0) {
			t.Errorf("logprobs %d: %v of %v", asked, top, logprobs)
		}
	}
}

func TestEmptyCompletion(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "abc"})}})
	status, answer := post(t, server.URL+"/v1/completions", object{"model": "m", "prompt": "x", "max_tokens": 0})
	if status != 200 || get(t, answer, "choices", 0, "text") != "" || get(t, answer, "choices", 0, "finish_reason") != "length" {
		t.Errorf("%d: %v", status, answer)
	}
}

func TestTokenizeAndBack(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{}), plainRoute("other", &speaker{})}})
	for name, body := range map[string]object{
		"default route": {"prompt": "hé"}, "named route": {"prompt": "hé", "model": "other"},
	} {
		status, answer := post(t, server.URL+"/tokenize", body)
		if status != 200 || answer["count"] != 3.0 || answer["max_model_len"] != 500.0 || fmt.Sprint(answer["tokens"]) != "[104 195 169]" {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	if _, answer := post(t, server.URL+"/tokenize", object{"messages": user("Hi")}); answer["count"] != 9.0 {
		t.Errorf("messages: %v", answer)
	}
	if _, answer := post(t, server.URL+"/tokenize", object{"prompt": ""}); fmt.Sprint(answer["tokens"]) != "[]" {
		t.Errorf("empty text: %v", answer)
	}
	if _, answer := post(t, server.URL+"/detokenize", object{"tokens": []int{104, 195, 169}}); answer["prompt"] != "hé" {
		t.Errorf("detokenize: %v", answer)
	}
}
