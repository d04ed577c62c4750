package chattemplate

// filterBatch is batch(size, fill): lists of size items, the last one filled up.
func filterBatch(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("batch", 1, "linecount", "fill_with")
	if err != nil {
		return nil, err
	}
	size, isNumber := index(bound[0])
	return lazy(func() (iterator, error) {
		next, err := r.iterate(of)
		if err != nil {
			return nil, err
		}
		var held value
		pending := false
		return func() (value, bool, error) {
			var items []value
			if pending {
				items, pending = append(items, held), false
			}
			for {
				item, ok, err := next()
				if err != nil {
					return nil, false, err
				}
				if !ok {
					if len(items) == 0 {
						return nil, false, nil
					}
					items, err = r.filledUp(items, size, isNumber, bound)
					return &list{items}, err == nil, err
				}
				if err := r.alloc(valueSize); err != nil {
					return nil, false, err
				}
				if isNumber && int64(len(items)) == size {
					// A size of 0 gives an empty list before the first item.
					held, pending = item, true
					return &list{items}, true, nil
				}
				items = append(items, item)
			}
		}, nil
	}), nil
}

// filledUp appends the filling of batch's last list.
func (r *render) filledUp(items []value, size int64, isNumber bool, bound []value) ([]value, error) {
	if _, isNone := bound[1].(none); bound[1] == nil || isNone {
		return items, nil
	}
	if !isNumber {
		return nil, fail(typeError, "'<' not supported between instances of 'int' and '%s'", typeName(bound[0]))
	}
	missing := size - int64(len(items))
	if missing <= 0 {
		return items, nil
	}
	more, err := r.repeatItems(bound[1:2], int(min(missing, 1<<31)))
	return append(items, more...), err
}

// filterSlice is slice(count, fill): count lists of as equal length as can be.
func filterSlice(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("slice", 1, "slices", "fill_with")
	if err != nil {
		return nil, err
	}
	return lazy(func() (iterator, error) {
		items, err := r.collect(of)
		if err != nil {
			return nil, err
		}
		n, ok := index(bound[0])
		if !ok {
			return nil, fail(typeError, "unsupported operand type(s) for //: 'int' and '%s'", typeName(bound[0]))
		}
		if n == 0 {
			return nil, fail(zeroDivision, "integer division or modulo by zero")
		}
		_, noFill := bound[1].(none)
		noFill = noFill || bound[1] == nil
		size, extra := int64(len(items))/n, int64(len(items))%n
		at, start := int64(0), int64(0)
		return func() (value, bool, error) {
			if at >= n {
				return nil, false, nil
			}
			end := start + size
			if at < extra {
				end++
			}
			part := append([]value(nil), items[start:end]...)
			if at >= extra && !noFill {
				part = append(part, bound[1])
			}
			at, start = at+1, end
			return &list{part}, true, r.alloc(valueSize * (len(part) + 1))
		}, nil
	}), nil
}

// filterGroupBy is groupby(attribute, default, case_sensitive): pairs of a key
// and the items that share it, in the order of the keys.
func filterGroupBy(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("groupby", 1, "attribute", "default", "case_sensitive")
	if err != nil {
		return nil, err
	}
	otherwise := bound[1]
	if _, ok := otherwise.(none); ok {
		otherwise = nil
	}
	fold := bound[2] == nil || !truth(bound[2])
	get := getter(bound[0], otherwise)
	items, err := r.collect(of)
	if err != nil {
		return nil, err
	}
	pairs := make([]keyed, len(items))
	for i, item := range items {
		key, err := get(r, item)
		if err == nil && fold {
			key, err = folded(r, key)
		}
		if err != nil {
			return nil, err
		}
		pairs[i] = keyed{key, item}
	}
	// sorted orders pairs in place, and returns their items.
	if _, err := r.sorted(pairs, false); err != nil {
		return nil, err
	}
	groups := &list{}
	for i, p := range pairs {
		if i > 0 {
			same, err := r.equal(pairs[i-1].key, p.key)
			if err != nil {
				return nil, err
			}
			if same {
				g := groups.items[len(groups.items)-1].(*group)
				g.items.items = append(g.items.items, p.item)
				continue
			}
		}
		// The key keeps the case of the group's first item.
		key, err := get(r, p.item)
		if err != nil {
			return nil, err
		}
		groups.items = append(groups.items, &group{key, &list{[]value{p.item}}})
	}
	return groups, r.alloc(entrySize * len(pairs))
}
