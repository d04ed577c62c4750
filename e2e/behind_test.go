package e2e

import (
	"fmt"
	"testing"
)

// nearTie bounds the lead of a token that may be lost over a server: its log-probs come
// rounded to float32, and are summed in another order than scores in process are.
const nearTie = 1e-3

// A gateway whose base is another gateway, over HTTP, says what one with the base in
// process says: whole rows, and the 100 best.
func TestGraftBehindGraft(t *testing.T) {
	front := configured(t, fmt.Sprintf(`
bases:
  inside:     {folder: embedded:base}
  inside100:  {folder: embedded:base, top_logprobs: 100}
  dense:      {url: %[1]s/v1, model: demo-base, top_logprobs: -1}
  best100:    {url: %[1]s, model: demo-base, top_logprobs: 100}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}
routes:
  inside:    {base: inside, experts: {chat: 1}}
  inside100: {base: inside100, experts: {chat: 1}}
  dense:     {base: dense, experts: {chat: 1}}
  best100:   {base: best100, experts: {chat: 1}}
`, shared.url))
	prompts := chatPrompts(t, count(t, 100))
	reference := map[string][]greedyText{"inside": answerAll(t, front.url, "inside", prompts), "inside100": answerAll(t, front.url, "inside100", prompts)}
	for _, pair := range []struct{ over, inside string }{{"dense", "inside"}, {"best100", "inside100"}} {
		texts := answerAll(t, front.url, pair.over, prompts)
		compare(reference[pair.inside], texts).within(t, pair.over+" over HTTP against in process", nearTie)
	}
	t.Logf("100 best against whole rows, both in process: %s", compare(reference["inside"], reference["inside100"]))
}
