package onnx

import (
	"errors"
	"io"
)

// wire is one message of a protocol buffer: the bytes [pos, end) of a file. Only
// what is asked for is read, so that gigabytes of weights cost nothing.
type wire struct {
	blocks   *blocks
	pos, end int64
}

// field is one field of a message: a number, or the bytes of body. Numbers of a
// fixed size are stepped over: nothing that is read here has any.
type field struct {
	at     int64 // where in the file its key stands
	number int
	bytes  bool
	value  uint64 // if not bytes
	body   wire   // if bytes
}

var (
	errWire  = errors.New("a broken protocol buffer")
	errLarge = errors.New("more names and nodes than any model has")
)

// longestName bounds the strings that are worth reading; each takes headerCost
// bytes besides its own.
const longestName, headerCost = 4096, 16

// fields calls f with every field of the message.
func (w wire) fields(f func(field) error) error {
	for w.pos < w.end {
		at := w.pos
		key, err := w.varint()
		if err != nil {
			return err
		}
		size := int64(0)
		switch key & 7 {
		case 0:
			v, err := w.varint()
			if err != nil {
				return err
			}
			if err := f(field{at: at, number: int(key >> 3), value: v}); err != nil {
				return err
			}
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			n, err := w.varint()
			if err != nil {
				return err
			}
			if n > uint64(w.end-w.pos) {
				return errWire
			}
			size = int64(n)
			body := wire{blocks: w.blocks, pos: w.pos, end: w.pos + size}
			if err := f(field{at: at, number: int(key >> 3), bytes: true, body: body}); err != nil {
				return err
			}
		default:
			return errWire
		}
		if size > w.end-w.pos {
			return errWire
		}
		w.pos += size
	}
	return nil
}

// varint reads a number of at most ten bytes.
func (w *wire) varint() (uint64, error) {
	var v uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if w.pos >= w.end {
			return 0, errWire
		}
		b, err := w.blocks.at(w.pos)
		if err != nil {
			return 0, err
		}
		w.pos++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errWire
}

// text reads the message as a string.
func (w wire) text() (string, error) {
	n := w.end - w.pos
	if n > longestName {
		return "", errWire
	}
	if err := w.blocks.spend(n + headerCost); err != nil {
		return "", err
	}
	text := make([]byte, n)
	for i := range text {
		b, err := w.blocks.at(w.pos + int64(i))
		if err != nil {
			return "", err
		}
		text[i] = b
	}
	return string(text), nil
}

// longestShape bounds the dimensions of a tensor that are worth reading.
const longestShape = 64

// numbers appends a repeated number, which may be written packed or one by one.
func (f field) numbers(dst []int64) ([]int64, error) {
	if !f.bytes {
		dst = append(dst, int64(f.value))
	}
	for f.body.pos < f.body.end && len(dst) <= longestShape {
		v, err := f.body.varint()
		if err != nil {
			return nil, err
		}
		dst = append(dst, int64(v))
	}
	if len(dst) > longestShape {
		return nil, errWire
	}
	return dst, nil
}

// blocks reads a file block by block and keeps the last one.
type blocks struct {
	file   io.ReaderAt
	start  int64
	held   []byte
	budget int64 // bytes of memory that may still be taken for what is read
	room   [4096]byte
}

// largestRead bounds the memory for what a file says, weights not counted.
const largestRead = 256 << 20

// spend takes memory from the budget.
func (b *blocks) spend(n int64) error {
	if b.budget -= n; b.budget < 0 {
		return errLarge
	}
	return nil
}

// at returns the byte at pos.
func (b *blocks) at(pos int64) (byte, error) {
	if pos < b.start || pos >= b.start+int64(len(b.held)) {
		n, err := b.file.ReadAt(b.room[:], pos)
		if n == 0 {
			if err == nil || err == io.EOF {
				err = errWire
			}
			return 0, err
		}
		b.start, b.held = pos, b.room[:n]
	}
	return b.held[pos-b.start], nil
}
