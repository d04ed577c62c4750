package onnx

import "fmt"

// stored is a tensor that the file holds or names: an initializer, or the value
// of a Constant.
type stored struct {
	name           string
	kind           ElementType
	dims           []int64
	external       string // a file's name; empty: the data is in this one
	offset, length int64  // in the external file; length −1: as its shape says
	number         int64  // the value of a single whole number that is held in this file
	single         bool   // it is one
}

// elements is how many numbers the tensor has; −1 if no machine could hold them.
func (s stored) elements() int64 {
	n := int64(1)
	for _, d := range s.dims {
		if d < 0 || d > 0 && n > 1<<48/d {
			return -1
		}
		n *= d
	}
	return n
}

// bytes is the size of the tensor's data; −1 as elements is.
func (s stored) bytes() int64 {
	n := s.elements()
	if n < 0 {
		return -1
	}
	return (n*int64(s.kind.bits()) + 7) / 8
}

func readStored(body wire) (stored, error) {
	t := stored{length: -1}
	if err := body.blocks.spend(partCost); err != nil {
		return t, err
	}
	err := body.fields(func(x field) (err error) {
		switch {
		case x.number == 1:
			t.dims, err = x.numbers(t.dims)
		case x.number == 2 && !x.bytes:
			t.kind = ElementType(x.value)
		case x.number == 5 || x.number == 7 || x.number == 9 && x.bytes:
			err = t.readNumber(x)
		case x.number == 8 && x.bytes:
			t.name, err = x.body.text()
		case x.number == 13 && x.bytes:
			err = t.readExternal(x.body)
		}
		return err
	})
	t.single = t.single && t.elements() == 1 && (t.kind == Int32 || t.kind == Int64)
	return t, err
}

// readNumber reads a tensor's data if it could be a single whole number.
func (s *stored) readNumber(x field) error {
	switch n := x.body.end - x.body.pos; {
	case x.number != 9 && n <= 10:
		values, err := x.numbers(nil)
		if err == nil && len(values) == 1 {
			s.number, s.single = values[0], true
		}
		return err
	case x.number == 9 && (n == 4 || n == 8):
		var bits uint64
		for i := range n {
			b, err := x.body.blocks.at(x.body.pos + i)
			if err != nil {
				return err
			}
			bits |= uint64(b) << (8 * i)
		}
		s.number, s.single = int64(bits), true
		if n == 4 {
			s.number = int64(int32(bits))
		}
	}
	return nil
}

// readExternal reads one entry of where a tensor's data lies.
func (s *stored) readExternal(body wire) error {
	var key, text string
	err := body.fields(func(x field) (err error) {
		switch {
		case x.number == 1 && x.bytes:
			key, err = x.body.text()
		case x.number == 2 && x.bytes:
			text, err = x.body.text()
		}
		return err
	})
	if err != nil {
		return err
	}
	switch key {
	case "location":
		s.external = text
	case "offset":
		_, err = fmt.Sscanf(text, "%d", &s.offset)
	case "length":
		_, err = fmt.Sscanf(text, "%d", &s.length)
	}
	if err != nil {
		return fmt.Errorf("the %s of tensor %q in an external file is %q: %w", key, s.name, text, errWire)
	}
	return nil
}
