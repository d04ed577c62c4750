package e2e

import (
	"fmt"
	"math"
	"testing"
)

// vocabularySize is the embedded family's.
func vocabularySize(t *testing.T, route string) int {
	t.Helper()
	var size struct {
		VocabSize int `json:"vocab_size"`
	}
	if err := fetch("/v1/models/"+route, &size); err != nil {
		t.Fatal(err)
	}
	return size.VocabSize
}

// row fetches the log-probs of the whole vocabulary behind a prompt of ids.
func row(t *testing.T, model string, prompt []int, size int) []float64 {
	t.Helper()
	answer, err := ask[completion](shared.url, "/v1/completions", object{
		"model": model, "prompt": prompt, "max_tokens": 1, "logprobs": size, "temperature": 0, "return_tokens_as_token_ids": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	top := answer.Choices[0].Logprobs.Top[0]
	logprobs := make([]float64, size)
	for id := range logprobs {
		l, ok := top[fmt.Sprintf("token_id:%d", id)]
		if !ok {
			t.Fatalf("%s tells nothing of id %d", model, id)
		}
		logprobs[id] = l
	}
	return logprobs
}

// mixed is the formula by hand: base + α (tuned − untuned), normalised.
func mixed(alpha float64, base, tuned, untuned []float64) []float64 {
	out, sum := make([]float64, len(base)), 0.0
	for i := range base {
		out[i] = base[i] + alpha*(tuned[i]-untuned[i])
		sum += math.Exp(out[i])
	}
	for i := range out {
		out[i] -= math.Log(sum)
	}
	return out
}

func TestTheFormulaHoldsFromOutside(t *testing.T) {
	size := vocabularySize(t, "demo")
	worst := 0.0
	for i, q := range questions(t, "held-out", "fact")[:12] {
		tokens := tokenize(t, q.Question)
		if i%2 == 0 {
			tokens = tokenizeChat(t, q.Question)
		}
		base, tuned, untuned := row(t, "demo-base", tokens, size), row(t, "demo-small-chat", tokens, size), row(t, "demo-small", tokens, size)
		for _, alpha := range []float64{0.5, 1, 1.5} {
			want := mixed(alpha, base, tuned, untuned)
			got := row(t, fmt.Sprintf("demo@%v", alpha), tokens, size)
			for id := range want {
				worst = max(worst, math.Abs(got[id]-want[id]))
			}
		}
	}
	t.Logf("largest difference %.2g nats", worst)
	if worst > 1e-3 {
		t.Errorf("demo's log-probs differ from the formula's by up to %v", worst)
	}
}
