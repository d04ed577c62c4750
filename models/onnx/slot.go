package onnx

import (
	"fmt"
	"strings"
)

// slot is one cache tensor: a layer's keys or values, or both. Which dimension is
// the batch and which counts tokens is read from the shape that the graph declares:
// those two are open, all others are fixed.
//
//	[batch, heads, tokens, width]        nearly all
//	[batch, tokens, heads, width]
//	[batch, heads, width, tokens]        transposed keys
//	[2, batch, heads, tokens, width]     keys and values of ONNX Runtime's GPT-2
//	[batch, tokens, 2 · width]           keys and values of GPT-BigCode
//
// In memory it is a number of rows, each of which has the tokens one after another:
// what stands before the tokens in the shape makes rows, what stands behind makes a
// token's size.
type slot struct {
	past, present string
	dims          []int // batch and tokens are 1
	batch, tokens int   // where they stand
	kind          kind
	usual         bool // [batch, heads, tokens, width], by the names that most exports have
}

// rows is how many runs of tokens the tensor is made of, for a batch of one.
func (s *slot) rows() int {
	n := 1
	for _, d := range s.dims[:s.tokens] {
		n *= d
	}
	return n
}

// token is how many numbers of one token lie side by side.
func (s *slot) token() int {
	n := 1
	for _, d := range s.dims[s.tokens:] {
		n *= d
	}
	return n
}

// size is how many numbers a token has in all.
func (s *slot) size() int { return s.rows() * s.token() }

// headed is the number of heads and the width of each, for people.
func (s *slot) headed() (heads, width int) {
	var fixed []int
	for i, d := range s.dims {
		if i != s.batch && i != s.tokens {
			fixed = append(fixed, d)
		}
	}
	both := s.kind == kindBoth
	if both && len(fixed) == 3 && fixed[0] == 2 {
		fixed, both = fixed[1:], false
	}
	heads, width = 1, fixed[len(fixed)-1]
	if len(fixed) > 1 {
		heads = fixed[len(fixed)-2]
	}
	if both {
		width /= 2
	}
	return heads, width
}

// mostRank is the most dimensions that a cache tensor may have.
const mostRank = 6

// mostOfToken bounds the numbers of one token in one tensor.
const mostOfToken = 1 << 24

// newSlot reads a slot from the tensors that go in and out of the graph. names are
// what the file calls the dimensions of the past, node is what keeps it, if that is
// known.
func newSlot(past, present Port, kind kind, names []dim, node attention) (s slot, why string) {
	s = slot{past: past.Name, present: present.Name, kind: kind}
	if !past.Tensor || len(past.Dims) < 3 || len(past.Dims) > mostRank {
		return s, "needs 3 to 6 dimensions, as [batch, heads, tokens, width]"
	}
	if !present.Tensor || len(present.Dims) != len(past.Dims) || present.Type != past.Type {
		return s, "differs in kind from its output " + present.String()
	}
	dims, open, why := settle(past, present, node)
	if why != "" {
		return s, why
	}
	s.batch, s.tokens = open[0], open[1]
	if why := s.named(names); why != "" {
		return s, why
	}
	size := int64(1)
	for i, d := range dims {
		switch out := present.Dims[i]; {
		case i == s.tokens && out >= 0:
			return s, fmt.Sprintf("its output has a fixed number of tokens: %s; %s", present, hintDynamic)
		case i == s.batch || i == s.tokens:
			d = 1
		// A dimension that shape inference left open is taken on trust: a run checks it.
		case out >= 0 && out != d:
			return s, "differs in shape from its output " + present.String()
		}
		if d <= 0 || d > mostOfToken || size*d > mostOfToken {
			return s, "has a size that no model has"
		}
		size *= d
		s.dims = append(s.dims, int(d))
	}
	s.usual = len(dims) == 4 && s.batch == 0 && s.tokens == 2 && kind != kindBoth
	return s, ""
}

// hintDynamic says what to do about fixed dimensions.
const hintDynamic = "export the model with an open batch and an open length (dynamic axes)"

// settle finds the two open dimensions: the batch and the tokens. Others that the
// graph leaves open are filled in from the node that keeps the cache, and else from
// the output.
func settle(past, present Port, node attention) (dims []int64, open []int, why string) {
	dims = append(dims, past.Dims...)
	count := func() []int {
		open = open[:0]
		for i, d := range dims {
			if d < 0 {
				open = append(open, i)
			}
		}
		return open
	}
	if n := len(dims); len(count()) > 2 && node.heads > 0 && node.width > 0 && n >= 4 {
		dims[n-3], dims[n-1] = int64(node.heads), int64(node.width)
	}
	if len(count()) > 2 {
		for i, d := range present.Dims {
			if dims[i] < 0 {
				dims[i] = d
			}
		}
	}
	switch n := len(count()); {
	case n < 2:
		return nil, nil, "its batch or its number of tokens is fixed: it needs an open number of tokens and an open batch; " + hintDynamic
	case n > 2:
		return nil, nil, "needs fixed heads and width: which of its open dimensions are those cannot be told; export the model again with the number of heads and their width fixed"
	}
	return dims, open, ""
}

// named checks what the dimensions are called against what they are taken for.
func (s *slot) named(names []dim) (why string) {
	name := func(i int) string {
		if i < len(names) {
			return strings.ToLower(names[i].name)
		}
		return ""
	}
	batch, tokens := name(s.batch), name(s.tokens)
	const joined = "its batch and its heads are one dimension, as in old exports of Bloom; export the model again with a newer exporter, which keeps them apart"
	if strings.Contains(batch, "head") {
		return joined
	}
	if strings.Contains(tokens, "head") {
		return "its number of heads is left open; export the model with a fixed number of heads"
	}
	if strings.Contains(tokens, "batch") && !strings.Contains(batch, "batch") {
		s.batch, s.tokens = s.tokens, s.batch
	}
	if s.kind != kindBoth && len(names) == 3 && !strings.Contains(name(s.batch), "batch") {
		return joined
	}
	return ""
}
