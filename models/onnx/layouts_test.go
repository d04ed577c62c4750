package onnx

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// layouts are the graphs of testdata/layouts, which compute the rows of
// expected.json from caches and inputs of other names and shapes; see
// testdata/layouts.py for each.
var layouts = []struct {
	name     string
	strategy Strategy
	near     float64 // to PyTorch; 0: quantised, rows are another model's
	heads    int
	width    int
	kind     string
	note     string // a part of one of Facts.Notes
}{
	{"fused", Grow, 2e-5, 1, 16, "float16", "names and shapes"},
	{"joined", Grow, 2e-5, 1, 16, "float16", "names and shapes"},
	{"tokens-first", Grow, 2e-5, 2, 8, "float16", "names and shapes"},
	{"transposed", Grow, 2e-5, 2, 8, "float16", "names and shapes"},
	{"extras", Grow, 2e-5, 1, 16, "float16", "only the scores that are asked for"},
	{"merged", Grow, 2e-5, 1, 16, "float16", "merged decoder"},
	{"traced", Grow, 2e-5, 1, 16, "float16", "one by one"},
	{"stepwise", Grow, 2e-5, 1, 16, "float16", "in a run of its own, for in this graph"},
	{"lengths", Shared, 2e-5, 1, 16, "float16", "names and shapes"},
	{"windowed", Shared, 2e-5, 1, 16, "float16", "sliding window"},
	{"switched", Shared, 2e-5, 1, 16, "float16", "after 14 tokens"},
	{"pruned", Shared, 2e-5, 1, 16, "float16", "last token only"},
	{"inner", Grow, 2e-5, 1, 16, "float16", ""},
	{"standard", Grow, 2e-5, 1, 16, "float16", ""},
	{"several", Grow, 2e-5, 2, 16, "float16", ""},
	{"int8", Grow, 0, 1, 16, "int8", "how tokens are grouped"},
	{"int4", Shared, 0, 1, 16, "int4", ""},
}

// openLayout opens a model of testdata/layouts and closes it when the test is done.
func openLayout(t testing.TB, name string, o Options) *Session {
	t.Helper()
	o.Provider, o.Context = CPU, 128
	return openSource(t, Source{Path: filepath.Join("testdata", "layouts", name+".onnx")}, o)
}

func TestOtherLayoutsGiveTheSameRows(t *testing.T) {
	want := readExpected(t)
	text := append(slices.Clone(want.Prompt), want.Steps...)
	for _, c := range layouts {
		if c.near == 0 {
			continue
		}
		for _, exact := range []bool{false, true} {
			s := openLayout(t, c.name, Options{ExactShapes: exact, Chunk: 5})
			s.pool.smallest = 4
			text, whole := text[:min(len(text), s.Context())], want.Whole[:min(len(text), s.Context())]
			q := openSequence(t, s)
			for _, sizes := range [][]int{{len(text)}, {1}, {2}, {4, 1, 1, 7}} {
				if err := q.Truncate(0); err != nil {
					t.Fatal(err)
				}
				if d := farthest(t, lend(read(t, q, text, sizes...)), whole); d > c.near {
					t.Errorf("%s, exact %v, in groups of %v: %g away", c.name, exact, sizes, d)
				}
			}
			for _, cut := range []int{len(text) - 1, 6, 5, 1} {
				if err := q.Truncate(cut); err != nil {
					t.Fatal(err)
				}
				if d := farthest(t, lend(read(t, q, text[cut:], 2, 1, 100)), whole[cut:]); d > c.near {
					t.Errorf("%s, exact %v, cut to %d: %g away", c.name, exact, cut, d)
				}
			}
			if err := q.Truncate(0); err != nil {
				t.Fatal(err)
			}
			rows, err := q.Extend(t.Context(), text, 3)
			if err != nil {
				t.Fatal(err)
			}
			if d := farthest(t, rows, whole[len(whole)-3:]); d > c.near {
				t.Errorf("%s, exact %v, three rows: %g away", c.name, exact, d)
			}
		}
	}
}

