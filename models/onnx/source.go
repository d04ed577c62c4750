package onnx

import (
	"bytes"
	"fmt"
	"io"
	"os"
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
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, 0, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, nil, err
	}
	return f, info.Size(), func() { f.Close() }, nil
}

// size is the number of bytes of the model, external data included as exporters
// name it (model.onnx_data, model.onnx.data). What cannot be read counts nothing.
func (s Source) size() int64 {
	total := int64(len(s.Bytes))
	if s.Path == "" {
		return total
	}
	for _, name := range []string{s.Path, s.Path + "_data", s.Path + ".data"} {
		if info, err := os.Stat(name); err == nil {
			total += info.Size()
		}
	}
	return total
}

func (s Source) String() string {
	if s.Path != "" {
		return s.Path
	}
	return fmt.Sprintf("a model of %d bytes", len(s.Bytes))
}
