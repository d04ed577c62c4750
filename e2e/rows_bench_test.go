package e2e

import (
	"strings"
	"testing"
)

// BenchmarkTokensByRowSize is what a token costs when the base's rows come over HTTP
// from another gateway on this machine, by their size.
func BenchmarkTokensByRowSize(b *testing.B) {
	path := b.TempDir() + "/graft.yaml"
	if err := writeFile(path, truncatedConfig("url: "+shared.url+", model: demo-base")); err != nil {
		b.Fatal(err)
	}
	p, err := launch(nil, "serve", "--listen", "127.0.0.1:0", "--config", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.stop(); err != nil {
			b.Error(err)
		}
	})
	answer, err := ask[struct{ Tokens []int }](shared.url, "/tokenize", object{"model": "demo", "messages": []object{{"role": "user", "content": "Which old building stands in the town Barath?"}}})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range truncations() {
		if c.tail == "drop" {
			continue
		}
		b.Run(strings.TrimPrefix(c.route(), "k"), func(b *testing.B) {
			tokens := 0
			for b.Loop() {
				text, err := answerGreedily(p.url, c.route(), "off", answer.Tokens)
				if err != nil {
					b.Fatal(err)
				}
				tokens += len(text.ids)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(tokens), "µs/token")
		})
	}
}
