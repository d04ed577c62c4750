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

var errWire = errors.New("a broken protocol buffer")

// longestName bounds the strings that are worth reading.
const longestName = 4096

// fields calls f with every length-delimited field, and steps over the others.
func (w wire) fields(f func(number int, body wire) error) error {
	for w.pos < w.end {
		key, err := w.varint()
		if err != nil {
			return err
		}
		size := int64(0)
		switch key & 7 {
		case 0:
			if _, err := w.varint(); err != nil {
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
			if err := f(int(key>>3), wire{blocks: w.blocks, pos: w.pos, end: w.pos + size}); err != nil {
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
	if w.end-w.pos > longestName {
		return "", errWire
	}
	text := make([]byte, w.end-w.pos)
	for i := range text {
		b, err := w.blocks.at(w.pos + int64(i))
		if err != nil {
			return "", err
		}
		text[i] = b
	}
	return string(text), nil
}

// blocks reads a file block by block and keeps the last one.
type blocks struct {
	file  io.ReaderAt
	start int64
	held  []byte
	room  [4096]byte
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
