package onnx

// value is a tensor's type and shape as the file declares them.
type value struct {
	kind ElementType
	dims []dim
}

// port is the value as a session would declare it.
func (v value) port(name string) Port {
	p := Port{Name: name, Type: v.kind, Tensor: v.kind != 0 && len(v.dims) <= 8}
	for _, d := range v.dims {
		p.Dims = append(p.Dims, d.size)
	}
	return p
}

// dim is a dimension: a number, or open and perhaps named.
type dim struct {
	size int64 // −1: open
	name string
}

// readValue reads a ValueInfoProto into values.
func readValue(body wire, values map[string]value) error {
	if err := body.blocks.spend(partCost); err != nil {
		return err
	}
	var name string
	var v value
	err := body.fields(func(x field) (err error) {
		switch {
		case x.number == 1 && x.bytes:
			name, err = x.body.text()
		case x.number == 2 && x.bytes:
			err = x.body.fields(func(x field) error {
				if x.number != 1 || !x.bytes {
					return nil
				}
				return x.body.fields(v.read)
			})
		}
		return err
	})
	values[name] = v
	return err
}

// read reads a field of TypeProto.Tensor.
func (v *value) read(x field) error {
	switch {
	case x.number == 1 && !x.bytes:
		v.kind = ElementType(x.value)
	case x.number == 2 && x.bytes:
		v.dims = []dim{} // a shape is there, if only that of a scalar
		return x.body.fields(func(x field) error {
			if x.number != 1 || !x.bytes {
				return nil
			}
			d := dim{size: -1}
			err := x.body.fields(func(x field) (err error) {
				switch {
				case x.number == 1 && !x.bytes:
					d.size = int64(x.value)
				case x.number == 2 && x.bytes:
					d.name, err = x.body.text()
				}
				return err
			})
			if v.dims = append(v.dims, d); err == nil && len(v.dims) > longestShape {
				err = errWire
			}
			return err
		})
	}
	return nil
}
