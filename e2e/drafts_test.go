package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// drafters are compared with off.
var drafters = []string{"tuned", "base", "auto"}

// drafted is what a route answered with a drafter.
func drafted(url, route, draft string, prompt []int, temperature float64, seed int) ([]int, error) {
	answer, err := ask[completion](url, "/v1/completions", object{
		"model": route, "prompt": prompt, "max_tokens": 48, "temperature": temperature, "seed": seed,
		"logprobs": 1, "return_tokens_as_token_ids": true, "tuning": object{"draft": draft},
	})
	if err != nil {
		return nil, err
	}
	return answer.Choices[0].Logprobs.ids()
}

// lead is by how many nats the token behind prompt and generated led when noise was
// added: the least that has to be taken from it for another one to win.
func lead(t *testing.T, url, route string, prompt, generated []int, temperature float64, seed int) float64 {
	t.Helper()
	answer, err := ask[completion](url, "/v1/completions", object{
		"model": route, "prompt": slices.Concat(prompt, generated), "max_tokens": 1, "temperature": 0, "ignore_eos": true,
		"logprobs": -1, "return_tokens_as_token_ids": true, "tuning": object{"draft": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	top := answer.Choices[0].Logprobs.Top[0]
	row, pieces := eft.Row{Scores: make([]float32, len(top))}, make([][]byte, len(top))
	for name, logProb := range top {
		var id int
		if _, err := fmt.Sscanf(name, "token_id:%d", &id); err != nil {
			t.Fatal(err)
		}
		row.Scores[id], pieces[id] = float32(logProb), fmt.Append(nil, id)
	}
	combined, err := eft.NewMixer(eft.NewVocabulary(pieces), eft.Mix{Base: 1}).Combine(eft.Rows{Base: row})
	if err != nil {
		t.Fatal(err)
	}
	history := make([]eft.Token, len(generated))
	next := func(bias map[eft.Token]float64) eft.Token {
		token, err := eft.NewSampler(eft.Params{Temperature: temperature, TopP: 1, Seed: uint64(seed), Bias: bias}).Next(combined, history)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	winner, low, high := next(nil), 0.0, 100.0
	for high-low > 1e-7 {
		if middle := (low + high) / 2; next(map[eft.Token]float64{winner: -middle}) == winner {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// A drafter may make an answer faster and never another one. What single steps and paths
// of a model differ by, less than a thousandth of a nat, is all that can part two texts.
// Nothing is cached, so that every drafter's rows are its own.
func TestDraftersChangeNoToken(t *testing.T) {
	large := start(t, nil, "bench", "base", "--listen", "127.0.0.1:0", "--pass", "1ms", "--token", "5us")
	process := configured(t, fmt.Sprintf(`
bases:
  inside: {folder: embedded:base}
  best20: {folder: embedded:base, top_logprobs: 20}
  whole:  {url: %[1]s/v1, model: demo-base, top_logprobs: -1}
  best100: {url: %[1]s/v1, model: demo-base, top_logprobs: 100}
  list:   {url: %[2]s/v1, dialect: vllm, named: 10}
  pass:   {url: %[2]s, dialect: sglang, named: 10}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}, safe: {tuned: embedded:small-safe, untuned: embedded:small-chat}}
routes:
  in process:           {base: inside, experts: {chat: 1}, logprobs: {completions: -1}}
  in process, two pairs: {base: inside, experts: {chat: 1, safe: 1}, logprobs: {completions: -1}}
  in process, 20 best:  {base: best20, experts: {chat: 1}, logprobs: {completions: -1}}
  over Graft:           {base: whole, experts: {chat: 1}, logprobs: {completions: -1}}
  over Graft, 100 best: {base: best100, experts: {chat: 1}, logprobs: {completions: -1}}
  over a list of prefixes: {base: list, experts: {chat: 1}, logprobs: {completions: -1}}
  over one pass:        {base: pass, experts: {chat: 1}, logprobs: {completions: -1}}
cache: {memory: 0}
`, shared.url, large.url))
	prompts := chatPrompts(t, count(t, 40))
	for _, route := range []string{
		"in process", "in process, two pairs", "in process, 20 best", "over Graft", "over Graft, 100 best", "over a list of prefixes", "over one pass",
	} {
		t.Run(route, func(t *testing.T) {
			for _, temperature := range []float64{0, 1} {
				draftersAgree(t, process.url, route, prompts, temperature)
			}
		})
	}
}

// draftersAgree holds every drafter to off.
func draftersAgree(t *testing.T, url, route string, prompts [][]int, temperature float64) {
	t.Helper()
	off := draftedAll(t, url, route, "off", prompts, temperature)
	for _, draft := range drafters {
		tokens, parted := 0, 0
		for i, got := range draftedAll(t, url, route, draft, prompts, temperature) {
			want, same := off[i], 0
			for same < min(len(want), len(got)) && want[same] == got[same] {
				same++
			}
			if tokens += same; same == len(want) && same == len(got) {
				continue
			}
			parted++
			if by := lead(t, url, route, prompts[i], want[:same], temperature, i); by > nearTie {
				t.Errorf("%s, temperature %v: text %d parts behind %d tokens, where one led by %.2g nats", draft, temperature, i, same, by)
			}
		}
		t.Logf("%s, temperature %v: %d texts, %d tokens equal, %d parted at a near tie", draft, temperature, len(prompts), tokens, parted)
	}
}

// draftedAll completes all prompts, a few at a time.
func draftedAll(t *testing.T, url, route, draft string, prompts [][]int, temperature float64) [][]int {
	t.Helper()
	texts, errs := make([][]int, len(prompts)), make([]error, len(prompts))
	var workers sync.WaitGroup
	places := make(chan struct{}, 4)
	for i, prompt := range prompts {
		places <- struct{}{}
		workers.Go(func() {
			texts[i], errs[i] = drafted(url, route, draft, prompt, temperature, i)
			<-places
		})
	}
	workers.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s, %s, prompt %d: %v", route, draft, i, err)
		}
	}
	return texts
}
