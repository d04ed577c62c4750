package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

const cacheSecret = "GRAFT_CACHE_SECRET=0123456789abcdef0123456789abcdef"

// keptConfig is the demo route, its prompts kept where cache says.
func keptConfig(cache string) string {
	return `
bases:   {base: {folder: embedded:base}}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}
routes:  {r: {base: base, experts: {chat: 1}}}
cache:   ` + cache
}

// longPrompts are n that begin alike for 600 tokens, drawn from a seed.
func longPrompts(seed uint64, n int) [][]int {
	r := rand.New(rand.NewPCG(seed, 0))
	draw := func(n int) (ids []int) {
		for range n {
			ids = append(ids, 3+r.IntN(1000))
		}
		return ids
	}
	begin := draw(600)
	var prompts [][]int
	for i := range n {
		prompts = append(prompts, append(begin[:600:600], draw(20+100*(i%4))...))
	}
	return prompts
}

// reused is how many tokens of prompts a tier knew.
func (p *process) reused(t *testing.T, tier string) (n float64) {
	for _, model := range []string{"base", "small", "small-chat"} {
		n += p.metric(t, fmt.Sprintf(`graft_prefix_reused_tokens_total{model="embedded:%s",tier="%s"}`, model, tier))
	}
	return n
}

// ready waits until all models' prompts are kept.
func (p *process) ready(t *testing.T) {
	t.Helper()
	if err := settles(func() bool {
		for _, model := range []string{"base", "small", "small-chat"} {
			if !hasMetric(t, p, fmt.Sprintf(`graft_prefix_hits_total{model="embedded:%s",tier="memory"}`, model)) {
				return false
			}
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

// Prompts that are known, from memory, or from what another replica left in Redis, give
// the answers that computed ones give; and so does a Redis that lies or hangs.
func TestKnownPromptsChangeNoAnswer(t *testing.T) {
	redis := redistest.Start(t)
	prompts := longPrompts(1, 8)
	want := answerAll(t, configured(t, keptConfig("{memory: 0}")).url, "r", prompts)
	same := func(what string, p *process) {
		t.Helper()
		for range 2 {
			if c := compare(want, answerAll(t, p.url, "r", prompts)); c.partings != nil {
				t.Errorf("%s: %s", what, c)
			}
		}
	}
	memory := configured(t, keptConfig("{memory: 64MiB}"))
	memory.ready(t)
	same("memory", memory)
	if memory.reused(t, "memory") == 0 {
		t.Error("memory knew nothing")
	}
	there := keptConfig(fmt.Sprintf("{memory: 0, redis: %q}", redis.URL()))
	one, two := configured(t, there, cacheSecret), configured(t, there, cacheSecret)
	one.ready(t)
	two.ready(t)
	same("a replica", one)
	if err := settles(func() bool { return one.metric(t, "graft_prefix_redis_queue_bytes") == 0 }); err != nil {
		t.Fatal(err)
	}
	// On a busy machine a read may come too late, and is tried again later.
	if err := settles(func() bool {
		same("another replica", two)
		return two.reused(t, "redis") > 0
	}); err != nil {
		t.Error("another replica found nothing in Redis")
	}
	for name := range strings.Lines(redis.Do("KEYS", "*")) {
		redis.Do("SETRANGE", strings.TrimSpace(name), "5000", "wrong")
	}
	same("a lying Redis", two)
	redis.Freeze()
	same("a hung Redis", two)
	redis.Thaw()
	redis.Kill()
	same("a dead Redis", two)
}

// BenchmarkFirstToken is the time until the first token of an answer to 920
// tokens, cold, and known by memory and by Redis.
func BenchmarkFirstToken(b *testing.B) {
	redis := redistest.Start(b)
	for _, where := range []struct {
		name, cache string
		fresh       bool // each prompt is another
	}{
		{"cold", "{memory: 0}", true}, {"memory", "{memory: 256MiB}", false},
		{"redis", fmt.Sprintf("{memory: 0, redis: %q}", redis.URL()), false},
	} {
		b.Run(where.name, func(b *testing.B) {
			config := filepath.Join(b.TempDir(), "graft.yaml")
			if err := writeFile(config, keptConfig(where.cache)); err != nil {
				b.Fatal(err)
			}
			p, err := launch([]string{cacheSecret}, "serve", "--listen", "127.0.0.1:0", "--config", config)
			if err != nil {
				b.Fatal(err)
			}
			defer p.stop()
			seed := uint64(1)
			for range 20 { // until it is known, and what measures the model has ended
				firstToken(b, p.url, longPrompts(seed, 4)[3])
			}
			for b.Loop() {
				b.StopTimer()
				if where.fresh {
					seed++
				}
				prompt := longPrompts(seed, 4)[3]
				b.StartTimer()
				firstToken(b, p.url, prompt)
			}
		})
	}
}

// firstToken asks for one token and reads until it comes.
func firstToken(b *testing.B, url string, prompt []int) {
	body, err := json.Marshal(map[string]any{"model": "r", "prompt": prompt, "max_tokens": 1, "temperature": 0, "stream": true})
	if err != nil {
		b.Fatal(err)
	}
	response, err := http.Post(url+"/v1/completions", "application/json", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), "[DONE]") {
			return
		}
	}
	b.Fatalf("no answer: %s", response.Status)
}
