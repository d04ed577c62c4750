package onnx

// node is one operator of a graph.
type node struct {
	op, domain, name string
	inputs, outputs  []string
	numbers          map[string]int64 // attributes that are whole numbers
	depth            int              // 0: in the main graph; 1: in a graph of one of its nodes …
}

// is says whether the node is an operator of ONNX Runtime's own.
func (n node) is(op string) bool { return n.op == op && n.domain == "com.microsoft" }

// in is the name of input i; empty if the node does not have it.
func (n node) in(i int) string {
	if i < len(n.inputs) {
		return n.inputs[i]
	}
	return ""
}

// out is the name of output i; empty if the node does not have it.
func (n node) out(i int) string {
	if i < len(n.outputs) {
		return n.outputs[i]
	}
	return ""
}

// number is a whole-number attribute, or what it is by default.
func (n node) number(name string, byDefault int64) int64 {
	if v, ok := n.numbers[name]; ok {
		return v
	}
	return byDefault
}

func (f *file) readNode(body wire, depth int) error {
	if err := body.blocks.spend(partCost); err != nil {
		return err
	}
	at := len(f.nodes)
	f.nodes = append(f.nodes, node{depth: depth})
	n := node{depth: depth}
	var constant *stored
	window := int64(-1)
	err := body.fields(func(x field) error {
		if !x.bytes {
			return nil
		}
		if x.number == attributeField {
			_, before := n.numbers[windowAttribute]
			t, err := f.readAttribute(x.body, &n)
			if t != nil {
				constant = t
			}
			if _, now := n.numbers[windowAttribute]; now && !before {
				window = x.at
			}
			return err
		}
		if x.number == 6 || x.number > 7 { // documentation
			return nil
		}
		text, err := x.body.text()
		switch x.number {
		case 1:
			n.inputs = append(n.inputs, text)
		case 2:
			n.outputs = append(n.outputs, text)
		case 3:
			n.name = text
		case 4:
			n.op = text
		case 7:
			n.domain = text
		}
		return err
	})
	if n.domain == "ai.onnx" {
		n.domain = ""
	}
	if constant != nil && (n.op == "Constant" || constant.external != "") {
		constant.name = n.out(0)
		f.tensors = append(f.tensors, *constant)
	}
	if window >= 0 && n.is("GroupQueryAttention") {
		f.windows = append(f.windows, window)
	}
	f.nodes[at] = n
	return err
}

// readAttribute puts a whole number into n, the nodes of an inner graph into f,
// and returns a tensor.
func (f *file) readAttribute(body wire, n *node) (*stored, error) {
	var name string
	var tensor *stored
	var number *int64
	err := body.fields(func(x field) (err error) {
		switch {
		case x.number == 1 && x.bytes:
			name, err = x.body.text()
		case x.number == 3 && !x.bytes:
			v := int64(x.value)
			number = &v
		case x.number == 5 && x.bytes:
			var t stored
			t, err = readStored(x.body)
			tensor = &t
		case (x.number == 6 || x.number == 11) && x.bytes:
			err = f.readGraph(x.body, n.depth+1)
		}
		return err
	})
	if number != nil {
		if n.numbers == nil {
			n.numbers = make(map[string]int64)
		}
		if err == nil {
			err = body.blocks.spend(partCost)
		}
		n.numbers[name] = *number
	}
	return tensor, err
}
