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

// The types that decoder exports use for what goes in and out.
const (
	Float32  ElementType = 1
	Int32    ElementType = 6
	Int64    ElementType = 7
	Bool     ElementType = 9
	Float16  ElementType = 10
	BFloat16 ElementType = 16
)

// Types that weights are stored as besides.
const (
	typeUint8 ElementType = 2
	typeInt8  ElementType = 3
	typeUint4 ElementType = 21
	typeInt4  ElementType = 22
)

// elementTypes lists every type with its name and bits, by ONNX's numbers.
var elementTypes = [...]struct {
	name string
	bits int
}{
	1: {"float32", 32}, 2: {"uint8", 8}, 3: {"int8", 8}, 4: {"uint16", 16}, 5: {"int16", 16}, 6: {"int32", 32}, 7: {"int64", 64},
	8: {"string", 0}, 9: {"bool", 8}, 10: {"float16", 16}, 11: {"float64", 64}, 12: {"uint32", 32}, 13: {"uint64", 64},
	14: {"complex64", 64}, 15: {"complex128", 128}, 16: {"bfloat16", 16},
	17: {"float8e4m3fn", 8}, 18: {"float8e4m3fnuz", 8}, 19: {"float8e5m2", 8}, 20: {"float8e5m2fnuz", 8},
	21: {"uint4", 4}, 22: {"int4", 4}, 23: {"float4e2m1", 4}, 24: {"float8e8m0", 8}, 25: {"uint2", 2}, 26: {"int2", 2},
}

// bits is the size of one element; 0 for a type that is not known.
func (t ElementType) bits() int {
	if t < 0 || int(t) >= len(elementTypes) {
		return 0
	}
	return elementTypes[t].bits
}

// Size is the number of bytes of one element; 0 if it has none of its own.
func (t ElementType) Size() int { return t.bits() / 8 }

// float says whether the type is a floating-point number as weights are computed with.
func (t ElementType) float() bool {
	switch t {
	case Float32, Float16, BFloat16, 11:
		return true
	}
	return false
}

// String is the type's name, for example "float16".
func (t ElementType) String() string {
	if t > 0 && int(t) < len(elementTypes) {
		return elementTypes[t].name
	}
	return fmt.Sprintf("element type %d", int32(t))
}

// MarshalText writes the type by its name.
func (t ElementType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
