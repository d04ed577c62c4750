package chattemplate

import "unicode/utf8"

// iterator gives the next item, or false at the end.
type iterator = func() (value, bool, error)

// iterable says whether v has items.
func iterable(v value) bool {
	switch v.(type) {
	case str, markup, tuple, *list, *dict, *undefined, *intRange, *view, *group, *stream, *loop:
		return true
	}
	return false
}

// sizeOf is Python's len, or -1 for what has none.
func sizeOf(v value) int {
	switch v := v.(type) {
	case str:
		return runeCount(string(v))
	case markup:
		return runeCount(string(v))
	case *dict:
		return v.len()
	case *view:
		return v.of.len()
	case *undefined:
		return 0
	}
	if n, at := sequence(v); at != nil {
		return n
	}
	return -1
}

// iterate starts over v's items. Every item costs a step, and a level of depth
// while it is made: streams can be stacked.
func (r *render) iterate(v value) (iterator, error) {
	if err := r.readText(v); err != nil {
		return nil, err
	}
	next, err := r.source(v)
	if err != nil {
		return nil, err
	}
	return func() (value, bool, error) {
		if err := r.enter(); err != nil {
			return nil, false, err
		}
		defer r.leave()
		if err := r.step(1); err != nil {
			return nil, false, err
		}
		return next()
	}, nil
}

func (r *render) source(v value) (iterator, error) {
	switch v := v.(type) {
	case str:
		return textIterator(string(v)), nil
	case markup:
		return textIterator(string(v)), nil
	case *dict:
		return counted(v.len(), func(i int) value { return v.entries[i].key }), nil
	case *view:
		return counted(v.of.len(), v.at), nil
	case *stream:
		return v.next, nil
	case *undefined:
		return sliceIterator(nil), nil
	case *loop:
		// Whoever reads the loop's own variable moves the loop on.
		return func() (value, bool, error) {
			more, err := v.advance()
			return tuple{v.current, v}, more, err
		}, nil
	}
	if n, at := sequence(v); at != nil {
		return counted(n, at), nil
	}
	return nil, fail(typeError, "'%s' object is not iterable", typeName(v))
}

func sliceIterator(items []value) iterator {
	return counted(len(items), func(i int) value { return items[i] })
}

func counted(n int, at func(int) value) iterator {
	i := 0
	return func() (value, bool, error) {
		if i >= n {
			return nil, false, nil
		}
		i++
		return at(i - 1), true, nil
	}
}

// textIterator gives characters; those of a markup are plain text.
func textIterator(s string) iterator {
	return func() (value, bool, error) {
		if s == "" {
			return nil, false, nil
		}
		_, n := utf8.DecodeRuneInString(s)
		c := str(s[:n])
		s = s[n:]
		return c, true, nil
	}
}

// collect reads v to its end: Python's list(v).
func (r *render) collect(v value) ([]value, error) {
	next, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	items := make([]value, 0, max(0, min(sizeOf(v), 1024)))
	for {
		item, ok, err := next()
		if err != nil || !ok {
			return items, err
		}
		if err := r.alloc(valueSize); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
}
