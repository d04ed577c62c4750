package e2e

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/models/demo"
)

// truncation is one way to see the base: k best log-probs, so many by name, and what
// becomes of the tail.
type truncation struct {
	k, named int
	tail     string
}

func (c truncation) route() string { return fmt.Sprintf("k%d-%s-%d", c.k, c.tail, c.named) }

// truncations are all that is measured; k 0 is whole rows.
func truncations() []truncation {
	all := []truncation{{0, 0, "untuned"}}
	for _, k := range []int{1, 5, 20, 100, 1000} {
		all = append(all, truncation{k, 0, "drop"}, truncation{k, 0, "untuned"}, truncation{k, 10, "untuned"})
	}
	return all
}

// truncatedConfig has a route over each; base is a folder or a URL.
func truncatedConfig(base string) string {
	var bases, routes strings.Builder
	for _, c := range truncations() {
		k := c.k
		if k == 0 && strings.HasPrefix(base, "url") {
			k = -1
		}
		fmt.Fprintf(&bases, "  %s: {%s, top_logprobs: %d, named: %d}\n", c.route(), base, k, c.named)
		fmt.Fprintf(&routes, "  %[1]s: {base: %[1]s, experts: {chat: 1}, tail: %[2]s, logprobs: {completions: -1}}\n", c.route(), c.tail)
	}
	return "bases:\n" + bases.String() + "experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}\nroutes:\n" + routes.String() + "cache: {memory: 0}\n"
}

// divergence is KL(truncated ‖ dense) of the mixed distributions, in nats. The other
// way round it is infinite wherever truncation forbids a token.
func divergence(dense, truncated map[string]float64) float64 {
	kl := 0.0
	for id, q := range truncated {
		if p := math.Exp(q); p > 0 {
			kl += p * (q - dense[id])
		}
	}
	return max(kl, 0)
}

// nextRows are the mixed distributions behind each of the prefixes.
func nextRows(url, route string, prefixes [][]int, size int) ([]map[string]float64, error) {
	answer, err := ask[completion](url, "/v1/completions", object{
		"model": route, "prompt": prefixes, "max_tokens": 1, "temperature": 0, "logprobs": size, "return_tokens_as_token_ids": true,
	})
	if err != nil {
		return nil, err
	}
	var rows []map[string]float64
	for _, c := range answer.Choices {
		rows = append(rows, c.Logprobs.Top[0])
	}
	return rows, nil
}

// measured is what a truncation costs.
type measured struct {
	mean, worst float64 // KL a position, nats
	positions   int
	right       float64 // share of the questions
}

// What becomes of the mix when a server gives only its k best. GRAFT_QUESTIONS=300
// asks more of them.
func TestTruncatedRowsComeCloseToDense(t *testing.T) {
	n := count(t, 8)
	p := configured(t, truncatedConfig("folder: embedded:base"))
	facts := questions(t, "held-out", "fact")[:n]
	prompts := chatPrompts(t, n)
	dense := answerAll(t, p.url, truncations()[0].route(), prompts)
	results := map[truncation]measured{}
	for _, c := range truncations() {
		results[c] = measureTruncation(t, p.url, c.route(), facts, prompts, dense)
	}
	base, _ := measure(t, "demo-base", facts)
	direct, _ := measure(t, "demo-base-chat", facts)
	t.Logf("%d questions, %d positions", n, results[truncations()[0]].positions)
	t.Logf("%-6s %-8s %-6s %12s %12s %12s", "k", "tail", "named", "mean KL", "worst KL", "gap closed")
	for _, c := range truncations() {
		r := results[c]
		t.Logf("%-6d %-8s %-6d %12.2g %12.2g %11.1f%%", c.k, c.tail, c.named, r.mean, r.worst, 100*(r.right-base)/(direct-base))
	}
	for _, k := range []int{1, 5, 20, 100} {
		drop, untuned, named := results[truncation{k, 0, "drop"}], results[truncation{k, 0, "untuned"}], results[truncation{k, 10, "untuned"}]
		if untuned.mean > drop.mean || named.mean > untuned.mean {
			t.Errorf("k = %d: KL %.3g dropped, %.3g completed, %.3g with named tokens: each must be closer than the one before", k, drop.mean, untuned.mean, named.mean)
		}
	}
	if nearly := results[truncation{1000, 0, "untuned"}]; nearly.mean > 1e-4 {
		t.Errorf("with 1,000 ids KL is still %.3g", nearly.mean)
	}
}

// measureTruncation compares a route's distributions with the dense ones at every
// position of the dense answers, and asks it the questions.
func measureTruncation(t *testing.T, url, route string, facts []demo.Question, prompts [][]int, dense []greedyText) measured {
	t.Helper()
	var m measured
	whole, size := truncations()[0].route(), vocabularySize(t, "demo")
	for i, text := range dense {
		var prefixes [][]int
		for j := range text.ids {
			prefixes = append(prefixes, slices.Concat(prompts[i], text.ids[:j]))
		}
		want, err := nextRows(url, whole, prefixes, size)
		if err != nil {
			t.Fatal(err)
		}
		got, err := nextRows(url, route, prefixes, size)
		if err != nil {
			t.Fatal(err)
		}
		for j := range want {
			kl := divergence(want[j], got[j])
			m.mean, m.worst, m.positions = m.mean+kl, max(m.worst, kl), m.positions+1
		}
	}
	m.mean /= float64(m.positions)
	m.right, _ = measureAt(t, url, route, facts)
	return m
}
