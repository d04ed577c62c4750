package vllm

import (
	"encoding/json"
	"fmt"
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
