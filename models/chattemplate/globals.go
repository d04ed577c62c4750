package chattemplate

import "math"

// globalFunction returns the function of that name, nil if there is none. A
// conversation's data and a template's own names come before it.
func globalFunction(name string) *function {
	switch name {
	case "range":
		return &function{name, makeRange}
	case "dict":
		return &function{name, makeDict}
	case "namespace":
		return &function{name, makeNamespace}
	case "raise_exception":
		return &function{name, raise}
	case "strftime_now":
		return &function{name, strftimeNow}
	case "cycler":
		return &function{name, makeCycler}
	case "joiner":
		return &function{name, makeJoiner}
	case "lipsum":
		return &function{name, func(*render, arguments) (value, error) {
			return nil, fail(notSupported, "the function lipsum, which makes random text")
		}}
	}
	return nil
}

func makeRange(_ *render, a arguments) (value, error) {
	if len(a.names) > 0 {
		return nil, fail(typeError, "range() takes no keyword arguments")
	}
	if n := len(a.positional); n < 1 || n > 3 {
		return nil, fail(typeError, "range expected 1 to 3 arguments, got %d", n)
	}
	parts := [3]int64{0, 0, 1}
	for i, v := range a.positional {
		n, ok := index(v)
		if !ok {
			return nil, fail(typeError, "'%s' object cannot be interpreted as an integer", typeName(v))
		}
		// Bounds beyond these make no range that the sandbox allows.
		parts[i] = max(math.MinInt64/4, min(n, math.MaxInt64/4))
	}
	rg := &intRange{parts[0], parts[1], parts[2]}
	if len(a.positional) == 1 {
		rg.start, rg.stop = 0, parts[0]
	}
	if rg.step == 0 {
		return nil, fail(valueError, "range() arg 3 must not be zero")
	}
	if n := rg.len(); n > maxRange {
		return nil, fail(overflowError, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
	}
	return rg, nil
}

// makeDict is dict(mapping or pairs, key=value, …).
func makeDict(r *render, a arguments) (value, error) {
	if len(a.positional) > 1 {
		return nil, fail(typeError, "dict expected at most 1 argument, got %d", len(a.positional))
	}
	d := newDict(len(a.names))
	if len(a.positional) == 1 {
		if err := r.fill(d, a.positional[0]); err != nil {
			return nil, err
		}
	}
	for i, n := range a.names {
		d.set(n, a.named[i])
	}
	return d, r.alloc(entrySize * d.len())
}

// fromKeys is dict.fromkeys(keys, value).
func fromKeys(r *render, a arguments) (value, error) {
	bound, err := a.bind("fromkeys", 1, "iterable", "value")
	if err != nil {
		return nil, err
	}
	v := bound[1]
	if v == nil {
		v = none{}
	}
	keys, err := r.collect(bound[0])
	if err != nil {
		return nil, err
	}
	d := newDict(len(keys))
	for _, k := range keys {
		if err := d.put(k, v); err != nil {
			return nil, err
		}
	}
	return d, r.alloc(entrySize * d.len())
}

// fill puts the entries of a dict, or pairs, into d.
func (r *render) fill(d *dict, from value) error {
	if other, ok := from.(*dict); ok {
		for _, e := range other.entries {
			if err := d.put(e.key, e.value); err != nil {
				return err
			}
		}
		return r.step(other.len())
	}
	if u, ok := from.(*undefined); ok {
		return u.err() // it is asked for its keys
	}
	next, err := r.iterate(from)
	if err != nil {
		return err
	}
	for {
		pair, ok, err := next()
		if err != nil || !ok {
			return err
		}
		kv, err := r.unpack(pair, 2)
		if err != nil {
			return err
		}
		if err := r.alloc(entrySize); err != nil {
			return err
		}
		if err := r.readText(kv[0]); err != nil {
			return err
		}
		if err := d.put(kv[0], kv[1]); err != nil {
			return err
		}
	}
}

func makeNamespace(r *render, a arguments) (value, error) {
	v, err := makeDict(r, a)
	if err != nil {
		return nil, err
	}
	d := v.(*dict)
	for _, e := range d.entries {
		if name, ok := textOf(e.key); ok && hiddenName(name) {
			return nil, hiddenAttr(name)
		}
	}
	return &namespace{d}, nil
}

// setAttr assigns ns.name; names with an underscore in front are refused, as in
// transformers.
func setAttr(ns *namespace, name string, v value) error {
	if hiddenName(name) {
		return hiddenAttr(name)
	}
	ns.attrs.set(name, v)
	return nil
}

func hiddenAttr(name string) error {
	return fail(securityError, "Chat templates cannot store underscore-prefixed attributes on a namespace, but got %s. Please rename the attribute.", quoted(name))
}

func hiddenName(name string) bool { return name != "" && name[0] == '_' }

func raise(r *render, a arguments) (value, error) {
	bound, err := a.bind("raise_exception", 1, "message")
	if err != nil {
		return nil, err
	}
	text, err := r.text(bound[0])
	if err != nil {
		return nil, err
	}
	return nil, &RaisedError{Message: text}
}

func strftimeNow(r *render, a arguments) (value, error) {
	bound, err := a.bind("strftime_now", 1, "format")
	if err != nil {
		return nil, err
	}
	format, ok := textOf(bound[0])
	if !ok {
		return nil, fail(typeError, "strftime() argument 1 must be str, not %s", typeName(bound[0]))
	}
	if err := r.alloc(16 * len(format)); err != nil {
		return nil, err
	}
	text, err := strftime(r.now, format)
	return str(text), err
}

// makeCycler returns an object whose next() goes round its items.
func makeCycler(_ *render, a arguments) (value, error) {
	if len(a.names) > 0 {
		return nil, a.unexpected("cycler")
	}
	if len(a.positional) == 0 {
		return nil, fail(runtimeError, "at least one item has to be provided")
	}
	items, at := a.positional, 0
	method := func(name string, do func() value) *function {
		return &function{name, func(_ *render, a arguments) (value, error) {
			_, err := a.bind(name, 0)
			return do(), err
		}}
	}
	return &module{kind: "Cycler", members: func(name string) (value, bool) {
		switch name {
		case "current":
			return items[at], true
		case "next":
			return method(name, func() value {
				v := items[at]
				at = (at + 1) % len(items)
				return v
			}), true
		case "reset":
			return method(name, func() value {
				at = 0
				return none{}
			}), true
		}
		return nil, false
	}}, nil
}

// makeJoiner returns a function that is empty at its first call and then sep.
func makeJoiner(_ *render, a arguments) (value, error) {
	bound, err := a.bind("joiner", 0, "sep")
	if err != nil {
		return nil, err
	}
	sep, used := bound[0], false
	if sep == nil {
		sep = str(", ")
	}
	return &module{kind: "Joiner", call: func(_ *render, a arguments) (value, error) {
		if _, err := a.bind("joiner", 0); err != nil {
			return nil, err
		}
		if !used {
			used = true
			return str(""), nil
		}
		return sep, nil
	}}, nil
}
