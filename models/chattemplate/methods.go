package chattemplate

import (
	"math/big"
	"slices"
	"strings"
)

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
	}
	if v, ok := objectMember(of, name); ok {
		return v, true, nil
	}
	if pythonMember(of, name) {
		return nil, false, fail(notSupported, "the member %s of a %s", quoted(name), typeName(of))
	}
	return nil, false, nil
}

func unsafeMember(of value, name string) *undefined {
	return &undefined{message: "access to attribute " + quoted(name) + " of " + quoted(typeName(of)) + " object is unsafe.", kind: securityError}
}

// pythonMember says whether Python's values of this kind have a member that
// this package does not give them.
func pythonMember(of value, name string) bool {
	names := ""
	switch of.(type) {
	case boolean, integer, *big.Int:
		names = "from_bytes to_bytes"
	case float:
		names = "fromhex hex"
	case *stream:
		names = "send throw close gi_frame gi_code gi_running gi_yieldfrom"
	case str, markup:
		names = "encode maketrans"
	case *view:
		names = "mapping"
	}
	return slices.Contains(strings.Fields(names), name)
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
	_, safe := of.(markup)
	if !safe && (name == "striptags" || name == "unescape") {
		return nil, false, nil
	}
	return positional(name, func(r *render, a arguments) (value, error) {
		s, _ := textOf(of)
		if err := r.read(len(s)); err != nil {
			return nil, err
		}
		if !safe {
			return m(r, s, a)
		}
		if name == "format" || name == "format_map" {
			return markupFormat(r, s, name, a)
		}
		a, err := r.escapedArguments(name, a)
		if err != nil {
			return nil, err
		}
		v, err := m(r, s, a)
		if err != nil || name == "unescape" || name == "striptags" {
			return v, err
		}
		return markupResult(v), nil
	}), true, nil
}

// markupFormat is format and format_map of escaped text.
func markupFormat(r *render, s, name string, a arguments) (value, error) {
	if name == "format_map" {
		bound, err := a.bind(name, 1, "mapping")
		if err != nil {
			return nil, err
		}
		return r.braces(s, nil, bound[0], true)
	}
	named := newDict(len(a.names))
	for i, n := range a.names {
		named.set(n, a.named[i])
	}
	return r.braces(s, a.positional, named, true)
}

// escapedArguments escapes what a method of escaped text joins in.
func (r *render) escapedArguments(name string, a arguments) (arguments, error) {
	at := 0
	switch name {
	case "join":
	case "replace", "ljust", "rjust", "center":
		at = 1
	default:
		return a, nil
	}
	if at >= len(a.positional) {
		return a, nil
	}
	escape := func(v value) (value, error) {
		if _, ok := v.(markup); ok {
			return v, nil
		}
		s, err := r.text(v)
		if err != nil {
			return nil, err
		}
		s, err = r.escaped(s)
		return str(s), err
	}
	a.positional = slices.Clone(a.positional)
	if name != "join" {
		v, err := escape(a.positional[at])
		a.positional[at] = v
		return a, err
	}
	items, err := r.collect(a.positional[0])
	if err != nil {
		return a, err
	}
	for i, item := range items {
		if items[i], err = escape(item); err != nil {
			return a, err
		}
	}
	a.positional[0] = &list{items}
	return a, nil
}

// markupResult gives a method's result on escaped text its type.
func markupResult(v value) value {
	switch v := v.(type) {
	case str:
		return markup(v)
	case tuple:
		for i, part := range v {
			v[i] = markupResult(part)
		}
	case *list:
		for i, part := range v.items {
			v.items[i] = markupResult(part)
		}
	}
	return v
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
		return findItem(r, of, items, name, a)
	}), true, nil
}

// findItem is index(value, start, stop) and count(value).
func findItem(r *render, of value, items []value, name string, a arguments) (value, error) {
	params := []string{"value", "start", "stop"}
	if _, isRange := of.(*intRange); isRange || name == "count" {
		params = params[:1]
	}
	bound, err := a.bind(name, 1, params...)
	if err != nil {
		return nil, err
	}
	from, to := 0, len(items)
	for i, v := range bound[1:] {
		n, err := needInt(v, int64(i)<<40)
		if err != nil {
			return nil, err
		}
		if n < 0 {
			n = max(0, n+int64(len(items)))
		}
		at := int(min(n, int64(len(items))))
		if i == 0 {
			from = at
		} else {
			to = at
		}
	}
	count := 0
	for i := from; i < to; i++ {
		same, err := r.equal(items[i], bound[0])
		if err != nil {
			return nil, err
		}
		if same && name == "index" {
			return integer(i), nil
		}
		if same {
			count++
		}
	}
	if name == "index" {
		return nil, fail(valueError, "the value is not in the %s", typeName(of))
	}
	return integer(count), nil
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
	case "fromkeys":
		do = fromKeys
	default:
		return nil, false, nil
	}
	return positional(name, do), true, nil
}
