package models

import (
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"

	"github.com/graft-gateway/graft/eft"
)

// exports holds model folders made by the real exporters: ARCHITECTURE.zip with
// KIND/… and the rows that they must give. README.md there tells more.
const exports = "testdata/exports"

// The largest differences of a log-prob that are allowed: from PyTorch, for graphs
// in float32 and in half precision, and from ONNX Runtime's Python session on the
// same file, for quantised ones.
const (
	barFull = 1e-3
	barHalf = 2e-2
	barSame = 1e-4
	// Kernels that quantise activations round otherwise on processors without VNNI,
	// and with another grouping of tokens if they quantise a run's tokens together.
	barLoose = 1.0
)

// scored are the ids over which the truth is normalised: those of the tokenizer
// before an exporter wrote it again, for one adds a token.
const scored = 280

// goldenCase is one prompt with log-probs of some ids at every position, by truth.
type goldenCase struct {
	Prompt  []eft.Token   `json:"prompt"`
	IDs     [][]eft.Token `json:"ids"`
	PyTorch [][]float64   `json:"pytorch"`
	Whole   [][]float64   `json:"whole"` // by ONNX Runtime in Python, all tokens in one run
	Steps   [][]float64   `json:"steps"` // the same, one token a run
}

// readGolden reads the cases of a golden file.
func readGolden[Case any](t *testing.T, path string) []Case {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []Case
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return cases
}

// export is one graph of a model folder and the file of its truth.
type export struct {
	architecture, kind string
	folder             string
	graph              string // Options.Graph
	golden             string
	quantised          bool
}

func (e export) String() string { return e.architecture + "/" + e.kind }

// bar is how far rows may be from PyTorch's.
func (e export) bar() float64 {
	switch {
	case e.quantised:
		return barLoose
	case strings.Contains(e.kind, "fp16"):
		return barHalf
	}
	return barFull
}

// refusals are the kinds that must not load, with what the error must say.
var refusals = map[string]string{
	"optimum-nopast":  "cache",
	"optimum-fixed":   "its batch is fixed",
	"genai-embeds":    "inputs_embeds",
	"genai-nohead":    "logits",
	"genai-bf16-cuda": "bfloat16",
	"genai18-paged":   "caches in pages",
}

// unpack extracts all archives into a folder of the test.
func unpack(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	archives, err := filepath.Glob(filepath.Join(exports, "*.zip"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in %s: %v", exports, err)
	}
	for _, archive := range archives {
		z, err := zip.OpenReader(archive)
		if err != nil {
			t.Fatal(err)
		}
		err = os.CopyFS(filepath.Join(dir, strings.TrimSuffix(filepath.Base(archive), ".zip")), z)
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatalf("%s: %v", archive, err)
		}
	}
	return dir
}

