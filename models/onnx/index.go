package onnx

// index finds a file's nodes and tensors by the names between them.
type index struct {
	file *file
	uses map[string]int    // how many inputs of nodes a name is
	from map[string]node   // the node that makes it
	next map[string]node   // the node that has it as its first input, if one has
	held map[string]stored // the tensor that it is
}

func (f *file) index() *index {
	x := &index{
		file: f, uses: make(map[string]int), from: make(map[string]node), next: make(map[string]node),
		held: make(map[string]stored, len(f.tensors)),
	}
	for _, n := range f.nodes {
		for _, name := range n.inputs {
			x.uses[name]++
		}
		for _, name := range n.outputs {
			x.from[name] = n
		}
		if _, seen := x.next[n.in(0)]; !seen {
			x.next[n.in(0)] = n
		}
	}
	for _, t := range f.tensors {
		x.held[t.name] = t
	}
	return x
}

// longestWay bounds how many nodes are followed from one to the next.
const longestWay = 8

// product is the shape of the matrix that a node multiplies with: the numbers that
// it takes and gives. 0, 0 if the node is no product, or its matrix is not in the
// file.
func (x *index) product(n node) (rows, columns int64) {
	switch n.op {
	case "MatMulNBits", "MatMulBnb4":
		return n.number("K", 0), n.number("N", 0)
	case "MatMul", "FusedMatMul", "Gemm", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul":
		name, turned := n.in(1), n.number("transB", 0) != 0
		for range longestWay {
			if t, ok := x.held[name]; ok && len(t.dims) == 2 {
				if turned {
					return t.dims[1], t.dims[0]
				}
				return t.dims[0], t.dims[1]
			}
			by := x.from[name]
			switch by.op {
			case "Cast", "Identity", "DequantizeLinear":
			case "Transpose":
				turned = !turned
			default:
				return 0, 0
			}
			name = by.in(0)
		}
	}
	return 0, 0
}

// columns is the width of a value that a product computes, perhaps with more work
// on each number after it; 0 if it cannot be told.
func (x *index) columns(name string) int64 {
	for range longestWay {
		n := x.from[name]
		switch n.op {
		case "Cast", "Identity", "Tanh", "Add", "Mul", "Div", "Slice":
			name = n.in(0)
		default:
			_, columns := x.product(n)
			return columns
		}
	}
	return 0
}
