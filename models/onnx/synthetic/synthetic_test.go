package synthetic

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/models/onnx/onnxtest"
)

var env *onnx.Environment

func TestMain(m *testing.M) {
	os.Exit(onnxtest.Main(m, "../../..", func(e *onnx.Environment) { env = e }))
}

// tiny has all that a large shape has, at once.
func tiny(layout Layout) Shape {
	return Shape{Layout: layout, Vocabulary: 96, Width: 64, Layers: 2, Heads: 4, KeyHeads: 2, Hidden: 48, Context: 64, Seed: 7}
}

func open(t *testing.T, s Shape) *onnx.Session {
	t.Helper()
	folder := t.TempDir()
	if err := s.Write(folder); err != nil {
		t.Fatal(err)
	}
	session, err := onnx.OpenSession(env, onnx.Source{Path: filepath.Join(folder, File)}, onnx.Options{Provider: onnx.CPU, Context: s.Context})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	return session
}

// rows are the rows after each token of a text, computed in the groups that are named.
func rows(t *testing.T, session *onnx.Session, groups ...int) [][]float32 {
	t.Helper()
	sequence, err := session.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sequence.Close()
	var all [][]float32
	at := 0
	for _, n := range groups {
		tokens := make([]eft.Token, n)
		for i := range tokens {
			tokens[i] = eft.Token((at + i) * 37 % session.Vocabulary())
		}
		at += n
		got, err := sequence.Extend(t.Context(), tokens, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range got {
			all = append(all, append([]float32(nil), row.Scores...))
		}
	}
	return all
}

func farthest(t *testing.T, a, b [][]float32) float64 {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d rows and %d", len(a), len(b))
	}
	worst := 0.0
	for i := range a {
		for id := range a[i] {
			worst = max(worst, math.Abs(float64(a[i][id])-float64(b[i][id])))
		}
	}
	return worst
}

func TestBothLayoutsComputeTheSameRows(t *testing.T) {
	grouped, grown := open(t, tiny(Grouped)), open(t, tiny(Grown))
	if grouped.Strategy() != onnx.Shared || grown.Strategy() != onnx.Grow {
		t.Errorf("strategies %s and %s", grouped.Strategy(), grown.Strategy())
	}
	want := rows(t, grouped, 12)
	for name, got := range map[string][][]float32{
		"grouped, in parts": rows(t, grouped, 5, 1, 1, 5),
		"grown":             rows(t, grown, 12),
		"grown, in parts":   rows(t, grown, 5, 1, 1, 5),
	} {
		if d := farthest(t, want, got); !(d < 1e-4) {
			t.Errorf("%s: rows are up to %g off", name, d)
		}
	}
	least, most := math.Inf(1), math.Inf(-1)
	for _, row := range want {
		for _, x := range row {
			least, most = min(least, float64(x)), max(most, float64(x))
		}
	}
	if !(most-least > 1 && most-least < 100) {
		t.Errorf("scores go from %g to %g: no such model would be trained", least, most)
	}
}

func TestStepBytesAreTheWeightsOfTheFileButForTheEmbedding(t *testing.T) {
	for _, layout := range []Layout{Grouped, Grown} {
		s := tiny(layout)
		facts := open(t, s).Facts()
		embedding := int64(s.Vocabulary * s.Width * bytesPerNumber)
		if facts.WeightBytes != s.StepBytes()+embedding {
			t.Errorf("%s: the file has %d bytes of weights, a step reads %d and the embedding has %d", layout, facts.WeightBytes, s.StepBytes(), embedding)
		}
		if facts.CacheBytes != s.TokenBytes() {
			t.Errorf("%s: a token has %d bytes in the cache, expected %d", layout, facts.CacheBytes, s.TokenBytes())
		}
	}
}

func TestSizedHasAtLeastTheSizeAndOneLayerMoreAtMost(t *testing.T) {
	for _, bytes := range []int64{0, 1, 50 << 20, 160 << 20, 1 << 30} {
		s := Sized(bytes, Grouped)
		if err := s.check(); err != nil {
			t.Error(err)
		}
		got := s.StepBytes()
		fewer := s
		fewer.Layers--
		if got < bytes || fewer.Layers > 0 && fewer.StepBytes() >= bytes {
			t.Errorf("%d bytes asked for: %d layers of %d bytes in all", bytes, s.Layers, got)
		}
	}
}

func TestWritingIsRepeatable(t *testing.T) {
	read := func(seed uint64) (files [][]byte) {
		s := tiny(Grouped)
		s.Seed = seed
		folder := t.TempDir()
		if err := s.Write(folder); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{File, dataFile, configFile} {
			data, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, data)
		}
		return files
	}
	first, again, other := read(7), read(7), read(8)
	for i := range first {
		if !bytes.Equal(first[i], again[i]) {
			t.Errorf("file %d differs from one time to the next", i)
		}
	}
	if bytes.Equal(first[1], other[1]) {
		t.Error("another seed gives the same weights")
	}
	var config map[string]any
	if err := json.Unmarshal(first[2], &config); err != nil || config["vocab_size"] != 96.0 || config["max_position_embeddings"] != 64.0 {
		t.Errorf("config.json: %v, %v", config, err)
	}
}

func TestShapesThatNoDecoderHasAreRefused(t *testing.T) {
	for name, change := range map[string]struct {
		change func(*Shape)
		says   string
	}{
		"no layers":        {func(s *Shape) { s.Layers = 0 }, "Layers is 0"},
		"narrow heads":     {func(s *Shape) { s.Heads, s.KeyHeads = 8, 8 }, "multiple of 16"},
		"a rest of width":  {func(s *Shape) { s.Heads, s.KeyHeads = 3, 3 }, "multiple of 16"},
		"keys do not fit":  {func(s *Shape) { s.KeyHeads = 3 }, "must divide"},
		"no such layout":   {func(s *Shape) { s.Layout = "paged" }, `"paged" is not known`},
		"no zero layout":   {func(s *Shape) { s.Layout = "" }, "is not known"},
		"negative context": {func(s *Shape) { s.Context = -1 }, "Context is -1"},
	} {
		s := tiny(Grouped)
		change.change(&s)
		if err := s.Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), change.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := tiny(Grown).Write(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there was written into")
	}
}
