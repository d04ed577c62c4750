package gateway

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
)

// constant is a base that has one row ready.
type constant struct{ row eft.Row }

func (c constant) Open(context.Context, string, []eft.Token) (decode.Sequence, error) { return c, nil }
func (c constant) Close()                                                             {}

func (c constant) Rows(_ context.Context, _, path []eft.Token) ([]eft.Row, error) {
	rows := []eft.Row{c.row}
	for range path {
		rows = append(rows, c.row)
	}
	return rows, nil
}

// BenchmarkNinePrefixes is what a gateway asks of another that is its base: the rows
// behind nine prefixes, over 150k ids, by HTTP. A token costs what a row of the whole
// vocabulary costs here, and no model.
func BenchmarkNinePrefixes(b *testing.B) {
	const size = 150_000
	pieces, scores, noise := make([][]byte, size), make([]float32, size), rand.New(rand.NewPCG(1, 2))
	for id := range pieces {
		pieces[id], scores[id] = []byte{byte(id)}, float32(3*noise.NormFloat64())
	}
	route := plainRoute("m", &speaker{})
	route.Base, route.Vocabulary, route.CompletionLogprobs = constant{eft.Row{Scores: scores}}, eft.NewVocabulary(pieces), size
	listening := start(b, Config{Routes: []*Route{route}}).URL
	prompts := "[1]"
	for i := range 8 {
		prompts += ",[1" + strings.Repeat(",1", i+1) + "]"
	}
	for name, logprobs := range map[string]string{"whole": "-1", "100": "100"} {
		b.Run(name, func(b *testing.B) {
			body := `{"model":"m","prompt":[` + prompts + `],"max_tokens":1,"temperature":0,"logprobs":` + logprobs + `,"return_tokens_as_token_ids":true}`
			b.ReportAllocs()
			for b.Loop() {
				response, err := http.Post(listening+"/v1/completions", "application/json", strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != 200 {
					b.Fatal(response.StatusCode, err)
				}
				b.SetBytes(n)
			}
		})
	}
}
