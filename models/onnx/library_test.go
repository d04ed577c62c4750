package onnx

// Three defects of github.com/yalue/onnxruntime_go v1.27.0, each shown in the
// library itself, and the path of this package that goes round it. A test of the
// first kind that fails after an upgrade is good news: see what can go.

import (
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/graft-gateway/graft/eft"
	ort "github.com/yalue/onnxruntime_go"
)

// openLibrary opens a model of testdata with the library alone.
func openLibrary(t *testing.T, name string, inputs, outputs []string) *ort.DynamicAdvancedSession {
	t.Helper()
	s, err := ort.NewDynamicAdvancedSession(model(name).Path, inputs, outputs, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Destroy() })
	return s
}

func TestLibraryLetsBoundTensorsBeCollected(t *testing.T) {
	s := openLibrary(t, "double", nil, nil)
	b, err := s.CreateIoBinding()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Destroy()
	data := func() weak.Pointer[float32] {
		x, err := ort.NewTensor(ort.NewShape(4), []float32{1, 2, 3, 4})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.BindInput("x", x); err != nil {
			t.Fatal(err)
		}
		return weak.Make(&x.GetData()[0])
	}()
	runtime.GC()
	if data.Value() != nil {
		t.Error("the binding keeps its tensor alive now: memory of Go's could be bound")
	}
	runtime.KeepAlive(b)
}

// TestRowsSurviveCollections runs steps with a collection before each, and with
// garbage of the size of what a step binds, so that freed memory is used again.
func TestRowsSurviveCollections(t *testing.T) {
	want := readExpected(t)
	tokens := append(slices.Clone(want.Prompt), want.Steps...)
	for _, export := range exports {
		t.Run(export.name, func(t *testing.T) {
			q := openSequence(t, openModel(t, export.name, Options{Provider: CPU}))
			for i, id := range tokens {
				runtime.GC()
				garbage := make([][]byte, 64)
				for j := range garbage {
					garbage[j] = slices.Repeat([]byte{0xff}, 8<<(j%8))
				}
				rows, err := q.Extend(t.Context(), []eft.Token{id}, 1)
				if err != nil {
					t.Fatal(err)
				}
				if d := farthest(t, rows, want.Whole[i:i+1]); d > export.near {
					t.Fatalf("row %d is %g away, want at most %g", i, d, export.near)
				}
				runtime.KeepAlive(garbage)
			}
		})
	}
}

func TestLibraryScalarSetDoesNotReachTheRun(t *testing.T) {
	scalar, err := ort.NewScalar[int64](3)
	if err != nil {
		t.Fatal(err)
	}
	defer scalar.Destroy()
	s := openLibrary(t, "keep", keepInputs, []string{"logits"})
	rows := func() int64 {
		inputs := keepValues(t, scalar)
		outputs := []ort.Value{nil}
		if err := s.Run(inputs, outputs); err != nil {
			t.Fatal(err)
		}
		defer outputs[0].Destroy()
		for _, v := range inputs[:len(inputs)-1] {
			v.Destroy()
		}
		return outputs[0].GetShape()[1]
	}
	if n := rows(); n != 3 {
		t.Fatalf("3 rows asked for, %d given", n)
	}
	scalar.Set(2)
	if n := rows(); n != 3 {
		t.Errorf("Scalar.Set(2) reaches the run now (%d rows)", n)
	}
}

// keepInputs are the inputs of testdata/keep without the cache's values, which
// keepValues adds empty.
var keepInputs = []string{
	"input_ids", "attention_mask", "position_ids",
	"past_key_values.0.key", "past_key_values.0.value", "past_key_values.1.key", "past_key_values.1.value",
	"num_logits_to_keep",
}

// keepValues are four tokens for keepInputs.
func keepValues(t *testing.T, scalar ort.Value) []ort.Value {
	t.Helper()
	var values []ort.Value
	for _, data := range [][]int32{{1, 17, 42, 5}, {1, 1, 1, 1}, {0, 1, 2, 3}} {
		v, err := ort.NewTensor(ort.NewShape(1, 4), data)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	for range 4 {
		// The library refuses dimensions of 0: an empty past takes a masked token instead.
		v, err := ort.NewTensor(ort.NewShape(1, 1, 1, 16), make([]float32, 16))
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	values[1].Destroy()
	mask, err := ort.NewTensor(ort.NewShape(1, 5), []int32{0, 1, 1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	values[1] = mask
	return append(values, scalar)
}

// TestKeptRowsFollowEveryCall changes the scalar num_logits_to_keep from call to
// call.
func TestKeptRowsFollowEveryCall(t *testing.T) {
	want := readExpected(t)
	q := openSequence(t, openModel(t, "keep", Options{Provider: CPU}))
	for _, last := range []int{3, 1, len(want.Prompt), 2} {
		if err := q.Truncate(0); err != nil {
			t.Fatal(err)
		}
		rows, err := q.Extend(t.Context(), want.Prompt, last)
		if err != nil {
			t.Fatal(err)
		}
		if d := farthest(t, rows, want.Prefill[len(want.Prompt)-last:]); d > 2e-5 {
			t.Errorf("%d rows: %g away", last, d)
		}
	}
}

func TestLibraryCannotAllocateHalfPrecisionOutputs(t *testing.T) {
	s := openLibrary(t, "half", []string{"x"}, []string{"y"})
	x, err := ort.NewCustomDataTensor(ort.NewShape(4), []byte{0, 0x3c, 0, 0x40, 0, 0x42, 0, 0x44}, ort.TensorElementDataTypeFloat16)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Destroy()
	outputs := []ort.Value{nil}
	if err := s.Run([]ort.Value{x}, outputs); err == nil {
		outputs[0].Destroy()
		t.Error("the library allocates half-precision outputs now")
	}
}
