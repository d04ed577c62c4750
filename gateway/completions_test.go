package gateway

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
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

// The whole vocabulary is −1, or as many as it has; a cap below it is told in vLLM's words.
func TestWholeVocabularyIsHeldToTheCap(t *testing.T) {
	capped := plainRoute("capped", &speaker{says: "a"})
	capped.CompletionLogprobs = 100
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "a"}), capped}})
	body := object{"model": "m", "prompt": [][]int{{1}, {2}}, "max_tokens": 1, "logprobs": -1, "temperature": 0, "return_tokens_as_token_ids": true}
	_, answer := post(t, server.URL+"/v1/completions", body)
	for i := range 2 {
		top := get(t, answer, "choices", i, "logprobs", "top_logprobs", 0).(object)
		if len(top) != 257 || top["token_id:97"] != get(t, answer, "choices", i, "logprobs", "token_logprobs", 0) {
			t.Errorf("choice %d: %d ids, the chosen one has %v", i, len(top), top["token_id:97"])
		}
	}
	rows := 0
	for _, event := range streamed(t, server.URL+"/v1/completions", body) {
		for _, c := range event["choices"].([]any) {
			for _, top := range get(t, c, "logprobs", "top_logprobs").([]any) {
				if len(top.(object)) != 257 {
					t.Errorf("an event tells %d ids", len(top.(object)))
				}
				rows++
			}
		}
	}
	if rows != 2 {
		t.Errorf("a stream tells %d rows", rows)
	}
	for asked, says := range map[int]string{-1: "sample logprobs of 257", 101: "sample logprobs of 101"} {
		status, answer := post(t, server.URL+"/v1/completions", object{"model": "capped", "prompt": "x", "logprobs": asked})
		message := get(t, answer, "error", "message").(string)
		if status != 400 || get(t, answer, "error", "param") != "logprobs" || !strings.Contains(message, says+", which is greater than max allowed: 100") {
			t.Errorf("logprobs %d: %d %s", asked, status, message)
		}
	}
}

func TestImpossibleTokensAreToldInTheWholeVocabularyOnly(t *testing.T) {
	route := plainRoute("m", &speaker{says: "a"})
	server := start(t, Config{Routes: []*Route{route}})
	body := object{"model": "m", "prompt": "x", "max_tokens": 1, "temperature": 0, "return_tokens_as_token_ids": true, "tuning": object{"plausibility": 0.5}}
	for asked, entries := range map[int]int{-1: 257, 256: 1} {
		body["logprobs"] = asked
		_, answer := post(t, server.URL+"/v1/completions", body)
		top := get(t, answer, "choices", 0, "logprobs", "top_logprobs", 0).(object)
		if len(top) != entries || top["token_id:97"] != 0.0 || asked < 0 && top["token_id:98"] != -9999.0 {
			t.Errorf("logprobs %d: %v", asked, top)
		}
	}
}

func TestLogprobsAreNamedByID(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "ab"})}})
	body := object{"model": "m", "prompt": "x", "temperature": 0, "logprobs": 1, "logprob_token_ids": []int{256, 122, 256}, "return_tokens_as_token_ids": true}
	_, answer := post(t, server.URL+"/v1/completions", body)
	for i, want := range [][]string{{"97", "122", "256"}, {"98", "122", "256"}, {"122", "256"}} {
		top := get(t, answer, "choices", 0, "logprobs", "top_logprobs", i).(object)
		got := slices.Sorted(maps.Keys(top))
		for j := range want {
			want[j] = "token_id:" + want[j]
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("position %d tells %v, want %v", i, got, want)
		}
	}
	// log(e^12 + 256) = 12.0015717, by hand; the others have 0 − that.
	if l := get(t, answer, "choices", 0, "logprobs", "top_logprobs", 0, "token_id:122").(float64); math.Abs(l+12.0015717) > 1e-6 {
		t.Errorf("token 122 has %v", l)
	}
	delete(body, "return_tokens_as_token_ids")
	_, answer = post(t, server.URL+"/v1/completions", body)
	if top := get(t, answer, "choices", 0, "logprobs", "top_logprobs", 0).(object); len(top) != 3 || top["a"] == nil || top["z"] == nil || top["<end>"] == nil {
		t.Errorf("by text: %v", top)
	}
}

