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
func TestDraftersChangeNoToken(t *testing.T) {
	process := configured(t, fmt.Sprintf(`
bases:
  inside: {folder: embedded:base}
  best20: {folder: embedded:base, top_logprobs: 20}
  whole:  {url: %[1]s/v1, model: demo-base, top_logprobs: -1}
  best100: {url: %[1]s/v1, model: demo-base, top_logprobs: 100}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}, safe: {tuned: embedded:small-safe, untuned: embedded:small-chat}}
routes:
  in process:           {base: inside, experts: {chat: 1}, logprobs: {completions: -1}}
  in process, two pairs: {base: inside, experts: {chat: 1, safe: 1}, logprobs: {completions: -1}}
  in process, 20 best:  {base: best20, experts: {chat: 1}, logprobs: {completions: -1}}
  over Graft:           {base: whole, experts: {chat: 1}, logprobs: {completions: -1}}
  over Graft, 100 best: {base: best100, experts: {chat: 1}, logprobs: {completions: -1}}
`, shared.url))
	prompts := chatPrompts(t, count(t, 60))
	for _, route := range []string{"in process", "in process, two pairs", "in process, 20 best", "over Graft", "over Graft, 100 best"} {
		for _, temperature := range []float64{0, 1} {
			texts := make(map[string][][]int)
			for _, draft := range append([]string{"off"}, drafters...) {
				texts[draft] = draftedAll(t, process.url, route, draft, prompts, temperature)
			}
			for _, draft := range drafters {
				tokens, parted := 0, 0
				for i, want := range texts["off"] {
					got := texts[draft][i]
					same := 0
					for same < min(len(want), len(got)) && want[same] == got[same] {
						same++
					}
					if tokens += same; same == len(want) && same == len(got) {
						continue
					}
					parted++
					if by := lead(t, process.url, route, prompts[i], want[:same], temperature, i); by > nearTie {
						t.Errorf("%s, %s, temperature %v: text %d parts behind %d tokens, where one led by %.2g nats", route, draft, temperature, i, same, by)
					}
				}
				t.Logf("%s, %s, temperature %v: %d texts, %d tokens equal, %d parted at a near tie", route, draft, temperature, len(prompts), tokens, parted)
			}
		}
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
