package chattemplate

import (
	"slices"
	"strings"
)

func filterList(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("list", 0); err != nil {
		return nil, err
	}
	items, err := r.collect(of)
	return &list{items}, err
}

// filterItems gives a mapping's pairs, lazily; an undefined one has none.
func filterItems(_ *render, of value, a arguments) (value, error) {
	if _, err := a.bind("items", 0); err != nil {
		return nil, err
	}
	return lazy(func() (iterator, error) {
		switch d := of.(type) {
		case *undefined:
			return sliceIterator(nil), nil
		case *dict:
			return counted(d.len(), (&view{d, "dict_items"}).at), nil
		}
		return nil, fail(typeError, "Can only get item pairs from a mapping.")
	}), nil
}

// lazy makes a stream that begins only when its first item is asked for.
func lazy(begin func() (iterator, error)) *stream {
	var next iterator
	done := false
	return &stream{"generator", func() (value, bool, error) {
		if done {
			return nil, false, nil
		}
		if next == nil {
			var err error
			if next, err = begin(); err != nil {
				done = true
				return nil, false, err
			}
		}
		v, ok, err := next()
		done = done || !ok
		return v, ok, err
	}}
}

// keyed is an item with what it is sorted or compared by.
type keyed struct{ key, item value }

// folded makes text small, so that order does not depend on case.
func folded(r *render, v value) (value, error) {
	s, ok := textOf(v)
	if !ok {
		return v, nil
	}
	return str(lowerText(s)), r.alloc(3 * len(s))
}

// sorted orders items by their keys; equal ones keep their order, in reverse too.
func (r *render) sorted(items []keyed, reverse bool) ([]value, error) {
	var failed error
	less := func(a, b value) bool {
		if failed != nil {
			return false
		}
		ok, err := r.order("<", a, b)
		failed = err
		return ok
	}
	slices.SortStableFunc(items, func(a, b keyed) int {
		if reverse {
			a, b = b, a
		}
		switch {
		case less(a.key, b.key):
			return -1
		case less(b.key, a.key):
			return 1
		}
		return 0
	})
	if failed != nil {
		return nil, failed
	}
	out := make([]value, len(items))
	for i, k := range items {
		out[i] = k.item
	}
	return out, r.alloc(valueSize * len(out))
}

func filterSort(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("sort", 0, "reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.collect(of)
	if err != nil {
		return nil, err
	}
	fold := bound[1] == nil || !truth(bound[1])
	// A text with commas names several keys; they are compared in turn.
	attributes := []value{bound[2]}
	if s, ok := textOf(bound[2]); ok {
		attributes = nil
		for _, part := range strings.Split(s, ",") {
			attributes = append(attributes, str(part))
		}
	}
	pairs := make([]keyed, len(items))
	for i, item := range items {
		keys := make(tuple, len(attributes))
		for j, attribute := range attributes {
			if keys[j], err = getter(attribute, nil)(r, item); err != nil {
				return nil, err
			}
			if fold {
				if keys[j], err = folded(r, keys[j]); err != nil {
					return nil, err
				}
			}
		}
		pairs[i] = keyed{keys, item}
	}
	reverse, err := needInt(bound[0], 0)
	if err != nil {
		return nil, err
	}
	sorted, err := r.sorted(pairs, reverse != 0)
	return &list{sorted}, err
}

func filterDictSort(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("dictsort", 0, "case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	by := "key"
	if bound[1] != nil {
		by, _ = textOf(bound[1])
	}
	if by != "key" && by != "value" {
		return nil, fail(filterArgument, `You can only sort by either "key" or "value"`)
	}
	d, ok := of.(*dict)
	if !ok {
		return nil, misfit(of, fail(attributeError, "'%s' object has no attribute 'items'", typeName(of)))
	}
	if err := r.alloc(entrySize * d.len()); err != nil {
		return nil, err
	}
	pairs := make([]keyed, d.len())
	for i, e := range d.entries {
		key := e.key
		if by == "value" {
			key = e.value
		}
		if bound[0] == nil || !truth(bound[0]) {
			if key, err = folded(r, key); err != nil {
				return nil, err
			}
		}
		pairs[i] = keyed{key, tuple{e.key, e.value}}
	}
	reverse, err := needInt(bound[2], 0)
	if err != nil {
		return nil, err
	}
	sorted, err := r.sorted(pairs, reverse != 0)
	return &list{sorted}, err
}

// filterUnique passes the first item of each key, lazily.
func filterUnique(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("unique", 0, "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	get := getter(bound[1], nil)
	fold := bound[0] == nil || !truth(bound[0])
	seen := make(map[string]bool)
	return r.picked(of, func(item value) (value, bool, error) {
		key, err := get(r, item)
		if err != nil {
			return nil, false, err
		}
		if fold {
			if key, err = folded(r, key); err != nil {
				return nil, false, err
			}
		}
		h, err := hashKey(key)
		if err != nil || seen[h] {
			return nil, false, err
		}
		seen[h] = true
		return item, true, r.alloc(entrySize + len(h))
	}), nil
}

// picked is a stream over of of what pick makes of each item, or leaves out.
func (r *render) picked(of value, pick func(item value) (value, bool, error)) *stream {
	return lazy(func() (iterator, error) {
		next, err := r.iterate(of)
		if err != nil {
			return nil, err
		}
		return func() (value, bool, error) {
			for {
				item, ok, err := next()
				if err != nil || !ok {
					return nil, false, err
				}
				v, keep, err := pick(item)
				if err != nil || keep {
					return v, keep, err
				}
			}
		}, nil
	})
}

// filterReverse turns text round; anything else becomes a stream from its end.
func filterReverse(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("reverse", 0); err != nil {
		return nil, err
	}
	if s, ok := textOf(of); ok {
		if err := r.alloc(5 * len(s)); err != nil {
			return nil, err
		}
		runes := []rune(s)
		slices.Reverse(runes)
		return likeText(of, string(runes)), nil
	}
	items, err := r.collect(of)
	if err != nil {
		return nil, err
	}
	slices.Reverse(items)
	if _, ok := of.(*stream); ok {
		return &list{items}, nil
	}
	return &stream{typeName(of) + "_reverseiterator", sliceIterator(items)}, nil
}
