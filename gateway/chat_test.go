package gateway

import (
	"strings"
	"testing"
)

func TestChatAnswersWhole(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "Good day."})}})
	status, answer := post(t, server.URL+"/v1/chat/completions", object{"model": "m", "messages": user("Hi"), "temperature": 0})
	if status != 200 {
		t.Fatalf("%d: %v", status, answer)
	}
	for path, want := range map[string]any{
		"content": "Good day.", "role": "assistant",
	} {
		if got := get(t, answer, "choices", 0, "message", path); got != want {
			t.Errorf("message.%s is %v, want %v", path, got, want)
		}
	}
	if got := get(t, answer, "choices", 0, "finish_reason"); got != "stop" {
		t.Errorf("finish_reason %v", got)
	}
	// "user: Hi\n" is 9 bytes; the end token counts, as other servers count it.
	usage := get(t, answer, "usage").(object)
	if usage["prompt_tokens"] != 9.0 || usage["completion_tokens"] != 10.0 || usage["total_tokens"] != 19.0 {
		t.Errorf("usage %v", usage)
	}
	if get(t, answer, "object") != "chat.completion" || get(t, answer, "model") != "m" {
		t.Errorf("%v", answer)
	}
}

func TestStrengthMovesFromTheBaseToTheTunedText(t *testing.T) {
	server := start(t, Config{Routes: []*Route{tunedRoute("demo", "base text", "tuned one")}})
	for name, c := range map[string]struct {
		body    object
		headers []string
		want    string
	}{
		"default is 1":           {object{"model": "demo"}, nil, "tuned one"},
		"strength 0":             {object{"model": "demo", "tuning": object{"strength": 0}}, nil, "base text"},
		"by header":              {object{"model": "demo"}, []string{"X-Tuning-Strength", "0"}, "base text"},
		"by name":                {object{"model": "demo@0"}, nil, "base text"},
		"body before header":     {object{"model": "demo", "tuning": object{"strength": 1}}, []string{"X-Tuning-Strength", "0"}, "tuned one"},
		"expert's weight 0":      {object{"model": "demo", "tuning": object{"experts": object{"chat": 0}}}, nil, "base text"},
		"expert by header":       {object{"model": "demo"}, []string{"X-Tuning-Experts", "chat=0"}, "base text"},
		"null is absent":         {object{"model": "demo", "tuning": object{"strength": nil}}, nil, "tuned one"},
		"a little is too little": {object{"model": "demo", "tuning": object{"strength": 0.1}}, nil, "base text"},
	} {
		c.body["messages"], c.body["temperature"] = user("Hi"), 0
		status, answer := post(t, server.URL+"/v1/chat/completions", c.body, c.headers...)
		if status != 200 {
			t.Errorf("%s: %d %v", name, status, answer)
			continue
		}
		if got := get(t, answer, "choices", 0, "message", "content"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAnswersReportTheTuning(t *testing.T) {
	server := start(t, Config{Routes: []*Route{tunedRoute("demo", "base text", "tuned one")}})
	_, answer := post(t, server.URL+"/v1/chat/completions", object{"model": "demo", "messages": user("Hi"), "temperature": 0, "seed": 5,
		"tuning": object{"strength": 0.9, "experts": object{"chat": 1.5}, "explain": true}})
	report := get(t, answer, "tuning").(object)
	if got := get(t, report, "experts", "chat").(float64); got < 1.3499 || got > 1.3501 {
		t.Errorf("weight applied %v, want 0.9 × 1.5", got)
	}
	// 'e' at position 3 … the texts differ at all of 9 places but " " against " ".
	differing := 0
	for i := range "base text" {
		if "base text"[i] != "tuned one"[i] {
			differing++
		}
	}
	if report["changed_tokens"] != float64(differing) || report["seed"] != 5.0 || report["strength"] != 0.9 {
		t.Errorf("report %v, want %d changed tokens", report, differing)
	}
	if report["base_calls"] != 10.0 || report["mean_kl"].(float64) <= 0 {
		t.Errorf("report %v", report)
	}
	explain := report["explain"].([]any)
	first := explain[0].(object)
	if len(explain) != 10 || first["token"] != "t" || first["base_choice"] != "b" {
		t.Errorf("explain has %d entries, the first is %v", len(explain), first)
	}
	if tuned, base := get(t, first, "tuned", "chat").(float64), first["base"].(float64); tuned <= base {
		t.Errorf("tuned %v, base %v", tuned, base)
	}
}

func TestStrengthZeroRunsNoSmallModel(t *testing.T) {
	route := tunedRoute("demo", "base", "tuned")
	server := start(t, Config{Routes: []*Route{route}})
	post(t, server.URL+"/v1/chat/completions", object{"model": "demo@0", "messages": user("Hi")})
	if n := route.Experts[0].Small.(shift).tuned.rows.Load(); n != 0 {
		t.Errorf("the tuned model ran %d times", n)
	}
}

func TestStreamAddsUpToTheWholeAnswer(t *testing.T) {
	const says = "Grüße, 世界! 🙂 Ende."
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: says})}})
	for name, extra := range map[string]object{
		"plain":       {},
		"two choices": {"n": 2},
		"with usage":  {"stream_options": object{"include_usage": true}},
		"logprobs":    {"logprobs": true, "top_logprobs": 2},
	} {
		body := object{"model": "m", "messages": user("Hi"), "temperature": 0}
		for k, v := range extra {
			body[k] = v
		}
		texts, finishes, told := map[float64]string{}, map[float64]string{}, 0
		events := streamed(t, server.URL+"/v1/chat/completions", body)
		for i, event := range events {
			for _, c := range event["choices"].([]any) {
				choice := c.(object)
				at := choice["index"].(float64)
				if text, ok := get(t, choice, "delta", "content").(string); ok {
					texts[at] += text
				}
				if reason, ok := choice["finish_reason"].(string); ok {
					finishes[at] = reason
				}
				if l, ok := choice["logprobs"].(object); ok {
					told += len(l["content"].([]any))
				}
			}
			if _, has := event["tuning"]; has != (i == len(events)-1) {
				t.Errorf("%s: event %d of %d has tuning: %v", name, i, len(events), has)
			}
		}
		for at, text := range texts {
			if text != says || finishes[at] != "stop" {
				t.Errorf("%s: choice %v says %q and finishes with %q", name, at, text, finishes[at])
			}
		}
		if got := get(t, events[0], "choices", 0, "delta", "role"); got != "assistant" {
			t.Errorf("%s: the first event's role is %v", name, got)
		}
		last := events[len(events)-1]
		switch name {
		case "with usage":
			if get(t, last, "usage", "completion_tokens") != float64(len(says)+1) || len(last["choices"].([]any)) != 0 {
				t.Errorf("last event %v", last)
			}
			if usage, has := events[0]["usage"]; !has || usage != nil {
				t.Errorf("usage of the first event is %v, want null", usage)
			}
		case "logprobs":
			if told != len(says)+1 {
				t.Errorf("%d tokens told, want %d", told, len(says)+1)
			}
		case "two choices":
			if len(texts) != 2 {
				t.Errorf("%d choices", len(texts))
			}
		}
	}
}