func TestOtherLayoutsRunInBatches(t *testing.T) {
	text := walk(14, 64)
	for _, c := range layouts {
		s := openLayout(t, c.name, Options{})
		alone, err := s.extendBy(t.Context(), text, 1)
		if err != nil {
			t.Fatal(err)
		}
		together, err := s.stepBatch(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		// Rows of a batch in eight bits are rounded by the largest number of all.
		if d := compare("batch", together, alone); d.LogProb > 5e-5 && c.name != "int8" {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

func TestExactRowsDoNotDependOnGroupsInAnyLayout(t *testing.T) {
	for _, c := range layouts {
		s := openLayout(t, c.name, Options{ExactShapes: true, Chunk: 50})
		text := walk(min(100, s.Context()), 64)
		want, err := s.extendBy(t.Context(), text, len(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 2, 7} {
			got, err := s.extendBy(t.Context(), text, n)
			if err != nil {
				t.Fatal(err)
			}
			if d := compare("", got, want); bits && d.Identical != d.Rows || d.LogProb > 1e-4 {
				t.Errorf("%s, %d at a time: %+v", c.name, n, d)
			}
		}
	}
}

func TestQuantisedGraphsAreNearTheirOriginal(t *testing.T) {
	want := readExpected(t)
	text := append(slices.Clone(want.Prompt), want.Steps...)
	for name, near := range map[string]float64{"int8": 0.4, "int4": 3} {
		rows, err := openSequence(t, openLayout(t, name, Options{})).Extend(t.Context(), text, len(text))
		if err != nil {
			t.Fatal(err)
		}
		if d := farthest(t, rows, want.Whole); d > near || math.IsNaN(d) {
			t.Errorf("%s: %g away", name, d)
		}
	}
}

func TestFactsOfAGraph(t *testing.T) {
	// A Llama of width 32 with 2 layers, 2 heads on 1, inner width 64 and 64 ids,
	// embeddings tied: 64·32 + 2·(32·32 + 2·32·16 + 32·32 + 3·32·64 + 2·32) + 32.
	const parameters = 20640
	for _, c := range layouts {
		f := openLayout(t, c.name, Options{}).Facts()
		if f.Strategy != c.strategy || f.Layers != 2 || f.Heads != (Span{c.heads, c.heads}) || f.Width != (Span{c.width, c.width}) {
			t.Errorf("%s: %+v", c.name, f)
		}
		if f.KV != Float32 || f.Logits != Float32 || f.CacheBytes != int64(2*2*c.heads*c.width*4) || f.Weights != c.kind {
			t.Errorf("%s: %+v", c.name, f)
		}
		if c.note == "" != (len(f.Notes) == 0) || !strings.Contains(strings.Join(f.Notes, "\n"), c.note) {
			t.Errorf("%s: notes %q", c.name, f.Notes)
		}
		switch {
		case c.near > 0 && (f.Parameters != parameters || f.WeightBytes != 2*parameters):
			t.Errorf("%s: %d parameters in %d bytes", c.name, f.Parameters, f.WeightBytes)
		// The output's product has its own copy of the embeddings.
		case c.near == 0 && f.Parameters != parameters+64*32:
			t.Errorf("%s: %d parameters", c.name, f.Parameters)
		}
	}
	f := openModel(t, "plain-fp16", Options{Provider: CPU}).Facts()
	if f.KV != Float16 || f.Logits != Float16 || f.CacheBytes != 2*2*16*2 || f.Notes != nil || !slices.Equal(f.Inputs, []string{"input_ids", "attention_mask", "position_ids"}) {
		t.Errorf("%+v", f)
	}
}

func TestTheContextEndsWhereAnglesChange(t *testing.T) {
	s := openLayout(t, "switched", Options{})
	if s.Context() != 14 {
		t.Errorf("a context of %d, want 14", s.Context())
	}
	if _, err := openSequence(t, s).Extend(t.Context(), make([]eft.Token, 15), 1); err == nil {
		t.Error("went beyond it")
	}
}

func TestComparisonsWithAConstant(t *testing.T) {
	// The shortest lengths are on the side of 1; the answer is the last one on it.
	for _, c := range []struct {
		op    string
		left  bool // the constant stands on the left
		bound int64
		want  int64
	}{
		{"Greater", false, 10, 10}, {"GreaterOrEqual", false, 10, 9}, {"Less", false, 10, 9}, {"LessOrEqual", false, 10, 10},
		{"Greater", true, 10, 9}, {"GreaterOrEqual", true, 10, 10}, {"Less", true, 10, 10}, {"LessOrEqual", true, 10, 9},
		{"Equal", false, 10, 0},
	} {
		inputs := []string{"length", "bound"}
		if c.left {
			slices.Reverse(inputs)
		}
		f := &file{
			nodes: []node{
				{op: c.op, inputs: inputs, outputs: []string{"is"}},
				{op: "If", inputs: []string{"is"}, outputs: []string{"cos", "sin"}},
				{op: "GroupQueryAttention", inputs: []string{"q", "k", "v", "pk", "pv", "s", "t", "cos", "sin"}},
			},
			tensors: []stored{{name: "bound", single: true, number: c.bound}},
		}
		if got := f.ropeSwitch(); got != int(c.want) {
			t.Errorf("%s, constant on the left %v: %d, want %d", c.op, c.left, got, c.want)
		}
	}
}

// ONNX Runtime 1.26 fails at fusing layer norms of half-precision graphs for the
// CPU. If the note is gone after an upgrade, restraints may go too.
func TestHalfPrecisionLoadsWithoutTheFusionThatFails(t *testing.T) {
	want := readExpected(t)
	text := append(slices.Clone(want.Prompt), want.Steps...)
	for _, exact := range []bool{false, true} {
		s := openLayout(t, "halved", Options{ExactShapes: exact})
		f := s.Facts()
		if f.KV != Float16 || f.Logits != Float16 || f.Weights != "float16" || len(f.Notes) == 0 || !strings.Contains(f.Notes[0], "layer norms") {
			t.Errorf("%+v", f)
		}
		q := openSequence(t, s)
		for _, sizes := range [][]int{{len(text)}, {1}, {3, 1, 5}} {
			if err := q.Truncate(0); err != nil {
				t.Fatal(err)
			}
			if d := farthest(t, lend(read(t, q, text, sizes...)), want.Whole); d > 2e-2 {
				t.Errorf("exact %v, in groups of %v: %g away", exact, sizes, d)
			}
		}
	}
}
