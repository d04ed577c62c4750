package onnx

import (
	"fmt"
	"io"
)

// windowAttribute of GroupQueryAttention says that the cache of a layer with a
// sliding window is as short as the window: tokens that leave it are overwritten.
// Such a cache cannot be cut back to an earlier token, and older versions of ONNX
// Runtime do not know the attribute at all. Which tokens a layer looks at is said
// by another one, local_window_size. So without it the layer computes the same rows
// from a cache of all tokens, and that is how sessions load it: the attribute is
// hidden from the runtime in a copy of the file's bytes.
const windowAttribute = "sliding_window_cache"

// attributeField is the number of a node's attributes in NodeProto. Its key takes
// one byte, and so does that of a field that no version of ONNX has: readers of
// protocol buffers step over it.
const (
	attributeField = 5
	unknownField   = 15
	bytesKind      = 2
)

// hideWindows returns the model's bytes without the attributes in f.windows.
func (f *file) hideWindows(src Source) ([]byte, error) {
	reader, size, done, err := src.open()
	if err != nil {
		return nil, err
	}
	defer done()
	if size != f.size {
		return nil, fmt.Errorf("it changed while it was read")
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(reader, 0, size), data); err != nil {
		return nil, err
	}
	for _, at := range f.windows {
		if data[at] != attributeField<<3|bytesKind {
			return nil, fmt.Errorf("an attribute %s is written in an unusual way; export the model without it", windowAttribute)
		}
		data[at] = unknownField<<3 | bytesKind
	}
	return data, nil
}
