package onnx

import (
	"fmt"
	"slices"
	"strings"
)

// Facts are what people want to know of a loaded graph.
type Facts struct {
	Strategy   Strategy
	Layers     int         // layers with keys and values of their own
	Heads      Span        // of keys and values, over the layers
	Width      Span        // of one head, over the layers
	KV         ElementType // of keys and values
	Logits     ElementType
	CacheBytes int64 // keys and values of one token; where Together is not, the grow strategy keeps room for two of each
	Together   bool  // steps of several texts share runs

	Parameters  int64  // weights that the graph holds; scales, zero points, tables and constants are none
	WeightBytes int64  // what their storage takes, scales and zero points included
	Weights     string // what most of them are stored as: "float32", "float16", "int8", "int4" …

	Inputs []string // names of the inputs besides the cache
	Notes  []string // what is special about the graph, for people
}

// Span is the least and the greatest of several numbers.
type Span struct{ Min, Max int }

// String is "8" or "4 to 8".
func (s Span) String() string {
	if s.Min == s.Max {
		return fmt.Sprint(s.Min)
	}
	return fmt.Sprintf("%d to %d", s.Min, s.Max)
}

// with widens the span to n; a span from 0 to 0 is empty.
func (s Span) with(n int) Span {
	if s == (Span{}) {
		return Span{n, n}
	}
	return Span{min(s.Min, n), max(s.Max, n)}
}

// weights are what a file says of its weights.
type weights struct {
	parameters, bytes int64
	kind              string
}

// quantised says where an operator has its quantised weights: the inputs that
// hold them, and those with what belongs to them (scales, zero points, orders).
type quantised struct {
	weights, beside []int
	packed          func(node, stored) (count int64, kind string) // nil: a number each, of the tensor's own type
}

// quantisers lists the operators with quantised weights, ONNX's first.
var quantisers = map[string]quantised{
	"DequantizeLinear": {weights: []int{0}, beside: []int{1, 2}},
	"MatMulInteger":    {weights: []int{0, 1}, beside: []int{2, 3}},
	"ConvInteger":      {weights: []int{1}, beside: []int{2, 3}},
	"QLinearMatMul":    {weights: []int{0, 3}, beside: []int{1, 2, 4, 5, 6, 7}},
	"Gather":           {weights: []int{0}},
	"Transpose":        {weights: []int{0}},

	"MatMulIntegerToFloat":  {weights: []int{0, 1}, beside: []int{2, 3, 4, 5}},
	"DynamicQuantizeMatMul": {weights: []int{1}, beside: []int{2, 3}},
	"QAttention":            {weights: []int{1}, beside: []int{3, 4, 6, 7}},
	"QGemm":                 {weights: []int{3}, beside: []int{1, 2, 4, 5, 7, 8}},
	"MatMulNBits":           {weights: []int{1}, beside: []int{2, 3, 4}, packed: packedMatrix},
	"MatMulBnb4":            {weights: []int{1}, beside: []int{2}, packed: packedMatrix},
	"GatherBlockQuantized":  {weights: []int{0}, beside: []int{2, 3}, packed: packedBytes},
	"QMoE":                  {weights: []int{2, 5, 8}, beside: []int{3, 6, 9, 11, 12, 13}, packed: packedBytes},
}

// packedMatrix counts a matrix whose size the node tells.
func packedMatrix(n node, _ stored) (int64, string) {
	kind := fmt.Sprintf("int%d", n.number("bits", 4))
	if n.op == "MatMulBnb4" {
		kind = [2]string{"fp4", "nf4"}[n.number("quant_type", 0)&1]
	}
	rows, columns := n.number("N", 0), n.number("K", 0)
	if rows <= 0 || columns <= 0 || rows > 1<<48/columns {
		return 0, kind
	}
	return rows * columns, kind
}

// packedBytes counts numbers of a few bits, of which a byte may hold several.
func packedBytes(n node, t stored) (int64, string) {
	bits := n.number("bits", n.number("expert_weight_bits", 4))
	count := max(0, t.elements())
	if t.kind == typeUint8 && bits > 0 && bits < 8 {
		count *= 8 / bits
	}
	return count, fmt.Sprintf("int%d", bits)
}

// tables lists the inputs that hold tables of angles, which are no weights.
var tables = map[string][]int{"GroupQueryAttention": {7, 8}, "RotaryEmbedding": {1, 2, 3}, "MultiHeadAttention": {}}

