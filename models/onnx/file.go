package onnx

import (
	"fmt"
	"strings"
)

// file is what a model file says of its graph: everything but the weights
// themselves. A session does not tell its operators, how its dimensions are
// called or where its weights lie, so the file is asked. It is a protocol
// buffer, of which these fields are read, by their numbers:
//
//	ModelProto      ir_version 1, graph 7, opset_import 8, functions 25
//	GraphProto      node 1, initializer 5, input 11, output 12, value_info 13
//	FunctionProto   node 7
//	NodeProto       input 1, output 2, name 3, op_type 4, attribute 5, domain 7
//	AttributeProto  name 1, i 3, t 5, g 6, graphs 11
//	TensorProto     dims 1, data_type 2, int32_data 5, int64_data 7, name 8, raw_data 9, external_data 13
//	ValueInfoProto  name 1, type 2 → tensor_type 1 → elem_type 1, shape 2 → dim 1 → dim_value 1, dim_param 2
type file struct {
	size    int64
	ir      int64
	opsets  map[string]int64 // by domain
	graph   bool             // there is one
	inputs  map[string]value
	outputs map[string]value
	inner   map[string]value // values between nodes whose shapes are written down
	nodes   []node           // those of inner graphs follow the node that has them
	tensors []stored
	windows []int64 // where the attributes stand that make caches as short as a window
}

// value is a tensor's type and shape as the file declares them.
type value struct {
	kind ElementType
	dims []dim
}

// dim is a dimension: a number, or open and perhaps named.
type dim struct {
	size int64 // −1: open
	name string
}

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

// stored is a tensor that the file holds or names: an initializer, or the value
// of a Constant.
type stored struct {
	name           string
	kind           ElementType
	dims           []int64
	external       string // a file's name; empty: the data is in this one
	offset, length int64  // in the external file; length −1: as its shape says
	number         int64  // the value of a single whole number that is held in this file
	single         bool   // it is one
}

// elements is how many numbers the tensor has; −1 if no machine could hold them.
func (s stored) elements() int64 {
	n := int64(1)
	for _, d := range s.dims {
		if d < 0 || d > 0 && n > 1<<48/d {
			return -1
		}
		n *= d
	}
	return n
}

// bytes is the size of the tensor's data; −1 as elements is.
func (s stored) bytes() int64 {
	n := s.elements()
	if n < 0 {
		return -1
	}
	return (n*int64(s.kind.bits()) + 7) / 8
}

// Bounds of what is read. Each node or tensor costs more memory than its bytes.
const (
	deepest  = 16
	partCost = 256
)

// readFile reads what src says of its graph.
func readFile(src Source) (*file, error) {
	reader, size, done, err := src.open()
	if err != nil {
		return nil, err
	}
	defer done()
	if err := recognise(reader, size); err != nil {
		return nil, err
	}
	f := &file{
		size: size, opsets: make(map[string]int64),
		inputs: make(map[string]value), outputs: make(map[string]value), inner: make(map[string]value),
	}
	model := wire{blocks: &blocks{file: reader, budget: largestRead}, end: size}
	if err := model.fields(f.model); err != nil {
		return nil, fmt.Errorf("not an ONNX file, or cut off: %w", err)
	}
	if !f.graph {
		return nil, fmt.Errorf("not an ONNX file: it holds no graph")
	}
	return f, nil
}

// model reads a field of ModelProto.
func (f *file) model(x field) error {
	switch {
	case x.number == 1 && !x.bytes:
		f.ir = int64(x.value)
	case x.number == 7 && x.bytes:
		f.graph = true
		return f.readGraph(x.body, 0)
	case x.number == 8 && x.bytes:
		return f.readOpset(x.body)
	case x.number == 25 && x.bytes:
		return x.body.fields(func(x field) error {
			if x.number != 7 || !x.bytes {
				return nil
			}
			return f.readNode(x.body, 1)
		})
	}
	return nil
}

func (f *file) readOpset(body wire) error {
	domain, version := "", int64(0)
	err := body.fields(func(x field) (err error) {
		switch {
		case x.number == 1 && x.bytes:
			domain, err = x.body.text()
		case x.number == 2 && !x.bytes:
			version = int64(x.value)
		}
		return err
	})
	f.opsets[domain] = version
	return err
}

