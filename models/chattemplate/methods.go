package chattemplate

import "strings"

// method is a member function of a value that it is given first.
type method[T any] func(r *render, of T, a arguments) (value, error)

// member is what Python's getattr finds on v: methods and a few properties.
// What the sandbox hides (members that change a value, or that begin with an
// underscore) is an undefined value; what Python has and this package has not
// refuses, so that a template's "is defined" never gets a wrong answer.
func (r *render) member(of value, name string) (value, bool, error) {
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") && len(name) > 4 {
		return unsafeMember(of, name), true, nil
	}
	switch v := of.(type) {
	case str, markup:
		return textMember(of, name)
	case *list:
		return listMember(v, name)
	case tuple:
		return itemsMember(v, v, name)
	case *dict:
		return dictMember(v, name)
	case *loop:
		return v.member(name)
	case *module:
		if m, ok := v.members, v.members != nil; ok {
			found, ok := m(name)
			return found, ok, nil
		}
	case *namespace:
		if m, ok := v.attrs.lookup(name); ok {
			return m, true, nil
		}
	case *macro:
		if name == "name" && v.name != "" {
			return str(v.name), true, nil
		}
	}
	if pythonMember(of, name) {
		return nil, false, fail(notSupported, "the member %s of a %s", quoted(name), typeName(of))
	}
	return nil, false, nil
}

func unsafeMember(of value, name string) *undefined {
	return &undefined{"access to attribute " + quoted(name) + " of " + quoted(typeName(of)) + " object is unsafe.", securityError}
}

// pythonMember says whether Python's values of this kind have a member that
// this package does not give them.
func pythonMember(of value, name string) bool {
	names := ""
	switch of.(type) {
	case boolean, integer:
		names = "as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag numerator real to_bytes is_integer"
	case float:
		names = "as_integer_ratio conjugate fromhex hex imag is_integer real"
	case *intRange:
		names = "start stop step index count"
	case *view:
		names = "isdisjoint mapping"
	case *stream:
		names = "send throw close gi_frame gi_code gi_running gi_yieldfrom"
	case *macro:
		names = "name arguments catch_kwargs catch_varargs caller explicit_caller"
	case *function:
		names = "fromkeys"
	case str, markup:
		names = "encode translate maketrans striptags unescape"
	case *dict:
		names = "fromkeys"
	}
	for _, n := range strings.Fields(names) {
		if n == name {
			return true
		}
	}
	return false
}

// positional makes a method that refuses keyword arguments, as most of Python's
// built-in methods do.
func positional(name string, do func(r *render, a arguments) (value, error)) *function {
	return &function{name, func(r *render, a arguments) (value, error) {
		switch name {
		case "split", "rsplit", "splitlines", "expandtabs", "format":
		default:
			if len(a.names) > 0 {
				return nil, fail(typeError, "%s() takes no keyword arguments", name)
			}
		}
		return do(r, a)
	}}
}

func textMember(of value, name string) (value, bool, error) {
	m := textMethod(name)
	if m == nil {
		if pythonMember(of, name) {
			return nil, false, fail(notSupported, "the method %s of a str", quoted(name))
		}
		return nil, false, nil
	}
	return positional(name, func(r *render, a arguments) (value, error) {
		s, _ := textOf(of)
		if err := r.read(len(s)); err != nil {
			return nil, err
		}
		v, err := m(r, s, a)
		if _, ok := of.(markup); !ok || err != nil {
			return v, err
		}
		return markupResult(name, v)
	}), true, nil
}

// markupResult gives a method's result on escaped text its type. Methods that
// join other text in would have to escape it: they refuse.
func markupResult(name string, v value) (value, error) {
	switch name {
	case "replace", "join", "format", "format_map", "ljust", "rjust", "center", "split", "rsplit", "splitlines", "partition", "rpartition":
		return nil, fail(notSupported, "the method %s on escaped text", quoted(name))
	}
	if s, ok := v.(str); ok {
		return markup(s), nil
	}
	return v, nil
}

func listMember(l *list, name string) (value, bool, error) {
	switch name {
	case "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove":
		return unsafeMember(l, name), true, nil
	case "copy":
		return positional(name, func(r *render, a arguments) (value, error) {
			if _, err := a.bind(name, 0); err != nil {
				return nil, err
			}
			items, err := r.appended(l.items, nil)
			return &list{items}, err
		}), true, nil
	}
	return itemsMember(l, l.items, name)
}

// itemsMember are the methods that lists and tuples share.
func itemsMember(of value, items []value, name string) (value, bool, error) {
	if name != "index" && name != "count" {
		return nil, false, nil
	}
	return positional(name, func(r *render, a arguments) (value, error) {
		bound, err := a.bind(name, 1, "value")
		if err != nil {
			return nil, err
		}
		n := 0
		for i, item := range items {
			same, err := r.equal(item, bound[0])
			if err != nil {
				return nil, err
			}
			if same && name == "index" {
				return integer(i), nil
			}
			if same {
				n++
			}
		}
		if name == "index" {
			return nil, fail(valueError, "the value is not in the %s", typeName(of))
		}
		return integer(n), nil
	}), true, nil
}

func dictMember(d *dict, name string) (value, bool, error) {
	var do func(r *render, a arguments) (value, error)
	switch name {
	case "clear", "pop", "popitem", "setdefault", "update":
		return unsafeMember(d, name), true, nil
	case "get":
		do = func(r *render, a arguments) (value, error) {
			bound, err := a.bind(name, 1, "key", "default")
			if err != nil {
				return nil, err
			}
			if err := r.readText(bound[0]); err != nil {
				return nil, err
			}
			v, ok, err := d.get(bound[0])
			switch {
			case err != nil:
				return nil, err
			case ok:
				return v, nil
			case bound[1] != nil:
				return bound[1], nil
			}
			return none{}, nil
		}
	case "items", "keys", "values":
		do = func(_ *render, a arguments) (value, error) {
			_, err := a.bind(name, 0)
			return &view{d, "dict_" + name}, err
		}
	case "copy":
		do = func(r *render, a arguments) (value, error) {
			if _, err := a.bind(name, 0); err != nil {
				return nil, err
			}
			return d.clone(), r.alloc(entrySize * d.len())
		}
	default:
		if pythonMember(d, name) {
			return nil, false, fail(notSupported, "the method %s of a dict", quoted(name))
		}
		return nil, false, nil
	}
	return positional(name, do), true, nil
}
