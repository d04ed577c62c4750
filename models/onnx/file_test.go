package onnx

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAttentionIsFoundInTheFile(t *testing.T) {
	for name, want := range map[string]int{"gqa": 2, "long-gqa": 2, "plain": 0, "double": 0} {
		data, err := os.ReadFile(model(name).Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range []Source{model(name), {Bytes: data}} {
			f, err := readFile(src)
			if err != nil {
				t.Fatal(err)
			}
			nodes := f.attentions()
			if len(nodes) != want {
				t.Errorf("%s: %v", src, nodes)
			}
			for _, n := range nodes[:min(1, len(nodes))] {
				if n != (attention{"GroupQueryAttention", "past_key_values.0.key", "past_key_values.0.value", "present.0.key", "present.0.value", true, 1, 16}) {
					t.Errorf("%s: %+v", src, n)
				}
			}
		}
	}
}

func TestBrokenFilesAreRefused(t *testing.T) {
	whole, err := os.ReadFile(model("gqa").Path)
	if err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), "missing.onnx")
	for name, src := range map[string]Source{
		"no file":              {Path: long},
		"a folder":             {Path: t.TempDir()},
		"cut off":              {Bytes: whole[:len(whole)/2]},
		"text":                 {Bytes: []byte("version https://git-lfs.github.com/spec/v1")},
		"an endless number":    {Bytes: []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}},
		"a length too large":   {Bytes: []byte{0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
		"a fixed field cut":    {Bytes: []byte{0x09, 1, 2}},
		"an unknown wire type": {Bytes: []byte{0x0b}},
		"neither":              {},
		"both":                 {Path: model("gqa").Path, Bytes: whole},
	} {
		if s, err := OpenSession(testEnv, src, Options{Provider: CPU, Context: 128}); err == nil {
			t.Errorf("%s: opened", name)
			s.Close()
		}
	}
}

// FuzzReadFile must never fail otherwise than by an error.
func FuzzReadFile(f *testing.F) {
	for _, name := range []string{"double", "half"} {
		data, err := os.ReadFile(model(name).Path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, name := range []string{"windowed", "switched", "merged"} {
		data, err := os.ReadFile(filepath.Join("testdata", "layouts", name+".onnx"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	// graph { node { input "" ×3, "k", "v", output "a", "k2", "v2", op_type, domain } }
	node := []byte("\x0a\x00\x0a\x00\x0a\x00\x0a\x01k\x0a\x01v\x12\x01a\x12\x02k2\x12\x02v2\x22\x13GroupQueryAttention\x3a\x0dcom.microsoft")
	f.Add(append([]byte{0x3a, byte(len(node) + 2), 0x0a, byte(len(node))}, node...))
	f.Add([]byte{0x3a, 0x05, 0x0a, 0x03, 0x22, 0x01, 0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		src := Source{Bytes: data}
		f, err := readFile(src)
		if err != nil {
			return
		}
		f.attentions()
		f.ropeSwitch()
		f.unfit()
		f.dismiss("m")
		f.index().columns(nameLogits)
		if w := f.weigh(); w.parameters < 0 || w.bytes < 0 {
			t.Errorf("%+v", w)
		}
		if size, err := src.measure(f); err == nil && size != int64(len(data)) {
			t.Errorf("%d bytes of %d", size, len(data))
		}
	})
}

func TestHalfPrecision(t *testing.T) {
	// IEEE 754-2008 binary16, values from its definition: (−1)^s · 2^(e−15) · (1 + f/1024), subnormal 2^−14 · f/1024.
	for _, c := range []struct {
		half uint16
		want float32
	}{
		{0x0000, 0}, {0x3c00, 1}, {0xc000, -2}, {0x3555, 0.333251953125}, {0x7bff, 65504},
		{0x0400, 1.0 / (1 << 14)}, {0x03ff, 1023.0 / (1 << 24)}, {0x0001, 1.0 / (1 << 24)}, {0x8001, -1.0 / (1 << 24)},
	} {
		got := make([]float32, 1)
		widen(got, []uint16{c.half})
		if got[0] != c.want {
			t.Errorf("%#04x is %v, want %v", c.half, got[0], c.want)
		}
	}
	got := make([]float32, 4)
	widen(got, []uint16{0x7c00, 0xfc00, 0x7e00, 0x8000})
	if got[0] <= 65504 || got[1] >= -65504 || got[2] == got[2] || 1/got[3] >= 0 {
		t.Errorf("infinities, not a number, minus zero: %v", got)
	}
}

// FuzzOpen hands broken files to the whole of opening, ONNX Runtime included.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"double", "half", "gqa"} {
		data, err := os.ReadFile(model(name).Path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(lfs))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := testEnv.Counts()
		s, err := OpenSession(testEnv, Source{Bytes: data}, Options{Provider: CPU, Context: 8})
		if err == nil {
			err = s.Close()
		} else if s != nil {
			t.Errorf("a session and %v", err)
		}
		if now := testEnv.Counts(); now != before {
			t.Errorf("%+v alive after, %+v before: %v", now, before, err)
		}
	})
}

func TestWhatIsNoWeightIsNotCounted(t *testing.T) {
	f := &file{
		nodes: []node{
			{op: "GroupQueryAttention", domain: "com.microsoft", inputs: []string{"q", "k", "v", "", "", "", "", "cos", "sin"}},
			{op: "DequantizeLinear", inputs: []string{"table", "table_steps"}, outputs: []string{"t"}},
		},
		tensors: []stored{
			{name: "norm", kind: Float32, dims: []int64{64}}, {name: "onnx::MatMul_9", kind: Float32, dims: []int64{64, 100}},
			{name: "cos", kind: Float32, dims: []int64{2048, 8}}, {name: "sin", kind: Float32, dims: []int64{2048, 8}},
			{name: "onnx::Expand_7", kind: Float32, dims: []int64{1, 8, 1}}, // inv_freq as optimum leaves it
			{name: "mask", kind: Float32, dims: []int64{1, 1, 99, 99}}, {name: "epsilon", kind: Float32}, {name: "shape", kind: Int64, dims: []int64{4}},
			{name: "table", kind: typeInt8, dims: []int64{10, 64}}, {name: "table_steps", kind: Float32, dims: []int64{10}},
		},
	}
	want := weights{parameters: 64 + 64*100 + 10*64, bytes: 4*(64+64*100) + 10*64 + 4*10, kind: "float32"}
	if got := f.weigh(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
