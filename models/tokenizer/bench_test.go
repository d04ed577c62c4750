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

// BenchmarkEncode is 2 KB documents; cold forgets every piece in between.
func BenchmarkEncode(b *testing.B) {
	for _, family := range families {
		tok := loadFamily(b, family)
		docs := documents(b)
		for name, cold := range map[string]bool{"warm": false, "cold": true} {
			b.Run(family+"/"+name, func(b *testing.B) {
				total := 0
				for i := 0; b.Loop(); i++ {
					if cold {
						tok.model.(*bpe).cache = newCache()
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

func BenchmarkDecode(b *testing.B) {
	tok := loadFamily(b, "qwen2_5")
	var ids []eft.Token
	for _, d := range documents(b) {
		ids = append(ids, tok.Encode(d, false)...)
	}
	b.SetBytes(int64(len(tok.Decode(ids, false))))
	for b.Loop() {
		tok.Decode(ids, false)
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
