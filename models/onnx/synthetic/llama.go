package synthetic

import (
	"fmt"
	"math"
)

// What Llama's config.json says.
const (
	epsilon = 1e-5
	theta   = 10000.0
)

// Names of the graph's open dimensions, as exporters write them.
const (
	batch  = "batch_size"
	tokens = "sequence_length"
	past   = "past_sequence_length"
	total  = "total_sequence_length"
)

// llama is a decoder on its way into a graph.
type llama struct {
	Shape
	*graph
}

// build makes the graph and writes its weights.
func (s Shape) build(w *weights) (message, error) {
	l := &llama{Shape: s, graph: &graph{weights: w}}
	l.port(fieldInput, "input_ids", typeInt64, batch, tokens)
	l.port(fieldInput, "attention_mask", typeInt64, batch, total)
	l.rotary()
	if l.Layout == Grown {
		l.port(fieldInput, "position_ids", typeInt64, batch, tokens)
		l.sight()
	} else {
		l.lengths()
	}
	embedding := l.weight("model.embed_tokens.weight", []int{l.Vocabulary, l.Width}, l.weights.spread(1))
	x := l.node("Gather", []string{embedding, "input_ids"}, "model.embed_tokens.out")
	for n := range l.Layers {
		x = l.layer(fmt.Sprintf("model.layers.%d", n), n, x)
	}
	x = l.norm("model.norm", x)
	l.node("MatMul", []string{x, l.matrix("lm_head.weight", l.Width, l.Vocabulary)}, "logits")
	l.port(fieldOutput, "logits", typeFloat32, batch, tokens, l.Vocabulary)
	return l.model(), nil
}

// rotary adds the tables of angles, [context, head/2].
func (l *llama) rotary() {
	half := l.head() / 2
	angle := func(i int) float64 {
		return float64(i/half) / math.Pow(theta, 2*float64(i%half)/float64(l.head()))
	}
	l.weight("cos_cache", []int{l.Context, half}, func(i int) float32 { return float32(math.Cos(angle(i))) })
	l.weight("sin_cache", []int{l.Context, half}, func(i int) float32 { return float32(math.Sin(angle(i))) })
}

// lengths computes what GroupQueryAttention wants to know of the mask.
func (l *llama) lengths() {
	one, index := l.wholes("one", 1), l.whole("index.one", 1)
	length := l.node("ReduceSum", []string{"attention_mask", one}, "mask.length", attribute{"keepdims", 1})
	last := l.node("Sub", []string{length, one}, "mask.last")
	l.node("Cast", []string{last}, "seqlens_k", attribute{"to", typeInt32})
	shape := l.node("Shape", []string{"attention_mask"}, "mask.shape")
	all := l.node("Gather", []string{shape, index}, "mask.total")
	l.node("Cast", []string{all}, "total.int32", attribute{"to", typeInt32})
}

// sight computes what the layers of the grown layout share: the bias
// [batch, 1, tokens, total], 0 where a query may look and very small elsewhere, and the
// angles of the positions, [batch, 1, tokens, head].
func (l *llama) sight() {
	zero, one := l.whole("zero", 0), l.whole("one", 1)
	first := l.wholes("axis.1", 1)
	all := l.node("Gather", []string{l.node("Shape", []string{"attention_mask"}, "mask.shape"), one}, "mask.total")
	length := l.node("Gather", []string{l.node("Shape", []string{"input_ids"}, "ids.shape"), one}, "ids.length")
	start := l.node("Sub", []string{all, length}, "past.length")
	queries := l.node("Range", []string{start, all, one}, "queries.flat")
	queries = l.node("Unsqueeze", []string{queries, first}, "queries")
	keys := l.node("Range", []string{zero, all, one}, "keys")
	causal := l.node("LessOrEqual", []string{keys, queries}, "causal")
	real := l.node("Cast", []string{"attention_mask"}, "mask.bool", attribute{"to", typeBool})
	real = l.node("Unsqueeze", []string{real, l.wholes("axis.1.2", 1, 2)}, "mask.keys")
	seen := l.node("And", []string{causal, real}, "mask.seen")
	l.node("Where", []string{seen, l.number("allowed", 0), l.number("forbidden", -1e9)}, "bias")

	for _, table := range []string{"cos", "sin"} {
		rows := l.node("Gather", []string{table + "_cache", "position_ids"}, table+".rows")
		rows = l.node("Concat", []string{rows, rows}, table+".wide", attribute{"axis", -1})
		l.node("Unsqueeze", []string{rows, first}, table)
	}
	l.wholes("half.start", 0)
	l.wholes("half.middle", l.head()/2)
	l.wholes("half.end", l.head())
	l.wholes("axis.last", -1)
	l.number("scale", 1/math.Sqrt(float64(l.head())))
}

// layer adds one layer and returns what comes out of it.
func (l *llama) layer(name string, n int, x string) string {
	y := l.norm(name+".input_layernorm", x)
	q := l.linear(name+".self_attn.q_proj", y, l.Width, l.Width)
	k := l.linear(name+".self_attn.k_proj", y, l.Width, l.keyWidth())
	v := l.linear(name+".self_attn.v_proj", y, l.Width, l.keyWidth())
	if l.Layout == Grown {
		y = l.grown(name+".attention", n, q, k, v)
	} else {
		y = l.grouped(name+".attention", n, q, k, v)
	}
	y = l.linear(name+".self_attn.o_proj", y, l.Width, l.Width)
	x = l.node("Add", []string{x, y}, name+".attended")
	y = l.norm(name+".post_attention_layernorm", x)
	gate := l.linear(name+".mlp.gate_proj", y, l.Width, l.Hidden)
	gate = l.node("Mul", []string{gate, l.node("Sigmoid", []string{gate}, name+".mlp.sigmoid")}, name+".mlp.silu")
	up := l.linear(name+".mlp.up_proj", y, l.Width, l.Hidden)
	y = l.node("Mul", []string{gate, up}, name+".mlp.product")
	return l.node("Add", []string{x, l.linear(name+".mlp.down_proj", y, l.Hidden, l.Width)}, name+".out")
}

