package onnx

import (
	"fmt"
	"slices"
)

// attention is a node that keeps keys and values itself, by the names of the
// cache tensors that it reads and writes. A node with one tensor for both has it
// as its keys.
type attention struct {
	op                                           string
	pastKey, pastValue, presentKey, presentValue string

	grouped bool // GroupQueryAttention in the main graph, and nothing else uses its cache
	heads   int  // of keys and values; 0: not known
	width   int  // of one head; 0: not known
}

// keepers lists the operators that keep keys and values: which inputs are the
// past (one, or keys and values), which attribute counts the heads.
var keepers = map[string]struct {
	domain string
	past   []int
	heads  string
}{
	"GroupQueryAttention":             {"com.microsoft", []int{3, 4}, "kv_num_heads"},
	"SparseAttention":                 {"com.microsoft", []int{3, 4}, "kv_num_heads"},
	"MultiHeadAttention":              {"com.microsoft", []int{6, 7}, "num_heads"},
	"DecoderMaskedMultiHeadAttention": {"com.microsoft", []int{5, 6}, "num_heads"},
	"DecoderMaskedSelfAttention":      {"com.microsoft", []int{4}, "num_heads"},
	"QAttention":                      {"com.microsoft", []int{8}, "num_heads"},
}

// keeper finds an operator's row in keepers. Attention is two operators: ONNX's
// has a past of two tensors, ONNX Runtime's has one.
func (n node) keeper() (past []int, heads string, ok bool) {
	if n.op == "Attention" {
		if n.domain == "" {
			return []int{4, 5}, "kv_num_heads", true
		}
		return []int{4}, "num_heads", n.domain == "com.microsoft"
	}
	k, ok := keepers[n.op]
	return k.past, k.heads, ok && k.domain == n.domain
}

// attentions lists the nodes of a model that keep keys and values.
func (f *file) attentions() []attention {
	x := f.index()
	var found []attention
	for _, n := range f.nodes {
		past, heads, ok := n.keeper()
		if !ok || n.in(past[0]) == "" || n.out(1) == "" {
			continue
		}
		a := attention{op: n.op, pastKey: n.in(past[0]), presentKey: n.out(1), heads: int(clamp(n.number(heads, 0)))}
		if len(past) > 1 {
			a.pastValue, a.presentValue = n.in(past[1]), n.out(2)
		}
		a.width = int(clamp(x.headWidth(n)))
		// A buffer that is past and present at once may be seen by this node only:
		// another would read what is being written, or take its capacity for its length.
		a.grouped = n.is("GroupQueryAttention") && n.depth == 0 &&
			x.uses[a.pastKey] == 1 && x.uses[a.pastValue] == 1 && x.uses[a.presentKey] == 0 && x.uses[a.presentValue] == 0
		found = append(found, a)
	}
	return found
}

// widest bounds heads, widths and their like: beyond it a file is broken.
const widest = 1 << 20

// clamp makes a number that cannot be a size 0.
func clamp(n int64) int64 {
	if n < 0 || n > widest {
		return 0
	}
	return n
}

// headWidth is the width of one head of an attention node: that of its output, or
// of what the product after it takes, shared among the heads. 0 if neither is
// written down.
func (x *index) headWidth(n node) int64 {
	heads := n.number("num_heads", n.number("q_num_heads", 0))
	if heads <= 0 || n.out(0) == "" {
		return 0
	}
	if v, ok := x.file.inner[n.out(0)]; ok && len(v.dims) == 3 && v.dims[2].size > 0 {
		return v.dims[2].size / heads
	}
	rows, _ := x.product(x.next[n.out(0)])
	return rows / heads
}

// unfit says what in a graph cannot be run the way sessions run graphs; empty if
// nothing.
func (f *file) unfit() string {
	for _, n := range f.nodes {
		switch {
		case n.is("PagedAttention"):
			return "it keeps keys and values in pages (PagedAttention), which only CUDA servers do: export it without paged attention"
		case n.number("past_present_share_buffer", 0) != 0:
			return fmt.Sprintf("%s wants one buffer for past and present with a fixed length: export it without past_present_share_buffer", n.op)
		}
	}
	return ""
}

// ropeSwitch is the number of tokens up to which a graph computes the angles of
// positions from one table and beyond which from another: then the keys that are
// cached already belong to the wrong table. 0 if it has one table for all. Such
// graphs compare the length with a constant and choose by an If.
func (f *file) ropeSwitch() int {
	x := f.index()
	angles := make(map[string]bool) // names of tables
	for _, n := range f.nodes {
		for _, i := range tables[n.op] {
			angles[n.in(i)] = true
		}
	}
	for _, n := range f.nodes {
		if n.op != "If" || !slices.ContainsFunc(n.outputs, func(o string) bool { return angles[o] && o != "" }) {
			continue
		}
		if at := x.compared(n.in(0)); at > 0 && at < 1<<31 {
			return int(at)
		}
	}
	return 0
}

// compared is the greatest length that is on the same side of the comparison name
// as the shortest ones; 0 if it compares no length with a constant.
func (x *index) compared(name string) int64 {
	n := x.from[name]
	greater := n.op == "Greater" || n.op == "GreaterOrEqual"
	equal := n.op == "GreaterOrEqual" || n.op == "LessOrEqual"
	if !greater && n.op != "Less" && n.op != "LessOrEqual" {
		return 0
	}
	bound := x.held[n.in(1)]
	if !bound.single {
		bound = x.held[n.in(0)]
		greater = !greater
	}
	switch {
	case !bound.single:
		return 0
	// length > c and length ≤ c part after c; length ≥ c and length < c before it.
	case greater == equal:
		return bound.number - 1
	}
	return bound.number
}
