package tokenizer

import (
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// documents are English, code and several scripts, 2 KB each.
func documents(b testing.TB) []string {
	var texts []struct{ Text string }
	readVectors(b, "vectors/strings.json.gz", &texts)
	var docs []string
	var doc strings.Builder
	for _, t := range texts {
		if len(t.Text) > 2000 {
			continue
		}
		doc.WriteString(t.Text)
		doc.WriteByte('\n')
		if doc.Len() >= 2048 {
			docs = append(docs, doc.String())
			doc.Reset()
		}
	}
	return docs
}

// forget empties the cache of tok's model.
func forget(tok *Tokenizer) {
	switch m := tok.model.(type) {
	case *bpe:
		clear(m.cache.slots)
	case *unigram:
		clear(m.cache.slots)
	}
}

// BenchmarkEncode is 2 KB documents; cold forgets every piece in between, as
// with documents that have nothing in common.
func BenchmarkEncode(b *testing.B) {
	for _, family := range families {
		tok := loadFamily(b, family)
		docs := documents(b)
		for _, name := range []string{"warm", "cold"} {
			b.Run(family+"/"+name, func(b *testing.B) {
				total := 0
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if name == "cold" {
						forget(tok)
					}
					doc := docs[i%len(docs)]
					tok.Encode(doc, false)
					total += len(doc)
				}
				b.ReportMetric(float64(total)/1e6/b.Elapsed().Seconds(), "MB/s")
			})
		}
	}
}

// BenchmarkLong is texts of 1 MB and of 64 KB: the time for a byte must be
// about the same.
func BenchmarkLong(b *testing.B) {
	for _, family := range families {
		tok := loadFamily(b, family)
		for name, unit := range longUnits {
			for size, length := range map[string]int{"64KB": 1 << 16, "1MB": 1 << 20} {
				text := strings.Repeat(unit, length/len(unit))
				b.Run(family+"/"+name+"/"+size, func(b *testing.B) {
					b.SetBytes(int64(len(text)))
					for b.Loop() {
						tok.Encode(text, false)
					}
				})
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, family := range families {
		tok := loadFamily(b, family)
		var ids []eft.Token
		for _, d := range documents(b) {
			ids = append(ids, tok.Encode(d, false)...)
		}
		b.Run(family, func(b *testing.B) {
			b.SetBytes(int64(len(tok.Decode(ids, false))))
			for b.Loop() {
				tok.Decode(ids, false)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, family := range families {
		data := readFamily(b, family)
		b.Run(family, func(b *testing.B) {
			for b.Loop() {
				if _, err := Load(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
