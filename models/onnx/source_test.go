package onnx

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// placeLayout copies a model of testdata/layouts and its weights into a folder.
func placeLayout(t *testing.T, folder string) (graph, weights string) {
	t.Helper()
	for _, name := range []string{"fused.onnx", "weights.bin"} {
		data, err := os.ReadFile(filepath.Join("testdata", "layouts", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "fused.onnx"), filepath.Join(folder, "weights.bin")
}

// refused opens a source that must be refused, and returns why.
func refused(t *testing.T, src Source) string {
	t.Helper()
	before := testEnv.Counts()
	s, err := OpenSession(testEnv, src, Options{Provider: CPU, Context: 128})
	if err == nil {
		s.Close()
		t.Fatalf("%s: opened", src)
	}
	if now := testEnv.Counts(); now != before {
		t.Errorf("%s: %+v alive after a refusal, %+v before", src, now, before)
	}
	return err.Error()
}

func TestExternalDataMustBeThereAndWhole(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The name is changed in place, so that all lengths in the file stay right.
	rename := func(t *testing.T, graph, to string) {
		data, err := os.ReadFile(graph)
		if err != nil {
			t.Fatal(err)
		}
		write(t, graph, string(bytes.ReplaceAll(data, []byte("weights.bin"), []byte(to))))
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, graph, weights string)
		why    string
	}{
		"missing":         {func(t *testing.T, _, w string) { os.Remove(w) }, "weights.bin, which is missing"},
		"cut off":         {func(t *testing.T, _, w string) { os.Truncate(w, 100) }, "weights.bin, which has 100 bytes and must have"},
		"an LFS pointer":  {func(t *testing.T, _, w string) { write(t, w, lfs+".github.com/spec/v1\noid sha256:1\n") }, "Git LFS pointer"},
		"a folder":        {func(t *testing.T, _, w string) { os.Remove(w); os.Mkdir(w, 0o755) }, "not a file"},
		"above":           {func(t *testing.T, g, _ string) { rename(t, g, "../ghts.bin") }, "must lie in the model's folder"},
		"absolute":        {func(t *testing.T, g, _ string) { rename(t, g, "/etc/passwd") }, "must lie in the model's folder"},
		"Windows' way up": {func(t *testing.T, g, _ string) { rename(t, g, `..\ghts.bin`) }, "must lie in the model's folder"},
		"above and back":  {func(t *testing.T, g, _ string) { rename(t, g, "a/../ts.bin") }, "must lie in the model's folder"},
		"not numbers":     {func(t *testing.T, _, w string) { write(t, w, strings.Repeat("\xff", 1<<16)) }, "its scores are not numbers"},
		"in memory":       {func(t *testing.T, g, _ string) { rename(t, g, "*/_ORT_MEM_") }, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			graph, weights := placeLayout(t, t.TempDir())
			c.change(t, graph, weights)
			if why := refused(t, Source{Path: graph}); !strings.Contains(why, c.why) {
				t.Error(why)
			}
		})
	}
	data, err := os.ReadFile(filepath.Join("testdata", "layouts", "fused.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if why := refused(t, Source{Bytes: data}); !strings.Contains(why, "give a path") {
		t.Error(why)
	}
}

// A cache of Hugging Face's client has links in place of files.
func TestLinkedFoldersOpen(t *testing.T) {
	root := t.TempDir()
	blobs, snapshot := filepath.Join(root, "blobs"), filepath.Join(root, "snapshots", "1", "onnx")
	for _, folder := range []string{blobs, snapshot} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	placeLayout(t, blobs)
	for _, name := range []string{"fused.onnx", "weights.bin"} {
		if err := os.Symlink(filepath.Join("..", "..", "..", "blobs", name), filepath.Join(snapshot, name)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenSession(testEnv, Source{Path: filepath.Join(snapshot, "fused.onnx")}, Options{Provider: CPU, Context: 128})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheSizeCountsWhatTheFileNames(t *testing.T) {
	graph, weights := placeLayout(t, t.TempDir())
	// Neither is named by the graph, whatever they are called.
	for _, name := range []string{"_data", ".data"} {
		if err := os.WriteFile(graph+name, make([]byte, 1000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := int64(0)
	for _, path := range []string{graph, weights} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		want += info.Size()
	}
	f, err := readFile(Source{Path: graph})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := (Source{Path: graph}).measure(f); err != nil || got != want {
		t.Errorf("%d bytes, want %d: %v", got, want, err)
	}
}

func TestFilesThatAreSomethingElse(t *testing.T) {
	for name, c := range map[string]struct{ text, why string }{
		"empty":       {"", "empty"},
		"LFS":         {lfs + ".github.com/spec/v1\noid sha256:4cac19622fc3ada9c0fdeadb33f88f367b541f38b89102a3f1261ac81fd5bcb5\nsize 9\n", "git lfs pull"},
		"a page":      {"<!doctype html><html><body>Not found</body></html>", "web page"},
		"GGUF":        {"GGUF\x03\x00\x00\x00\x00\x00\x00\x00", "GGUF"},
		"PyTorch":     {"PK\x03\x04\x00\x00\x08\x08", "zip"},
		"safetensors": {"\x40\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}", "safetensors"},
		"ort":         {"\x10\x00\x00\x00ORTM\x00\x00\x00\x00", ".ort"},
		"JSON":        {`{"error": "Entry not found"}`, "JSON"},
		"text":        {"hello, world", "not an ONNX file"},
		"no graph":    {"\x08\x0a", "no graph"},
	} {
		path := filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if why := refused(t, Source{Path: path}); !strings.Contains(why, c.why) || !strings.Contains(why, path) {
			t.Errorf("%s: %s", name, why)
		}
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	if why := refused(t, Source{Path: pipe}); !strings.Contains(why, "not a file") {
		t.Error(why)
	}
}

func TestFilesCutOffAnywhereAreRefused(t *testing.T) {
	whole, err := os.ReadFile(model("gqa").Path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n += 997 {
		refused(t, Source{Bytes: whole[:n]})
	}
}

func TestRefusalsExplainTheRuntime(t *testing.T) {
	f := &file{opsets: map[string]int64{"": 30, "custom": 1}, ir: 14}
	for text, want := range map[string]string{
		"Load model failed:Fatal error: custom:Magic(-1) is not a registered function/op":                                             "opset 30, IR version 14, operators of custom",
		"Error creating C session from file: Could not find an implementation for MatMul(13) node with name 'x'":                      "bfloat16",
		"ONNX Runtime only *guarantees* support for models stamped with official opset versions. Opset 30 is under development":       "newer ONNX Runtime",
		"failed:This is an invalid model. In Node, (\"n\", G) : () -> () , Error Unrecognized attribute: a for operator GroupQuery":   "says: Unrecognized attribute: a",
		"[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running X node. Name:'n' Status Message: too many cooks": "too many cooks",
	} {
		if got := f.explain(errors.New(text), "1.26.0").Error(); !strings.Contains(got, want) || strings.Contains(got, "In Node") {
			t.Errorf("%s\n%s", text, got)
		}
		if got := f.explainLoading(errors.New(text), "1.26.0").Error(); !strings.Contains(got, want) || !strings.Contains(got, "export") {
			t.Errorf("loading says nothing of what to do: %s", got)
		}
	}
	if why := refused(t, model("padded")); !strings.Contains(why, "does not run as its inputs promise") {
		t.Error(why)
	}
}