// allExports finds the graphs of all folders that are not to be refused.
func allExports(t *testing.T, dir string) []export {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dir, "*", "*", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []export
	for _, tokenizer := range folders {
		folder := filepath.Dir(tokenizer)
		e := export{folder: folder, kind: filepath.Base(folder), architecture: filepath.Base(filepath.Dir(folder))}
		if refusals[e.kind] != "" {
			continue
		}
		variants, err := filepath.Glob(filepath.Join(folder, "onnx", "*.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		for _, variant := range variants {
			v := e
			v.graph = "onnx/" + filepath.Base(variant)
			v.kind += strings.TrimSuffix(strings.TrimPrefix(filepath.Base(variant), "model"), ".onnx")
			out = append(out, v.withGolden())
		}
		if variants == nil {
			out = append(out, e.withGolden())
		}
	}
	return out
}

// withGolden finds the file of the export's truth: its own if it is quantised.
func (e export) withGolden() export {
	beside := filepath.Dir(e.folder)
	e.golden = filepath.Join(beside, "golden-"+e.kind+".json.gz")
	if _, err := os.Stat(e.golden); err == nil {
		e.quantised = true
		return e
	}
	e.golden = filepath.Join(beside, "golden.json.gz")
	return e
}

// differences are the largest of a log-prob, by truth and by the way of running.
type differences struct{ pytorch, same float64 }

func TestExportsGiveTheRowsOfPyTorch(t *testing.T) {
	var table []string
	for _, e := range allExports(t, unpack(t)) {
		t.Run(e.String(), func(t *testing.T) {
			folder, err := OpenFolder(e.folder)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Load(env, folder, Options{Graph: e.graph})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			d := compareExport(t, e, m)
			table = append(table, d.line(e))
			if d.pytorch > e.bar() {
				t.Errorf("%.2g from PyTorch, at most %.2g is allowed", d.pytorch, e.bar())
			}
			if e.quantised && d.same > sameBar(e) {
				t.Errorf("%.2g from ONNX Runtime in Python, at most %.2g is allowed", d.same, sameBar(e))
			}
		})
	}
	if testing.Verbose() {
		fmt.Println("| architecture | export | from PyTorch | from ONNX Runtime in Python |\n|---|---|---|---|")
		fmt.Println(strings.Join(table, "\n"))
	}
}

// sameBar is how far from Python's session a quantised graph may be. That ran on a
// processor with VNNI: the others' kernels are as right, and give other rows.
func sameBar(e export) float64 {
	if !cpu.X86.HasAVXVNNI && !cpu.X86.HasAVX512VNNI {
		return barLoose
	}
	if strings.Contains(e.kind, "f16") || strings.Contains(e.kind, "fp16") {
		return barHalf
	}
	return barSame
}

func (d differences) line(e export) string {
	same := ""
	if e.quantised {
		same = fmt.Sprintf("%.1e", d.same)
	}
	return fmt.Sprintf("| %s | %s | %.1e | %s |", e.architecture, e.kind, d.pytorch, same)
}

// compareExport runs every prompt in all ways and compares every row.
func compareExport(t *testing.T, e export, m *Model) (d differences) {
	t.Helper()
	for _, c := range readGolden[goldenCase](t, e.golden) {
		for _, way := range ways {
			rows := way.run(t, m, c.Prompt)
			if len(rows) != len(c.Prompt) {
				t.Fatalf("%s: %d rows of %d tokens", way.name, len(rows), len(c.Prompt))
			}
			far := c.furthest(rows, c.PyTorch)
			d.pytorch = max(d.pytorch, far)
			if far > e.bar() {
				t.Errorf("%d tokens, %s: %.2g from PyTorch", len(c.Prompt), way.name, far)
			}
			if !e.quantised {
				continue
			}
			switch way.name {
			case "whole":
				d.same = max(d.same, c.furthest(rows, c.Whole))
			case "steps":
				d.same = max(d.same, c.furthest(rows, c.Steps))
			}
		}
	}
	return d
}

// furthest is the largest difference of a log-prob from a truth.
func (c goldenCase) furthest(rows []eft.Row, truth [][]float64) float64 {
	worst := 0.0
	for at, values := range truth {
		got := logProbs(rows[at].Scores[:scored])
		for i, id := range c.IDs[at] {
			if far := math.Abs(got[id] - values[i]); !(far <= worst) { // NaN is far
				worst = far
			}
		}
	}
	return worst
}

// logProbs normalises scores in float64.
func logProbs(scores []float32) []float64 {
	top, sum := float64(slices.Max(scores)), 0.0
	for _, s := range scores {
		sum += math.Exp(float64(s) - top)
	}
	out := make([]float64, len(scores))
	for i, s := range scores {
		out[i] = float64(s) - top - math.Log(sum)
	}
	return out
}

// ways are the ways to run a text; each gives a row for every token of it.
var ways = []struct {
	name string
	run  func(*testing.T, *Model, []eft.Token) []eft.Row
}{
	{"whole", func(t *testing.T, m *Model, text []eft.Token) []eft.Row {
		return inChunks(t, m, text, len(text), false)
	}},
	{"steps", func(t *testing.T, m *Model, text []eft.Token) []eft.Row { return inChunks(t, m, text, 1, false) }},
	{"chunks", func(t *testing.T, m *Model, text []eft.Token) []eft.Row { return inChunks(t, m, text, 7, false) }},
	{"cut back", func(t *testing.T, m *Model, text []eft.Token) []eft.Row { return inChunks(t, m, text, 5, true) }},
}

// inChunks runs text size tokens at a time. A detour takes other tokens after each
// chunk, which the next call must drop again.
func inChunks(t *testing.T, m *Model, text []eft.Token, size int, detour bool) []eft.Row {
	t.Helper()
	s := m.Open(text[:1])
	defer s.Close()
	call := func(generated, path []eft.Token) []eft.Row {
		rows, err := s.Rows(t.Context(), generated, path)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	var out []eft.Row
	for done := 0; done < len(text); {
		n := min(size, len(text)-done)
		if done == 0 {
			out = append(out, clone(call(nil, text[1:n]))...)
		} else {
			// The first row is that of the last token, which is asked for with the path behind it.
			out = append(out, clone(call(text[1:done+1], text[done+1:done+n]))...)
		}
		done += n
		if detour && done < len(text) {
			call(text[1:done], []eft.Token{3, 5, 7})
		}
	}
	return out
}

func TestExportsThatCannotServeAreRefused(t *testing.T) {
	dir := unpack(t)
	for kind, says := range refusals {
		folder, err := OpenFolder(filepath.Join(dir, "llama-tiny", kind))
		if err != nil {
			t.Fatal(err)
		}
		m, err := Load(env, folder, Options{})
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", kind, err, says)
		}
	}
	if live := env.Live(); live != 0 {
		t.Errorf("refused models left %d native objects", live)
	}
}