func (l *llama) linear(name, x string, inputs, outputs int) string {
	return l.node("MatMul", []string{x, l.matrix(name+".weight", inputs, outputs)}, name+".out")
}

// norm divides by the root of the mean square: in one operator as Hub's graphs for
// ONNX Runtime do, or in standard ones.
func (l *llama) norm(name, x string) string {
	w := l.weight(name+".weight", []int{l.Width}, func(int) float32 { return 1 })
	if l.Layout == Grouped {
		return l.node("SimplifiedLayerNormalization", []string{x, w}, name+".out",
			attribute{"axis", -1}, attribute{"epsilon", float32(epsilon)}, attribute{"stash_type", 1})
	}
	square := l.node("Pow", []string{x, l.number(name+".two", 2)}, name+".square")
	mean := l.node("ReduceMean", []string{square, l.wholes(name+".axis", -1)}, name+".mean")
	root := l.node("Sqrt", []string{l.node("Add", []string{mean, l.number(name+".epsilon", epsilon)}, name+".shifted")}, name+".root")
	return l.node("Mul", []string{l.node("Div", []string{x, root}, name+".unit"), w}, name+".out")
}

// cached adds a layer's past and present, keys or values.
func (l *llama) cached(n int, part string) (in, out string) {
	in = l.port(fieldInput, fmt.Sprintf("past_key_values.%d.%s", n, part), typeFloat32, batch, l.KeyHeads, past, l.head())
	out = l.port(fieldOutput, fmt.Sprintf("present.%d.%s", n, part), typeFloat32, batch, l.KeyHeads, total, l.head())
	return in, out
}

// grouped is attention in one operator.
func (l *llama) grouped(name string, n int, q, k, v string) string {
	pastKey, key := l.cached(n, "key")
	pastValue, value := l.cached(n, "value")
	l.nodes(microsoft, "GroupQueryAttention",
		[]string{q, k, v, pastKey, pastValue, "seqlens_k", "total.int32", "cos_cache", "sin_cache"}, []string{name, key, value},
		attribute{"num_heads", l.Heads}, attribute{"kv_num_heads", l.KeyHeads}, attribute{"do_rotary", 1},
		attribute{"rotary_interleaved", 0}, attribute{"scale", float32(1 / math.Sqrt(float64(l.head())))})
	return name
}

// grown is attention in standard operators.
func (l *llama) grown(name string, n int, q, k, v string) string {
	q = l.rotate(name+".q", l.split(name+".q.heads", q, l.Heads))
	k = l.rotate(name+".k", l.split(name+".k.heads", k, l.KeyHeads))
	v = l.split(name+".v.heads", v, l.KeyHeads)
	k, v = l.joined(name, n, "key", k), l.joined(name, n, "value", v)
	across := l.node("Transpose", []string{k}, name+".k.across", attribute{"perm", []int{0, 1, 3, 2}})
	scores := l.node("MatMul", []string{q, across}, name+".scores")
	scores = l.node("Mul", []string{scores, "scale"}, name+".scaled")
	scores = l.node("Add", []string{scores, "bias"}, name+".masked")
	shares := l.node("Softmax", []string{scores}, name+".shares", attribute{"axis", -1})
	mixed := l.node("MatMul", []string{shares, v}, name+".mixed")
	mixed = l.node("Transpose", []string{mixed}, name+".back", attribute{"perm", []int{0, 2, 1, 3}})
	return l.node("Reshape", []string{mixed, l.wholes(name+".flat", 0, -1, l.Width)}, name)
}

// split turns [batch, tokens, heads · head] into [batch, heads, tokens, head].
func (l *llama) split(name, x string, heads int) string {
	parts := l.node("Reshape", []string{x, l.wholes(name+".shape", 0, -1, heads, l.head())}, name+".parts")
	return l.node("Transpose", []string{parts}, name, attribute{"perm", []int{0, 2, 1, 3}})
}

// rotate turns pairs of numbers, of which one is in each half of a head, by the angles of
// their positions.
func (l *llama) rotate(name, x string) string {
	low := l.node("Slice", []string{x, "half.start", "half.middle", "axis.last"}, name+".low")
	high := l.node("Slice", []string{x, "half.middle", "half.end", "axis.last"}, name+".high")
	turned := l.node("Concat", []string{l.node("Neg", []string{high}, name+".negated"), low}, name+".turned", attribute{"axis", -1})
	cos := l.node("Mul", []string{x, "cos"}, name+".by_cos")
	sin := l.node("Mul", []string{turned, "sin"}, name+".by_sin")
	return l.node("Add", []string{cos, sin}, name+".rotated")
}

// joined is a layer's past and what is new, with a head for each head of queries.
func (l *llama) joined(name string, n int, part, fresh string) string {
	before, whole := l.cached(n, part)
	l.node("Concat", []string{before, fresh}, whole, attribute{"axis", 2})
	if l.KeyHeads == l.Heads {
		return whole
	}
	name += "." + part
	groups := l.node("Unsqueeze", []string{whole, l.wholes(name+".axis", 2)}, name+".groups")
	wide := l.node("Expand", []string{groups, l.wholes(name+".repeats", 1, 1, l.Heads/l.KeyHeads, 1, 1)}, name+".expanded")
	return l.node("Reshape", []string{wide, l.wholes(name+".shape", 0, l.Heads, -1, l.head())}, name+".heads")
}
