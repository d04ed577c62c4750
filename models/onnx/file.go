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
