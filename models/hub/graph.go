package hub

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Locations reads which files a graph's tensors lie in, beside the graph itself, in
// the order of their first mention.
//
// An ONNX file is a protobuf message. Only what leads to tensors is read, the rest is
// skipped, so that gigabytes of inline weights cost one seek each.
func Locations(r io.ReadSeeker) ([]string, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	w := &walker{source: r, buffered: bufio.NewReader(r)}
	if err := w.message(model, size, 0); err != nil {
		return nil, fmt.Errorf("not readable as an ONNX graph at byte %d: %w", w.at, err)
	}
	return w.locations, nil
}

// kind is one of the ONNX messages that lead to tensors.
type kind int

const (
	model kind = iota + 1
	graph
	node
	attribute
	tensor
	sparse
	function
	entry // of a tensor's external_data: a key and a value
)

// leads is which message a field of a message holds (onnx.proto, IR version 13), 0
// where it leads to no tensor.
func leads(k kind, field uint64) kind {
	switch (step{k, field}) {
	case step{model, 7}, step{attribute, 6}, step{attribute, 11}:
		return graph
	case step{model, 25}:
		return function
	case step{graph, 1}, step{function, 7}:
		return node
	case step{node, 5}:
		return attribute
	case step{graph, 5}, step{attribute, 5}, step{attribute, 10}, step{sparse, 1}, step{sparse, 2}:
		return tensor
	case step{graph, 15}, step{attribute, 22}, step{attribute, 23}:
		return sparse
	case step{tensor, 13}:
		return entry
	}
	return 0
}

type step struct {
	in    kind
	field uint64
}

// What a graph may hold. Nesting comes from If and Loop nodes.
const (
	maxDepth     = 64
	maxLocation  = 1024 // bytes of a name
	maxLocations = 1000
)

// walker reads messages one after another. at is the place of the next byte of
// buffered.
type walker struct {
	source    io.ReadSeeker
	buffered  *bufio.Reader
	at        int64
	locations []string
}

// message reads the fields of one that ends at a place.
func (w *walker) message(k kind, end int64, depth int) error {
	if depth > maxDepth {
		return errors.New("it is nested too deeply")
	}
	var key, value string
	for w.at < end {
		tag, err := w.varint(end)
		if err != nil {
			return err
		}
		field, wire := tag>>3, tag&7
		length, err := w.length(wire, end)
		if err != nil {
			return err
		}
		inner := leads(k, field)
		switch {
		case wire == 2 && inner != 0:
			err = w.message(inner, w.at+length, depth+1)
		case wire == 2 && k == entry && field == 1:
			key, err = w.text(length)
		case wire == 2 && k == entry && field == 2:
			value, err = w.text(length)
		default:
			err = w.skip(length)
		}
		if err != nil {
			return err
		}
	}
	if k != entry || key != "location" || slices.Contains(w.locations, value) {
		return nil
	}
	if w.locations = append(w.locations, value); len(w.locations) > maxLocations {
		return errors.New("its weights are spread over too many files")
	}
	return nil
}

// length is how many bytes a field's value has from here on.
func (w *walker) length(wire uint64, end int64) (length int64, err error) {
	switch wire {
	case 0: // a varint, which is passed here
		_, err = w.varint(end)
	case 1:
		length = 8
	case 2:
		var n uint64
		n, err = w.varint(end)
		if length = int64(n); n > uint64(end) {
			length = end + 1
		}
	case 5:
		length = 4
	default:
		err = fmt.Errorf("wire type %d is none of protobuf's", wire)
	}
	if err == nil && length > end-w.at {
		err = io.ErrUnexpectedEOF
	}
	return length, err
}

func (w *walker) varint(end int64) (uint64, error) {
	v, err := binary.ReadUvarint(counting{w})
	if err == nil && w.at > end || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

// counting reads bytes and moves at.
type counting struct{ *walker }

// ReadByte implements io.ByteReader.
func (c counting) ReadByte() (byte, error) {
	b, err := c.buffered.ReadByte()
	if err == nil {
		c.at++
	}
	return b, err
}

func (w *walker) text(length int64) (string, error) {
	if length > maxLocation {
		return "", errors.New("a name in it is too long")
	}
	text := make([]byte, length)
	n, err := io.ReadFull(w.buffered, text)
	w.at += int64(n)
	return string(text), err
}

// skip passes over what is not read: within the buffer, or by a seek.
func (w *walker) skip(length int64) error {
	w.at += length
	if length <= int64(w.buffered.Buffered()) {
		_, err := w.buffered.Discard(int(length))
		return err
	}
	_, err := w.source.Seek(w.at, io.SeekStart)
	w.buffered.Reset(w.source)
	return err
}