func (f *file) readGraph(body wire, depth int) error {
	if depth > deepest {
		return errLarge
	}
	return body.fields(func(x field) error {
		if !x.bytes {
			return nil
		}
		switch x.number {
		case 1:
			return f.readNode(x.body, depth)
		case 5:
			t, err := readStored(x.body)
			f.tensors = append(f.tensors, t)
			return err
		case 11:
			if depth == 0 {
				return readValue(x.body, f.inputs)
			}
		case 12:
			if depth == 0 {
				return readValue(x.body, f.outputs)
			}
		case 13:
			return readValue(x.body, f.inner)
		}
		return nil
	})
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

func readStored(body wire) (stored, error) {
	t := stored{length: -1}
	if err := body.blocks.spend(partCost); err != nil {
		return t, err
	}
	err := body.fields(func(x field) (err error) {
		switch {
		case x.number == 1:
			t.dims, err = x.numbers(t.dims)
		case x.number == 2 && !x.bytes:
			t.kind = ElementType(x.value)
		case x.number == 5 || x.number == 7 || x.number == 9 && x.bytes:
			err = t.readNumber(x)
		case x.number == 8 && x.bytes:
			t.name, err = x.body.text()
		case x.number == 13 && x.bytes:
			err = t.readExternal(x.body)
		}
		return err
	})
	t.single = t.single && t.elements() == 1 && (t.kind == Int32 || t.kind == Int64)
	return t, err
}

// readNumber reads a tensor's data if it could be a single whole number.
func (s *stored) readNumber(x field) error {
	switch n := x.body.end - x.body.pos; {
	case x.number != 9 && n <= 10:
		values, err := x.numbers(nil)
		if err == nil && len(values) == 1 {
			s.number, s.single = values[0], true
		}
		return err
	case x.number == 9 && (n == 4 || n == 8):
		var bits uint64
		for i := range n {
			b, err := x.body.blocks.at(x.body.pos + i)
			if err != nil {
				return err
			}
			bits |= uint64(b) << (8 * i)
		}
		s.number, s.single = int64(bits), true
		if n == 4 {
			s.number = int64(int32(bits))
		}
	}
	return nil
}

// readExternal reads one entry of where a tensor's data lies.
func (s *stored) readExternal(body wire) error {
	var key, text string
	err := body.fields(func(x field) (err error) {
		switch {
		case x.number == 1 && x.bytes:
			key, err = x.body.text()
		case x.number == 2 && x.bytes:
			text, err = x.body.text()
		}
		return err
	})
	if err != nil {
		return err
	}
	switch key {
	case "location":
		s.external = text
	case "offset":
		_, err = fmt.Sscanf(text, "%d", &s.offset)
	case "length":
		_, err = fmt.Sscanf(text, "%d", &s.length)
	}
	if err != nil {
		return fmt.Errorf("the %s of tensor %q in an external file is %q: %w", key, s.name, text, errWire)
	}
	return nil
}

// readValue reads a ValueInfoProto into values.
func readValue(body wire, values map[string]value) error {
	if err := body.blocks.spend(partCost); err != nil {
		return err
	}
	var name string
	var v value
	err := body.fields(func(x field) (err error) {
		switch {
		case x.number == 1 && x.bytes:
			name, err = x.body.text()
		case x.number == 2 && x.bytes:
			err = x.body.fields(func(x field) error {
				if x.number != 1 || !x.bytes {
					return nil
				}
				return x.body.fields(v.read)
			})
		}
		return err
	})
	values[name] = v
	return err
}

// read reads a field of TypeProto.Tensor.
func (v *value) read(x field) error {
	switch {
	case x.number == 1 && !x.bytes:
		v.kind = ElementType(x.value)
	case x.number == 2 && x.bytes:
		v.dims = []dim{} // a shape is there, if only that of a scalar
		return x.body.fields(func(x field) error {
			if x.number != 1 || !x.bytes {
				return nil
			}
			d := dim{size: -1}
			err := x.body.fields(func(x field) (err error) {
				switch {
				case x.number == 1 && !x.bytes:
					d.size = int64(x.value)
				case x.number == 2 && x.bytes:
					d.name, err = x.body.text()
				}
				return err
			})
			if v.dims = append(v.dims, d); err == nil && len(v.dims) > longestShape {
				err = errWire
			}
			return err
		})
	}
	return nil
}

// opset describes what the file was written for, for messages.
func (f *file) opset() string {
	text := fmt.Sprintf("opset %d, IR version %d", f.opsets[""]+f.opsets["ai.onnx"], f.ir)
	for domain := range f.opsets {
		if domain != "" && domain != "ai.onnx" && !strings.HasPrefix(domain, "com.microsoft") && domain != "ai.onnx.ml" {
			text += ", operators of " + domain
		}
	}
	return text
}
