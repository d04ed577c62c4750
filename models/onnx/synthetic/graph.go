package synthetic

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Numbers that ONNX gives to what they are called by.
const (
	typeFloat32 = 1
	typeInt32   = 6
	typeInt64   = 7
	typeBool    = 9

	attributeFloat = 1
	attributeInt   = 2
	attributeInts  = 7
)

// What the files are written for: opset 21 knows all that is used here.
const (
	irVersion = 10
	opset     = 21
	microsoft = "com.microsoft"
)

// graph collects nodes, weights and ports. Its methods return the name of what they
// make. The numbers of the fields are those of onnx.proto.
type graph struct {
	weights *weights
	body    message // GraphProto
}

// attribute is a node's: an int, []int or float32.
type attribute struct {
	name  string
	value any
}

// node adds a node with one output.
func (g *graph) node(op string, inputs []string, output string, attributes ...attribute) string {
	g.nodes("", op, inputs, []string{output}, attributes...)
	return output
}

// nodes adds a node of a domain.
func (g *graph) nodes(domain, op string, inputs, outputs []string, attributes ...attribute) {
	var n message
	for _, name := range inputs {
		n.text(1, name)
	}
	for _, name := range outputs {
		n.text(2, name)
	}
	n.text(3, "/"+strings.ReplaceAll(outputs[0], ".", "/"))
	n.text(4, op)
	for _, a := range attributes {
		n.bytes(5, a.message())
	}
	if domain != "" {
		n.text(7, domain)
	}
	g.body.bytes(1, n)
}

func (a attribute) message() message {
	var m message
	m.text(1, a.name)
	switch v := a.value.(type) {
	case float32:
		m.float(2, v)
		m.whole(20, attributeFloat)
	case int:
		m.whole(3, int64(v))
		m.whole(20, attributeInt)
	case []int:
		for _, n := range v {
			m.whole(8, int64(n))
		}
		m.whole(20, attributeInts)
	default:
		panic(fmt.Sprintf("synthetic: an attribute of type %T", v))
	}
	return m
}

// tensor begins a TensorProto.
func tensor(name string, kind int, dims []int) message {
	var t message
	for _, d := range dims {
		t.whole(1, int64(d))
	}
	t.whole(2, int64(kind))
	t.text(8, name)
	return t
}

// weight adds numbers that lie in the file of weights.
func (g *graph) weight(name string, dims []int, next func(int) float32) string {
	count := 1
	for _, d := range dims {
		count *= d
	}
	offset, size := g.weights.add(count, next)
	t := tensor(name, typeFloat32, dims)
	for _, e := range [][2]string{
		{"location", dataFile},
		{"offset", strconv.FormatInt(offset, 10)},
		{"length", strconv.FormatInt(size, 10)},
	} {
		var entry message
		entry.text(1, e[0])
		entry.text(2, e[1])
		t.bytes(13, entry)
	}
	t.whole(14, 1) // data_location EXTERNAL
	g.body.bytes(5, t)
	return name
}

// matrix adds random weights from inputs to outputs.
func (g *graph) matrix(name string, inputs, outputs int) string {
	return g.weight(name, []int{inputs, outputs}, g.weights.spread(inputs))
}

// wholes adds a constant list of numbers.
func (g *graph) wholes(name string, values ...int) string {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	t := tensor(name, typeInt64, []int{len(values)})
	t.bytes(9, raw)
	g.body.bytes(5, t)
	return name
}

// whole adds a constant number.
func (g *graph) whole(name string, value int) string {
	t := tensor(name, typeInt64, nil)
	t.bytes(9, binary.LittleEndian.AppendUint64(nil, uint64(value)))
	g.body.bytes(5, t)
	return name
}

// number adds a constant in single precision.
func (g *graph) number(name string, value float64) string {
	t := tensor(name, typeFloat32, nil)
	t.bytes(9, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(value))))
	g.body.bytes(5, t)
	return name
}

// Fields of GraphProto that hold ports.
const (
	fieldInput  = 11
	fieldOutput = 12
)

// port adds an input or an output. Dimensions are ints, or the names of open ones.
func (g *graph) port(field int, name string, kind int, dims ...any) string {
	var shape, tensorType, typed, value message
	for _, d := range dims {
		var dim message
		switch d := d.(type) {
		case int:
			dim.whole(1, int64(d))
		case string:
			dim.text(2, d)
		}
		shape.bytes(1, dim)
	}
	tensorType.whole(1, int64(kind))
	tensorType.bytes(2, shape)
	typed.bytes(1, tensorType)
	value.text(1, name)
	value.bytes(2, typed)
	g.body.bytes(field, value)
	return name
}

// model wraps the graph into a ModelProto.
func (g *graph) model() message {
	g.body.text(2, "llama")
	var m message
	m.whole(1, irVersion)
	m.text(2, "graft")
	m.bytes(7, g.body)
	for _, o := range []struct {
		domain  string
		version int64
	}{{"", opset}, {microsoft, 1}} {
		var set message
		set.text(1, o.domain)
		set.whole(2, o.version)
		m.bytes(8, set)
	}
	return m
}
