package vllm

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"

	"encoding/json"
	"fmt"
	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// denseAnswer is an answer with one row of a large vocabulary, as vLLM writes it.
func denseAnswer(ids int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var top strings.Builder
	top.WriteByte('{')
	for id := range ids {
		if id > 0 {
			top.WriteByte(',')
		}
		fmt.Fprintf(&top, `"token_id:%d":%v`, id, float64(float32(-math.Log(float64(ids))-5*random.Float64())))
	}
	top.WriteByte('}')
	return []byte(whole(row(0, "token_id:5", top.String())))
}

func BenchmarkDenseRow(b *testing.B) {
	data := denseAnswer(151_936) // ids of Qwen2.5
	b.Run("lean", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var a answer
			if err := json.Unmarshal(data, &a); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("maps", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var a plain
			if err := json.Unmarshal(data, &a); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// pathAnswer is the answer to a list of prefixes, each with its k best.
func pathAnswer(prompts, k int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var choices []string
	for i := range prompts {
		var top strings.Builder
		top.WriteByte('{')
		at := -0.1
		for j := range k {
			if j > 0 {
				top.WriteByte(',')
			}
			at -= random.Float64() / 4
			fmt.Fprintf(&top, `"token_id:%d":%v`, random.IntN(151_936), float64(float32(at)))
		}
		top.WriteByte('}')
		choices = append(choices, row(i, "token_id:5", top.String()))
	}
	return []byte(whole(choices...))
}

// BenchmarkPath is what a path of 16 tokens costs beside the server's own work: a request,
// an answer of 17 rows of the 100 best, over loopback.
func BenchmarkPath(b *testing.B) {
	data := pathAnswer(17, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.Write(data)
	}))
	defer server.Close()
	client, err := proxy.NewClient(proxy.Endpoint{URL: server.URL})
	if err != nil {
		b.Fatal(err)
	}
	s := &Server{client: client, shape: shape{k: 100, ask: 100}, caps: proxy.Caps{Model: "m"}}
	text, prefix, path := s.Begin(""), make([]eft.Token, 1000), make([]eft.Token, 16)
	for i := range prefix {
		prefix[i] = eft.Token(i * 401)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := text.Rows(b.Context(), prefix, path); err != nil {
			b.Fatal(err)
		}
	}
}