func TestTokenIDsAreTold(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "aé"})}})
	for name, c := range map[string]struct {
		extra object
		want  string
	}{
		"to the end token":  {object{}, "[97 195 169 256]"},
		"with log-probs":    {object{"logprobs": 0}, "[97 195 169 256]"},
		"to a length":       {object{"max_tokens": 2}, "[97 195]"},
		"to a stop string":  {object{"stop": "é"}, "[97]"},
		"nothing":           {object{"max_tokens": 0}, "[]"},
		"behind end tokens": {object{"max_tokens": 5, "ignore_eos": true}, "[97 195 169 256 256]"},
	} {
		body := object{"model": "m", "prompt": [][]int{{1, 2}, {3}}, "temperature": 0, "return_token_ids": true}
		maps.Copy(body, c.extra)
		_, answer := post(t, server.URL+"/v1/completions", body)
		for i, prompt := range []string{"[1 2]", "[3]"} {
			choice := get(t, answer, "choices", i)
			if got := fmt.Sprint(get(t, choice, "prompt_token_ids"), get(t, choice, "token_ids")); got != prompt+" "+c.want {
				t.Errorf("%s: choice %d has %s, want %s %s", name, i, got, prompt, c.want)
			}
		}
		prompts, ids := map[float64]string{}, map[float64][]any{0: {}, 1: {}}
		for _, event := range streamed(t, server.URL+"/v1/completions", body) {
			for _, choice := range event["choices"].([]any) {
				at := get(t, choice, "index").(float64)
				if p, has := choice.(object)["prompt_token_ids"]; has {
					prompts[at] += fmt.Sprint(p)
				}
				ids[at] = append(ids[at], get(t, choice, "token_ids").([]any)...)
			}
		}
		if got := fmt.Sprint(prompts, ids); got != fmt.Sprintf("map[0:[1 2] 1:[3]] map[0:%s 1:%s]", c.want, c.want) {
			t.Errorf("%s, streamed: %s", name, got)
		}
	}
	_, answer := post(t, server.URL+"/v1/completions", object{"model": "m", "prompt": "x", "temperature": 0})
	if choice := get(t, answer, "choices", 0).(object); len(choice) != 4 {
		t.Errorf("ids that nobody asked for: %v", choice)
	}
}

// beginning is a base that remembers whose texts it began, and with what.
type beginning struct {
	*speaker
	mu      sync.Mutex
	tenants []string
	prompts [][]eft.Token
}

func (b *beginning) Open(ctx context.Context, tenant string, prompt []eft.Token) (decode.Sequence, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tenants, b.prompts = append(b.tenants, tenant), append(b.prompts, prompt)
	return b.speaker.Open(ctx, tenant, prompt)
}

func TestSaltsPartATenantsRequests(t *testing.T) {
	base := &beginning{speaker: &speaker{says: "a"}}
	route := plainRoute("m", base.speaker)
	route.Base = base
	server := start(t, Config{Routes: []*Route{route}, Keys: []string{"one", "two"}})
	ask := func(key string, salt any) string {
		t.Helper()
		status, answer := post(t, server.URL+"/v1/completions", object{"model": "m", "prompt": "x", "cache_salt": salt}, "Authorization", "Bearer "+key)
		if status != 200 {
			t.Fatalf("%d %v", status, answer)
		}
		return base.tenants[len(base.tenants)-1]
	}
	plain, salted := ask("one", nil), ask("one", "s")
	if plain == "" || salted == plain || salted == ask("one", "other") || salted == ask("two", "s") {
		t.Errorf("tenants meet: %q", base.tenants)
	}
	if ask("one", nil) != plain || ask("one", "s") != salted {
		t.Errorf("a tenant is parted from itself: %q", base.tenants)
	}
}

// markedText begins every text with 256 and can show it.
type markedText struct{ byteText }

func (markedText) Encode(s string, special bool) []eft.Token {
	ids := byteText{}.Encode(s, false)
	if special {
		ids = append([]eft.Token{endID}, ids...)
	}
	return ids
}

func (markedText) StreamSpecial() TextStream { return &markedStream{} }

type markedStream struct{ byteStream }

func (s *markedStream) Push(id eft.Token) string {
	if id == endID {
		return s.Flush() + "<end>"
	}
	return s.byteStream.Push(id)
}

func TestSpecialTokensAreAddedAndShownAsAsked(t *testing.T) {
	base := &beginning{speaker: &speaker{says: "a"}}
	route := plainRoute("m", base.speaker)
	route.Base, route.Text = base, markedText{}
	server := start(t, Config{Routes: []*Route{route, plainRoute("plain", &speaker{says: "a"})}})
	for name, c := range map[string]struct {
		extra  object
		prompt string
		text   string
	}{
		"as a rule":    {object{}, "[256 120]", "a"},
		"not added":    {object{"add_special_tokens": false}, "[120]", "a"},
		"ids are ids":  {object{"prompt": []int{7}}, "[7]", "a"},
		"shown":        {object{"skip_special_tokens": false}, "[256 120]", "a<end><end>"},
		"not shown":    {object{"skip_special_tokens": true}, "[256 120]", "a"},
		"no end token": {object{"skip_special_tokens": false, "ignore_eos": false, "max_tokens": nil}, "[256 120]", "a"},
	} {
		body := object{"model": "m", "prompt": "x", "temperature": 0, "max_tokens": 3, "ignore_eos": true}
		maps.Copy(body, c.extra)
		status, answer := post(t, server.URL+"/v1/completions", body)
		if status != 200 {
			t.Errorf("%s: %d %v", name, status, answer)
			continue
		}
		if got := fmt.Sprint(base.prompts[len(base.prompts)-1]); got != c.prompt || get(t, answer, "choices", 0, "text") != c.text {
			t.Errorf("%s: prompt %s, text %q", name, got, get(t, answer, "choices", 0, "text"))
		}
	}
	status, answer := post(t, server.URL+"/v1/completions", object{"model": "plain", "prompt": "x", "skip_special_tokens": false})
	if status != 400 || get(t, answer, "error", "param") != "skip_special_tokens" {
		t.Errorf("a text that cannot show them: %d %v", status, answer)
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
