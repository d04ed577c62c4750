package onnx

import (
	"slices"
	"strings"
)

// roundsByRun says whether numbers are rounded to eight bits by the greatest of all
// tokens in a run (dynamic quantisation), so that a token's row depends on which
// others are computed together with it.
func (f *file) roundsByRun() bool {
	return slices.ContainsFunc(f.nodes, func(n node) bool { return n.op == "DynamicQuantizeLinear" || n.op == "DynamicQuantizeMatMul" })
}

// quantised says whether products may round what goes into them.
func (f *file) quantised() bool {
	return slices.ContainsFunc(f.nodes, func(n node) bool { return strings.HasPrefix(n.op, "MatMul") && n.op != "MatMul" })
}

// halfArithmetic says whether products are computed in half precision: its weights
// go into something else than a Cast. Kernels then round at places that depend on how
// many rows there are, and so rarely that trying does not find all of it.
func (f *file) halfArithmetic() bool {
	half := make(map[string]bool)
	for _, t := range f.tensors {
		if t.kind == Float16 && t.elements() > 1 {
			half[t.name] = true
		}
	}
	return slices.ContainsFunc(f.nodes, func(n node) bool {
		return n.op != "Cast" && slices.ContainsFunc(n.inputs, func(name string) bool { return half[name] })
	})
}
