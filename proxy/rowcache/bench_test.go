package rowcache

import (
	"fmt"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// sized is a canonical row of k best, with names behind it, or a dense one of k scores.
func sized(k, names int, dense bool) entry {
	if dense {
		return entry{row: eft.Row{Scores: make([]float32, k)}}
	}
	e := entry{row: eft.Row{Best: k}}
	for i := range k {
		e.row.IDs = append(e.row.IDs, eft.Token(i*7919%128000))
		e.row.LogProbs = append(e.row.LogProbs, -float32(i)/8)
	}
	for i := range names {
		e.names = append(e.names, eft.Scored{ID: eft.Token(i * 1000), LogProb: -9})
	}
	return e
}

var sizes = []struct {
	k, names int
	dense    bool
}{{20, 0, false}, {100, 10, false}, {1000, 10, false}, {128256, 0, true}}

func BenchmarkEncode(b *testing.B) {
	for _, size := range sizes {
		e := sized(size.k, size.names, size.dense)
		b.Run(fmt.Sprintf("k=%d", size.k), func(b *testing.B) {
			buffer := encode(nil, e)
			b.SetBytes(int64(len(buffer)))
			b.ReportAllocs()
			for b.Loop() {
				buffer = encode(buffer[:0], e)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range sizes {
		data := encode(nil, sized(size.k, size.names, size.dense))
		b.Run(fmt.Sprintf("k=%d", size.k), func(b *testing.B) {
			var d decoder
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				d.reset()
				if _, err := d.decode(data, size.dense, size.k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A text of 500 tokens behind a prompt of 1,000, all in the tier, token by token.
func BenchmarkHit(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("k=%d", size.k), func(b *testing.B) {
			scope := Scope{K: size.k, Dense: size.dense}
			c := New(newTier(), secret)
			s := c.Open(scope, make([]eft.Token, 1000), nil)
			text := make([]eft.Token, 500)
			s.locate(text[:250], nil)
			c.store(s.keys[0], sized(size.k, size.names, size.dense), 0)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Rows(b.Context(), text[:250], nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
