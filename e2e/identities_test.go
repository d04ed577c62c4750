package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Routes that must say the same, token for token.
const identities = `
bases:
  base: {folder: embedded:base}
  small: {folder: embedded:small}
  small-chat: {folder: embedded:small-chat}
experts:
  chat: {tuned: embedded:small-chat, untuned: embedded:small}
  nothing: {tuned: embedded:small-chat, untuned: embedded:small-chat}
routes:
  base: {base: base}
  tuned: {base: base, experts: {chat: 1.0}}
  nothing: {base: base, experts: {nothing: 1.0}}
  small-chat: {base: small-chat}
  small: {base: small, experts: {chat: 1.0}}
`

func TestIdentitiesHoldOnRealModels(t *testing.T) {
	config := filepath.Join(t.TempDir(), "graft.yaml")
	if err := os.WriteFile(config, []byte(identities), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "serve", "--config", config, "--listen", "127.0.0.1:0")
	says := func(model, question string, temperature float64, seed int) []string {
		t.Helper()
		answer, err := ask[struct {
			Choices []struct{ Logprobs struct{ Tokens []string } }
		}](p.url, "/v1/completions", object{
			"model": model, "prompt": tokenizeChat(t, question), "temperature": temperature, "seed": seed,
			"max_tokens": 40, "logprobs": 0, "return_tokens_as_token_ids": true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Choices[0].Logprobs.Tokens
	}
	for i, q := range questions(t, "held-out", "fact")[:40] {
		for _, temperature := range []float64{0, 1} {
			for _, same := range [][2]string{{"tuned@0", "base"}, {"nothing", "base"}, {"small", "small-chat"}} {
				a, b := says(same[0], q.Question, temperature, i), says(same[1], q.Question, temperature, i)
				if !slices.Equal(a, b) {
					t.Errorf("%q at temperature %v: %s says %v, %s %v", q.Question, temperature, same[0], a, same[1], b)
				}
			}
		}
	}
}