func TestStopStringsCutAcrossTokens(t *testing.T) {
	const says = "one two three two"
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: says})}})
	for name, c := range map[string]struct {
		extra  object
		text   string
		finish string
	}{
		"none found":            {object{"stop": "four"}, says, "stop"},
		"in the middle":         {object{"stop": " two"}, "one", "stop"},
		"earliest of several":   {object{"stop": []string{"three", "wo"}}, "one t", "stop"},
		"at once":               {object{"stop": "o"}, "", "stop"},
		"begun and not ended":   {object{"stop": "two!"}, says, "stop"},
		"held at the length":    {object{"stop": "two!", "max_tokens": 6}, "one tw", "length"},
		"not before min":        {object{"stop": "two", "min_tokens": 10}, "one two three ", "stop"},
		"max_completion_tokens": {object{"max_completion_tokens": 3}, "one", "length"},
	} {
		body := object{"model": "m", "messages": user("Hi"), "temperature": 0}
		for k, v := range c.extra {
			body[k] = v
		}
		_, answer := post(t, server.URL+"/v1/chat/completions", body)
		if text, finish := get(t, answer, "choices", 0, "message", "content"), get(t, answer, "choices", 0, "finish_reason"); text != c.text || finish != c.finish {
			t.Errorf("%s: %q, %v; want %q, %s", name, text, finish, c.text, c.finish)
		}
		text := ""
		for _, event := range streamed(t, server.URL+"/v1/chat/completions", body) {
			if s, ok := get(t, event, "choices", 0, "delta", "content").(string); ok {
				text += s
			}
		}
		if text != c.text {
			t.Errorf("%s, streamed: %q, want %q", name, text, c.text)
		}
	}
}

