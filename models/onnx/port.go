package onnx

import "fmt"

// Port is one input or output as a session declares it.
type Port struct {
	Name   string
	Type   ElementType
	Tensor bool    // false: a sequence, a map, or a tensor of more than 8 dimensions
	Dims   []int64 // −1 where the graph leaves a dimension open
}

// String shows the port as refusals name it, for example
// "past_key_values.0.key: float16[?,8,?,64]".
func (p Port) String() string {
	if !p.Tensor {
		return p.Name + ": not a tensor of at most 8 dimensions"
	}
	dims := ""
	for i, d := range p.Dims {
		if i > 0 {
			dims += ","
		}
		if d < 0 {
			dims += "?"
		} else {
			dims += fmt.Sprint(d)
		}
	}
	return fmt.Sprintf("%s: %s[%s]", p.Name, p.Type, dims)
}

// ElementType is the type of a tensor's elements, numbered as ONNX does.
type ElementType int32

// The types that decoder exports use.
const (
	Float32  ElementType = 1
	Int32    ElementType = 6
	Int64    ElementType = 7
	Bool     ElementType = 9
	Float16  ElementType = 10
	BFloat16 ElementType = 16
)

// Size is the number of bytes of one element; 0 for a type not listed here.
func (t ElementType) Size() int {
	switch t {
	case Float32, Int32:
		return 4
	case Int64:
		return 8
	case Float16, BFloat16:
		return 2
	case Bool:
		return 1
	}
	return 0
}

func (t ElementType) String() string {
	switch t {
	case Float32:
		return "float32"
	case Int32:
		return "int32"
	case Int64:
		return "int64"
	case Bool:
		return "bool"
	case Float16:
		return "float16"
	case BFloat16:
		return "bfloat16"
	}
	return fmt.Sprintf("element type %d", int32(t))
}
