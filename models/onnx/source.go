package onnx

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is where a model comes from: a file, beside which its external data
// may lie, or bytes, which must hold everything. Exactly one is set.
type Source struct {
	Path  string
	Bytes []byte
}

// check says whether exactly one of the two is set.
func (s Source) check() error {
	if (s.Path == "") == (len(s.Bytes) == 0) {
		return fmt.Errorf("a model source needs a path or bytes, and not both")
	}
	return nil
}

// open gives random access to the model's bytes, until done.
func (s Source) open() (file io.ReaderAt, size int64, done func(), err error) {
	if s.Path == "" {
		return bytes.NewReader(s.Bytes), int64(len(s.Bytes)), func() {}, nil
	}
	info, err := os.Stat(s.Path)
	if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its other end
		err = fmt.Errorf("%s is not a file", s.Path)
	}
	if err != nil {
		return nil, 0, nil, err
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, 0, nil, err
	}
	return f, info.Size(), func() { f.Close() }, nil
}

func (s Source) String() string {
	if s.Path != "" {
		return s.Path
	}
	return fmt.Sprintf("a model of %d bytes", len(s.Bytes))
}

// lfs is how the files begin that Git keeps in place of large ones.
const lfs = "version https://git-lfs"

// strangers are files that people take for an ONNX model, by their first bytes.
var strangers = []struct{ begin, what string }{
	{lfs, "it is a Git LFS pointer, the large file itself was not fetched: run `git lfs pull` in its folder, or `graft pull`"},
	{"GGUF", "it is a GGUF file, the format of llama.cpp: export the model to ONNX"},
	{"PK\x03\x04", "it is a zip archive, as PyTorch writes them: export the model to ONNX"},
	{"ORTM", "it is in ONNX Runtime's own format (.ort): use the .onnx file that it was made from"},
	{"<", "it is a web page or XML, not a model: download the file itself"},
	{"{", "it is JSON, not a model: give the .onnx file"},
}

// recognise finds files that are certainly no ONNX model and says what they are.
func recognise(file io.ReaderAt, size int64) error {
	if size == 0 {
		return fmt.Errorf("it is empty: fetch it again")
	}
	first := make([]byte, 32)
	n, err := file.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return err
	}
	begin := string(first[:n])
	// In .ort files the letters follow an offset, in safetensors the header's length.
	if len(begin) > 8 {
		switch {
		case begin[4:8] == "ORTM":
			begin = begin[4:]
		case begin[8] == '{' && begin[6:8] == "\x00\x00":
			return fmt.Errorf("it is a safetensors file: export the model to ONNX")
		}
	}
	for _, s := range strangers {
		if strings.HasPrefix(begin, s.begin) {
			return fmt.Errorf("%s", s.what)
		}
	}
	return nil
}

// measure is the number of bytes of the model with its external data, all of
// which must be there, whole, in the model's folder.
func (s Source) measure(f *file) (total int64, err error) {
	ends := make(map[string]int64) // by file: how far the tensors in it reach
	for _, t := range f.tensors {
		if t.external == "" {
			continue
		}
		length := t.length
		if length < 0 {
			length = t.bytes()
		}
		if t.offset < 0 || length < 0 || t.offset+length < 0 {
			return 0, fmt.Errorf("tensor %q has no possible place in %s", t.name, t.external)
		}
		ends[t.external] = max(ends[t.external], t.offset+length)
	}
	total = f.size
	for location, end := range ends {
		n, err := s.external(location, end)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// external is the size of one file of external data that must have end bytes.
func (s Source) external(location string, end int64) (int64, error) {
	if s.Path == "" {
		return 0, fmt.Errorf("its weights lie in an external file %q, and only its bytes were given: give a path", location)
	}
	local := filepath.FromSlash(location)
	// ONNX Runtime asks the system for a/../b, which is nothing where there is no a.
	if !filepath.IsLocal(local) || strings.Contains(location, `\`) || slices.Contains(strings.Split(location, "/"), "..") {
		return 0, fmt.Errorf("its weights are said to lie in %q: external data must lie in the model's folder", location)
	}
	path := filepath.Join(filepath.Dir(s.Path), local)
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return 0, fmt.Errorf("its weights lie in %s, which is missing: fetch it and put it into the same folder", path)
	case err != nil:
		return 0, fmt.Errorf("its weights lie in %s: %w", path, err)
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("its weights lie in %s, which is not a file", path)
	case info.Size() >= end:
		return info.Size(), nil
	}
	if head, err := readHead(path); err == nil && strings.HasPrefix(head, lfs) {
		return 0, fmt.Errorf("its weights lie in %s: %s", path, strangers[0].what)
	}
	return 0, fmt.Errorf("its weights lie in %s, which has %d bytes and must have %d: it is cut off, or of another export; fetch it again", path, info.Size(), end)
}

// readHead reads the first bytes of a file.
func readHead(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, len(lfs))
	n, err := io.ReadFull(f, head)
	return string(head[:n]), err
}
