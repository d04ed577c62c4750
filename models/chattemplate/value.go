package chattemplate

import "math/big"

// value is what an expression can be: none, boolean, integer, *big.Int,
// float, str, markup, *list, tuple, *dict, *undefined, *namespace, *intRange,
// *view, *group, *stream, *loop, *macro,
// *function, *module.
//
// Invariants: values that a template has seen never change, but for the
// attributes of a *namespace and the position of a *stream; a *big.Int is never
// in the range of integer.
type value interface{}

type (
	none    struct{}
	boolean bool
	integer int64
	float   float64
	str     string
	// markup is text marked as safe HTML by the filters e and safe. Text joined
	// to it by + is escaped, as in the reference, where this surprises people.
	markup string
	tuple  []value
)

type list struct{ items []value }

// undefined is a value that is not there. It prints as nothing, is false and
// empty, equals every other undefined, and refuses everything else with its
// message.
type undefined struct {
	// message is empty for a missing name or member, whose message is seldom
	// asked for and made of the others.
	message string
	// kind is undefinedError, or securityError for what the sandbox hides.
	kind string
	// owner is what lacks the key; nil if key is a name.
	owner, key value
}

func (u *undefined) err() error { return fail(u.kind, "%s", u.text()) }

func (u *undefined) text() string {
	if u.message != "" {
		return u.message
	}
	name, isText := textOf(u.key)
	if u.owner == nil {
		return quoted(name) + " is undefined"
	}
	owner := typeName(u.owner) + " object"
	if _, ok := u.owner.(none); ok {
		owner = "None"
	}
	if isText {
		return quoted(owner) + " has no attribute " + quoted(name)
	}
	shown := typeName(u.key)
	if n, ok := small(u.key); ok {
		shown = integerText(n)
	}
	return owner + " has no element " + shown
}

// namespace is the one thing that a template can change.
type namespace struct{ attrs *dict }

// intRange is range(start, stop, step): half-open, start included.
type intRange struct{ start, stop, step int64 }

func (r *intRange) len() int {
	switch {
	case r.step > 0 && r.start < r.stop:
		return int((r.stop-r.start-1)/r.step) + 1
	case r.step < 0 && r.start > r.stop:
		return int((r.start-r.stop-1)/-r.step) + 1
	}
	return 0
}

func (r *intRange) at(i int) value { return integer(r.start + int64(i)*r.step) }

// view is what keys(), values() and items() of a dict return.
type view struct {
	of   *dict
	kind string // dict_keys, dict_values or dict_items
}

func (v *view) at(i int) value {
	e := v.of.entries[i]
	switch v.kind {
	case "dict_keys":
		return e.key
	case "dict_values":
		return e.value
	}
	return tuple{e.key, e.value}
}

// stream gives its items once, lazily, like a generator.
type stream struct {
	kind string // the reference's type name
	next func() (value, bool, error)
}

// function is something callable that a template cannot define.
type function struct {
	name string
	call func(r *render, a arguments) (value, error)
}

// module is a callable with members: loop helpers such as cycler.
type module struct {
	kind    string
	call    func(r *render, a arguments) (value, error)
	members func(name string) (value, bool)
}

// typeName is the reference's name of v's type, for messages and for the text
// of values that cannot be printed.
func typeName(v value) string {
	switch v := v.(type) {
	case none:
		return "NoneType"
	case boolean:
		return "bool"
	case integer, *big.Int:
		return "int"
	case float:
		return "float"
	case str:
		return "str"
	case markup:
		return "Markup"
	case tuple:
		return "tuple"
	case *list:
		return "list"
	case *dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *intRange:
		return "range"
	case *view:
		return v.kind
	case *group:
		return "_GroupTuple"
	case *stream:
		return v.kind
	case *loop:
		return "LoopContext"
	case *macro:
		return "Macro"
	case *module:
		return v.kind
	}
	return "builtin_function_or_method"
}

// truth is Python's bool().
func truth(v value) bool {
	switch v := v.(type) {
	case none, *undefined:
		return false
	case boolean:
		return bool(v)
	case integer:
		return v != 0
	case float:
		return v != 0
	case str:
		return v != ""
	case markup:
		return v != ""
	case tuple:
		return len(v) > 0
	case *list:
		return len(v.items) > 0
	case *dict:
		return v.len() > 0
	case *intRange:
		return v.len() > 0
	case *view:
		return v.of.len() > 0
	}
	// *big.Int is never 0; everything else is an object, which is true. A loop
	// has a length, but never of 0 where its body can see it.
	return true
}

// textOf returns the characters of a str or markup.
func textOf(v value) (string, bool) {
	switch v := v.(type) {
	case str:
		return string(v), true
	case markup:
		return string(v), true
	}
	return "", false
}

// callable says whether v can be called.
func callable(v value) bool {
	switch v := v.(type) {
	case *function, *macro, *loop, *undefined:
		return true
	case *module:
		return v.call != nil
	}
	return false
}