// weigh counts the weights that a file holds or names.
func (f *file) weigh() weights {
	held := make(map[string]stored, len(f.tensors))
	for _, t := range f.tensors {
		held[t.name] = t
	}
	counts := make(map[string]int64)
	var w weights
	done := make(map[string]bool) // counted, or known not to be a weight
	count := func(t stored, n int64, kind string) {
		if n > 0 && t.bytes() > 0 && kind != "" {
			counts[kind] += n
			w.parameters += n
			w.bytes += t.bytes()
		}
		done[t.name] = true
	}
	for _, n := range f.nodes {
		for _, i := range tables[n.op] {
			done[n.in(i)] = true
		}
		q := quantisers[n.op]
		for _, i := range q.beside {
			if t, ok := held[n.in(i)]; ok && !done[t.name] {
				w.bytes += max(0, t.bytes())
				done[t.name] = true
			}
		}
		for _, i := range q.weights {
			t, ok := held[n.in(i)]
			switch {
			case !ok || done[t.name] || t.kind.float():
			case q.packed != nil:
				packed, kind := q.packed(n, t)
				count(t, packed, kind)
			case t.kind.small():
				count(t, t.elements(), t.kind.String())
			}
		}
	}
	for _, t := range f.tensors {
		if !done[t.name] && t.kind.float() && !t.aside(held) {
			count(t, t.elements(), t.kind.String())
		}
	}
	for kind, n := range counts {
		if n > counts[w.kind] || n == counts[w.kind] && kind < w.kind {
			w.kind = kind
		}
	}
	return w
}

// small says whether the type is one that weights are quantised to.
func (t ElementType) small() bool { return t.bits() > 0 && t.bits() <= 8 && t != Bool }

// aside says whether a floating-point tensor is something else than weights: a
// constant, a table of angles, a mask, or the scale of another tensor.
func (s stored) aside(held map[string]stored) bool {
	if s.elements() < 2 {
		return true
	}
	if len(s.dims) == 4 && s.dims[0] == 1 && s.dims[1] == 1 {
		return true
	}
	if len(s.dims) == 3 && s.dims[0] == 1 && s.dims[2] == 1 { // the angles of one position, inv_freq under any name
		return true
	}
	if base, ok := strings.CutSuffix(s.name, "_scale"); ok {
		_, quantised := held[base+"_quantized"]
		return quantised
	}
	for _, part := range []string{"cos_cache", "sin_cache", "cos_cached", "sin_cached", "inv_freq"} {
		if strings.Contains(s.name, part) {
			return true
		}
	}
	return false
}

// Facts tells what the graph is made of and how it is run.
func (s *Session) Facts() Facts {
	facts := s.facts
	facts.Inputs, facts.Notes = slices.Clone(facts.Inputs), slices.Clone(facts.Notes)
	return facts
}

// learn puts the facts together.
func (s *Session) learn() Facts {
	l, w := s.layout, s.file.weigh()
	facts := Facts{
		Strategy: l.strategy, Together: s.together, KV: l.kv, Logits: l.logits.Type,
		Parameters: w.parameters, WeightBytes: w.bytes, Weights: w.kind,
	}
	layers := make(map[int]bool)
	for i := range l.slots {
		heads, width := l.slots[i].headed()
		facts.Heads, facts.Width = facts.Heads.with(heads), facts.Width.with(width)
		facts.CacheBytes += int64(l.slots[i].size() * l.kv.Size())
		layers[parseCacheName(l.slots[i].past).layer] = true
	}
	facts.Layers = len(layers)
	for _, in := range l.inputs {
		facts.Inputs = append(facts.Inputs, in.port.Name)
	}
	note := func(is bool, text string) {
		if is {
			facts.Notes = append(facts.Notes, text)
		}
	}
	note(l.has(roleBranch) != nil, "a merged decoder: one graph for texts that begin and for texts that go on")
	note(l.has(roleKeep) != nil, "computes only the scores that are asked for")
	note(l.last, "gives the scores of the last token only: a draft of several tokens takes a run for each")
	note(l.single, "reads the tokens after a text's first run one by one: it was exported for a single token at a time")
	note(len(s.file.windows) > 0, "keeps all tokens of layers with a sliding window, where its file would keep those in the window only")
	note(s.graph.restrained != "", "loaded "+s.graph.restrained)
	note(s.file.roundsByRun() && !l.alone, "rounds numbers to eight bits by all tokens of a run, so that scores depend on how tokens are grouped; `exact` ends that")
	note(l.stepwise, "reads every token in a run of its own, for in this graph, made for one token at a time, those of one run see those after them: a merged decoder, or a newer export, reads prompts faster")
	note(l.alone, "reads every token in a run of its own, so that rows do not depend on how tokens are grouped (`exact`)")
	note(l.inferred, "its layout was told from names and shapes, and checked by running it")
	if at := s.file.ropeSwitch(); at > 0 {
		note(true, fmt.Sprintf("turns to other angles of positions after %d tokens, where keys in the cache would go stale: its context ends there", at))
	}
	return facts
}
