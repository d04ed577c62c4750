package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// exports are model folders that real exporters wrote; models/testdata/exports/make.py
// makes them.
var exports = filepath.Join(root, "models", "testdata", "exports", "pair")

// pairConfig serves a base and a pair that score 352 and 320 ids for one tokenizer.
const pairConfig = `
listen: 127.0.0.1:0
bases:   {large: {folder: qwen2-base}}
experts: {chat: {tuned: qwen2-small-tuned, untuned: qwen2-small}}
routes:  {qwen2: {base: large, experts: {chat: 1.0}}}
`

// pairGolden are the tokens of the plain formula over these models in PyTorch.
func pairGolden(t *testing.T) (cases []golden) {
	t.Helper()
	if err := json.NewDecoder(unzipped(t, filepath.Join(exports, "golden.json.gz"))).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestAPairOfARealArchitectureIsServed(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(exports)); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "graft.yaml")
	if err := os.WriteFile(config, []byte(pairConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "serve", "--config", config)
	tokens := 0
	cases := pairGolden(t)
	for _, c := range cases {
		got, _ := c.greedy(t, p.url, "qwen2", len(c.Tokens), 0)
		if !slices.Equal(got, c.Tokens) {
			t.Errorf("strength %v after %v: %v, PyTorch's are %v with gaps of %v", c.Strength, c.PromptIDs, got, c.Tokens, c.Gaps)
		}
		tokens += len(got)
	}
	t.Logf("%d cases: %d tokens equal those of PyTorch", len(cases), tokens)
	if len(cases) < 30 {
		t.Errorf("%d cases, want 10 prompts × 3 strengths", len(cases))
	}

	answer, err := ask[chatAnswer](p.url, "/v1/chat/completions", object{
		"model": "qwen2", "max_tokens": 4, "messages": []object{{"role": "user", "content": "The town"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Usage.PromptTokens == 0 || answer.Usage.CompletionTokens == 0 {
		t.Errorf("a chat of %+v", answer.Usage)
	}
}
