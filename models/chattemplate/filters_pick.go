package chattemplate

func filterDefault(_ *render, of value, a arguments) (value, error) {
	bound, err := a.bind("default", 0, "default_value", "boolean")
	if err != nil {
		return nil, err
	}
	_, missing := of.(*undefined)
	if !missing && (bound[1] == nil || !truth(bound[1]) || truth(of)) {
		return of, nil
	}
	if bound[0] == nil {
		return str(""), nil
	}
	return bound[0], nil
}

func filterFirst(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("first", 0); err != nil {
		return nil, err
	}
	next, err := r.iterate(of)
	if err != nil {
		return nil, err
	}
	v, ok, err := next()
	if err == nil && !ok {
		return &undefined{message: "No first item, sequence was empty.", kind: undefinedError}, nil
	}
	return v, err
}

func filterLast(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("last", 0); err != nil {
		return nil, err
	}
	if s, ok := of.(*stream); ok {
		return nil, fail(typeError, "'%s' object is not reversible", s.kind)
	}
	items, err := r.collect(of)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return &undefined{message: "No last item, sequence was empty.", kind: undefinedError}, nil
	}
	return items[len(items)-1], nil
}

// extreme makes the filter min or max; the first of equal items wins.
func extreme(op string) filterCall {
	return func(r *render, of value, a arguments) (value, error) {
		bound, err := a.bind("min/max", 0, "case_sensitive", "attribute")
		if err != nil {
			return nil, err
		}
		items, err := r.collect(of)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return &undefined{message: "No aggregated item, sequence was empty.", kind: undefinedError}, nil
		}
		get := getter(bound[1], nil)
		var best keyed
		for i, item := range items {
			key, err := get(r, item)
			if err != nil {
				return nil, err
			}
			if bound[0] == nil || !truth(bound[0]) {
				if key, err = folded(r, key); err != nil {
					return nil, err
				}
			}
			better := i == 0
			if !better {
				if better, err = r.order(op, key, best.key); err != nil {
					return nil, err
				}
			}
			if better {
				best = keyed{key, item}
			}
		}
		return best.item, nil
	}
}

// filterAttr is attr(name): a member, never an item.
func filterAttr(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("attr", 1, "name")
	if err != nil {
		return nil, err
	}
	if u, ok := of.(*undefined); ok {
		return nil, u.err()
	}
	name, err := r.text(bound[0])
	if err != nil {
		return nil, err
	}
	v, ok, err := r.member(of, name)
	if err != nil || ok {
		return v, err
	}
	return missingMember(of, str(name)), nil
}

// filterMap is map(filter, arguments…) or map(attribute=path, default=value).
func filterMap(r *render, of value, a arguments) (value, error) {
	return lazy(func() (iterator, error) {
		if !truth(of) {
			return sliceIterator(nil), nil
		}
		pick, err := r.mapper(a)
		if err != nil {
			return nil, err
		}
		return r.picked(of, func(item value) (value, bool, error) {
			v, err := pick(item)
			return v, err == nil, err
		}).next, nil
	}), nil
}

func (r *render) mapper(a arguments) (func(value) (value, error), error) {
	if len(a.positional) == 0 {
		attribute := a.take("attribute")
		if attribute == nil {
			return nil, fail(filterArgument, "map requires a filter argument")
		}
		otherwise := a.take("default")
		if _, ok := otherwise.(none); ok {
			otherwise = nil
		}
		if len(a.names) > 0 {
			return nil, fail(filterArgument, "Unexpected keyword argument %s", quoted(a.names[0]))
		}
		get := getter(attribute, otherwise)
		return func(item value) (value, error) { return get(r, item) }, nil
	}
	name, ok := textOf(a.positional[0])
	if !ok {
		return nil, fail(typeError, "map needs the name of a filter, got a %s", typeName(a.positional[0]))
	}
	rest := a
	rest.positional = a.positional[1:]
	return func(item value) (value, error) { return r.filter(name, item, rest) }, nil
}

// choose makes select, reject, selectattr and rejectattr: they pass the items
// for which a test, or without one the truth, of the item or of one of its
// attributes is want.
func choose(filter string, want, byAttribute bool) filterCall {
	return func(r *render, of value, a arguments) (value, error) {
		return lazy(func() (iterator, error) {
			if !truth(of) {
				return sliceIterator(nil), nil
			}
			get := getter(nil, nil)
			if byAttribute {
				if len(a.positional) == 0 {
					return nil, fail(filterArgument, "Missing parameter for attribute name")
				}
				get = getter(a.positional[0], nil)
				a.positional = a.positional[1:]
			}
			test, err := r.chooser(filter, a)
			if err != nil {
				return nil, err
			}
			return r.picked(of, func(item value) (value, bool, error) {
				v, err := get(r, item)
				if err != nil {
					return nil, false, err
				}
				ok, err := test(v)
				return item, err == nil && ok == want, err
			}).next, nil
		}), nil
	}
}

func (r *render) chooser(filter string, a arguments) (func(value) (bool, error), error) {
	if len(a.positional) == 0 {
		if len(a.names) > 0 {
			return nil, a.unexpected(filter)
		}
		return func(v value) (bool, error) { return truth(v), nil }, nil
	}
	name, ok := textOf(a.positional[0])
	if !ok {
		return nil, fail(runtimeError, "%s needs the name of a test, got a %s", filter, typeName(a.positional[0]))
	}
	rest := a
	rest.positional = a.positional[1:]
	return func(v value) (bool, error) { return r.test(name, v, rest) }, nil
}