func TestLogprobsTellTheCutTextOnly(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "abcdef"})}})
	_, answer := post(t, server.URL+"/v1/chat/completions", object{"model": "m", "messages": user("Hi"), "temperature": 0, "stop": "de", "logprobs": true, "top_logprobs": 1})
	text := ""
	for _, entry := range get(t, answer, "choices", 0, "logprobs", "content").([]any) {
		text += entry.(object)["token"].(string)
		if top := get(t, entry, "top_logprobs", 0, "token"); top != entry.(object)["token"] {
			t.Errorf("top token %v of %v", top, entry)
		}
	}
	if text != "abc" {
		t.Errorf("tokens told: %q", text)
	}
}

func TestIgnoreEOSGoesOn(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "ab"})}})
	_, answer := post(t, server.URL+"/v1/chat/completions", object{"model": "m", "messages": user("Hi"), "temperature": 0, "ignore_eos": true, "max_tokens": 9})
	if get(t, answer, "usage", "completion_tokens") != 9.0 || get(t, answer, "choices", 0, "finish_reason") != "length" {
		t.Errorf("%v", answer)
	}
}

func TestSeedsRepeatAndChoicesDiffer(t *testing.T) {
	route := plainRoute("m", &speaker{says: ""})
	route.Ends = nil // noise all the way
	server := start(t, Config{Routes: []*Route{route}})
	ask := func(extra object) (texts []string, seed float64) {
		body := object{"model": "m", "messages": user("Hi"), "temperature": 2, "max_tokens": 20, "logit_bias": object{"256": -100}}
		for k, v := range extra {
			body[k] = v
		}
		_, answer := post(t, server.URL+"/v1/chat/completions", body)
		for _, c := range get(t, answer, "choices").([]any) {
			texts = append(texts, get(t, c, "message", "content").(string))
		}
		return texts, get(t, answer, "tuning", "seed").(float64)
	}
	three, _ := ask(object{"seed": 7, "n": 3})
	one, _ := ask(object{"seed": 7})
	if one[0] != three[0] {
		t.Error("asking for more answers changed the first")
	}
	if three[0] == three[1] || three[1] == three[2] {
		t.Error("choices repeat each other")
	}
	drawn, seed := ask(nil)
	if again, _ := ask(object{"seed": int64(seed)}); again[0] != drawn[0] {
		t.Errorf("the reported seed %v gives another answer", seed)
	}
	if other, _ := ask(nil); other[0] == drawn[0] {
		t.Error("two requests without a seed gave the same noise")
	}
}

func TestDetokenisedCharactersAreNeverTorn(t *testing.T) {
	server := start(t, Config{Routes: []*Route{plainRoute("m", &speaker{says: "a🙂b"})}})
	for _, event := range streamed(t, server.URL+"/v1/chat/completions", object{"model": "m", "messages": user("Hi"), "temperature": 0}) {
		if s, ok := get(t, event, "choices", 0, "delta", "content").(string); ok && strings.Contains(s, "\uFFFD") {
			t.Errorf("a torn character: %q", s)
		}
	}
	_, answer := post(t, server.URL+"/v1/chat/completions", object{"model": "m", "messages": user("Hi"), "temperature": 0, "max_tokens": 3})
	if got := get(t, answer, "choices", 0, "message", "content"); got != "a\uFFFD" {
		t.Errorf("a character cut by max_tokens: %q", got)
	}
}
