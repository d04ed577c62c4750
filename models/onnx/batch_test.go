package onnx

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx/synthetic"
)

// BenchmarkBatch times single steps of many texts at once, each of 60 tokens and more
// and on a goroutine of its own, on the embedded family and on a model that does not fit
// the caches of a processor.
func BenchmarkBatch(b *testing.B) {
	sources := map[string]Source{"base": member("base"), "small": member("small")}
	for _, layout := range []synthetic.Layout{synthetic.Grouped, synthetic.Grown} {
		shape, folder := synthetic.Sized(160<<20, layout), b.TempDir()
		if err := shape.Write(folder); err != nil {
			b.Fatal(err)
		}
		sources["big-"+string(layout)] = Source{Path: filepath.Join(folder, synthetic.File)}
	}
	for _, name := range []string{"base", "small", "big-" + string(synthetic.Grouped), "big-" + string(synthetic.Grown)} {
		for _, threads := range []int{1, 2} {
			s := openSource(b, sources[name], Options{Provider: CPU, Context: 512, Threads: threads})
			for _, texts := range []int{1, 2, 4, 8, 16, 32} {
				b.Run(fmt.Sprintf("%s/threads=%d/texts=%d", name, threads, texts), func(b *testing.B) { stepSideBySide(b, s, texts) })
			}
		}
	}
}

// stepSideBySide steps so many texts b.N times in all.
func stepSideBySide(b *testing.B, s *Session, texts int) {
	all := make([]*Sequence, texts)
	for i := range all {
		all[i] = openSequence(b, s)
		read(b, all[i], walk(60+i, s.Vocabulary()), 60+i)
	}
	before := s.Tally()
	b.ReportAllocs()
	b.ResetTimer()
	var pending sync.WaitGroup
	for i, q := range all {
		pending.Go(func() {
			token, length := []eft.Token{eft.Token(i)}, q.Len()
			for n := i; n < b.N; n += texts {
				if q.Len() == length+100 {
					if err := q.Truncate(length); err != nil {
						b.Error(err)
					}
				}
				if _, err := q.Extend(b.Context(), token, 1); err != nil {
					b.Error(err)
				}
			}
		})
	}
	pending.Wait()
	b.StopTimer()
	after := s.Tally()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(after.Steps-before.Steps)/float64(after.StepRuns-before.StepRuns), "texts/run")
	b.ReportMetric(float64(after.PaddedRows-before.PaddedRows)/float64(after.Steps-before.Steps), "padding")
	for _, q := range all {
		q.Close()
	}
}
