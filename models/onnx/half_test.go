package onnx

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/graft-gateway/graft/models/onnx/synthetic"
)

// halved rewrites a model that stores half-precision weights and computes in float32,
// as the embedded family's do, into one that computes in half precision, with such a
// cache and such scores: CUDA has GroupQueryAttention for no other.
func halved(t testing.TB, src Source) Source {
	t.Helper()
	data, err := os.ReadFile(src.Path)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Bytes: halve(data)}
}

// halvedFolder does so with a model of synthetic, whose weights lie beside it.
func halvedFolder(t testing.TB, from, to string) Source {
	t.Helper()
	graph, err := os.ReadFile(filepath.Join(from, synthetic.File))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(to, synthetic.File)
	if err := os.WriteFile(path, halve(graph), 0o600); err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(from, synthetic.File+"_data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"_data", halveNumbers(weights), 0o600); err != nil {
		t.Fatal(err)
	}
	return Source{Path: path}
}

// halve rewrites a graph.
func halve(data []byte) []byte {
	return rewrite(data, func(number int, body []byte) []byte {
		if number != 7 { // ModelProto.graph
			return body
		}
		return rewrite(body, func(number int, body []byte) []byte {
			switch number {
			case 1: // node
				if !hasText(body, 4, "Cast") {
					return body
				}
				return rewrite(body, func(number int, body []byte) []byte {
					if number == 5 && hasText(body, 1, "to") {
						return renumber(body, 3)
					}
					return body
				})
			case 5: // initializer
				return halveTensor(body)
			case 11, 12, 13: // input, output, value_info
				return rewrite(body, func(number int, body []byte) []byte {
					if number != 2 { // type
						return body
					}
					return rewrite(body, func(number int, body []byte) []byte {
						if number != 1 { // tensor_type
							return body
						}
						return renumber(body, 1)
					})
				})
			}
			return body
		})
	})
}

// rewrite passes every field that has bytes to change, and every number to number.
func rewrite(message []byte, change func(number int, body []byte) []byte, number ...func(number int, v uint64) uint64) []byte {
	var out []byte
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		message = message[n:]
		out = binary.AppendUvarint(out, key)
		switch key & 7 {
		case 0:
			v, n := binary.Uvarint(message)
			message = message[n:]
			if len(number) > 0 && number[0] != nil {
				v = number[0](int(key>>3), v)
			}
			out = binary.AppendUvarint(out, v)
		case 1, 5:
			size := 8
			if key&7 == 5 {
				size = 4
			}
			out, message = append(out, message[:size]...), message[size:]
		default:
			size, n := binary.Uvarint(message)
			body := message[n : n+int(size)]
			message = message[n+int(size):]
			if change != nil {
				body = change(int(key>>3), body)
			}
			out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
		}
	}
	return out
}

// renumber turns float32 into float16 where a field says so.
func renumber(message []byte, field int) []byte {
	return rewrite(message, nil, func(number int, v uint64) uint64 {
		if number == field && v == uint64(Float32) {
			return uint64(Float16)
		}
		return v
	})
}

// hasText says whether a field of a message is this text.
func hasText(message []byte, field int, text string) bool {
	found := false
	rewrite(message, func(number int, body []byte) []byte {
		found = found || number == field && string(body) == text
		return body
	})
	return found
}

// halveTensor converts a float32 tensor, whose data is in the message or in a file.
func halveTensor(message []byte) []byte {
	const dataType, rawData, external = 2, 9, 13
	whole := renumber(message, dataType)
	if string(whole) == string(message) {
		return message
	}
	return rewrite(whole, func(number int, body []byte) []byte {
		switch {
		case number == rawData:
			return halveNumbers(body)
		case number == external && (hasText(body, 1, "offset") || hasText(body, 1, "length")):
			return rewrite(body, func(number int, body []byte) []byte {
				if n, err := strconv.Atoi(string(body)); number == 2 && err == nil {
					return strconv.AppendInt(nil, int64(n/2), 10)
				}
				return body
			})
		}
		return body
	})
}

// halveNumbers converts float32 numbers.
func halveNumbers(data []byte) []byte {
	out := make([]byte, 0, len(data)/2)
	for i := 0; i+4 <= len(data); i += 4 {
		out = binary.LittleEndian.AppendUint16(out, narrow(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))))
	}
	return out
}

// narrow rounds to half precision, ties to even.
func narrow(f float32) uint16 {
	b := math.Float32bits(f)
	sign, b := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x477ff000: // half of a step above the largest
		return sign | 0x7c00
	case b < 0x38800000: // below the smallest normal one: steps of 2^−24
		return sign | uint16(math.RoundToEven(math.Abs(float64(f))*(1<<24)))
	}
	b -= (127 - 15) << 23
	return sign | uint16((b+0xfff+b>>13&1)>>13)
}

func TestNarrowedNumbersWidenToTheNearest(t *testing.T) {
	for h := range 1 << 16 {
		f := make([]float32, 1)
		widen(f, []uint16{uint16(h)})
		if got := narrow(f[0]); got != uint16(h) && f[0] == f[0] {
			t.Fatalf("%#04x is %g and comes back as %#04x", h, f[0], got)
		}
	}
	// IEEE 754: half way between two goes to the even one.
	for f, want := range map[float32]uint16{1 + 1.0/2048: 0x3c00, 1 + 3.0/2048: 0x3c02, 65519: 0x7bff, 65520: 0x7c00, 1.0 / (1 << 25): 0, 3.0 / (1 << 25): 2} {
		if got := narrow(f); got != want {
			t.Errorf("%g is %#04x, want %#04x", f, got, want)
		}
	}
}
