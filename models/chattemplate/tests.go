package chattemplate

// knownTest says whether a template may ask is name.
func knownTest(name string) bool {
	switch name {
	case "boolean", "callable", "defined", "undefined", "divisibleby", "eq", "equalto", "==", "ne", "!=",
		"gt", "greaterthan", ">", "ge", ">=", "lt", "lessthan", "<", "le", "<=", "escaped", "even", "odd",
		"false", "true", "filter", "test", "float", "integer", "number", "in", "iterable", "sequence",
		"mapping", "none", "sameas", "string", "lower", "upper":
		return true
	}
	return false
}

func unknownTest(name string) string { return "No test named " + quoted(name) }

// test is of is name(args).
func (r *render) test(name string, of value, a arguments) (bool, error) {
	op := ""
	switch name {
	case "eq", "equalto", "==":
		op = "=="
	case "ne", "!=":
		op = "!="
	case "gt", "greaterthan", ">":
		op = ">"
	case "ge", ">=":
		op = ">="
	case "lt", "lessthan", "<":
		op = "<"
	case "le", "<=":
		op = "<="
	case "in":
		op = "in"
	case "sameas", "divisibleby":
	default:
		if !knownTest(name) {
			return false, fail(runtimeError, "%s", unknownTest(name))
		}
		if _, err := a.bind(name, 0); err != nil {
			return false, err
		}
		return r.plainTest(name, of)
	}
	bound, err := a.bind(name, 1, "other")
	if err != nil {
		return false, err
	}
	switch name {
	case "sameas":
		return sameAs(of, bound[0])
	case "divisibleby":
		rest, err := r.binary("%", of, bound[0])
		return err == nil && !truth(rest), err
	}
	return r.compare(op, of, bound[0])
}

// sameAs is Python's is, where its answer does not depend on how small values
// are kept.
func sameAs(left, right value) (bool, error) {
	switch left.(type) {
	case none, boolean, *list, *dict, *namespace, *macro, *loop:
		return identical(left, right), nil
	}
	if typeName(left) != typeName(right) {
		return false, nil
	}
	return false, fail(notSupported, "the test sameas for a %s", typeName(left))
}

// plainTest are the tests without arguments.
func (r *render) plainTest(name string, of value) (bool, error) {
	switch name {
	case "defined", "undefined":
		_, ok := of.(*undefined)
		return ok == (name == "undefined"), nil
	case "even", "odd":
		rest, err := r.binary("%", of, integer(2))
		if err != nil {
			return false, err
		}
		want := integer(0)
		if name == "odd" {
			want = 1
		}
		return r.equal(rest, want)
	case "lower", "upper":
		text, err := r.text(of)
		if err != nil {
			return false, err
		}
		return caseTest(text, name == "upper"), r.read(len(text))
	case "filter", "test":
		text, ok := textOf(of)
		if !ok {
			_, err := hashKey(of) // the reference looks it up in a dict
			return false, err
		}
		if name == "filter" {
			return filterFunc(text) != nil || text == "random", nil
		}
		return knownTest(text), nil
	}
	return typeTest(name, of), nil
}

// typeTest are the tests for what kind of value of is.
func typeTest(name string, of value) bool {
	switch name {
	case "none":
		_, ok := of.(none)
		return ok
	case "boolean":
		_, ok := of.(boolean)
		return ok
	case "true", "false":
		b, ok := of.(boolean)
		return ok && bool(b) == (name == "true")
	case "integer":
		_, isBool := of.(boolean)
		return !isBool && typeName(of) == "int"
	case "float":
		_, ok := of.(float)
		return ok
	case "number":
		return isNumber(of)
	case "string":
		_, ok := textOf(of)
		return ok
	case "escaped":
		_, ok := of.(markup)
		return ok
	case "mapping":
		_, ok := of.(*dict)
		return ok
	case "iterable":
		return iterable(of)
	case "sequence":
		// Anything with a length and item access, dicts and undefined included.
		switch of.(type) {
		case *view, *stream, *loop:
			return false
		}
		return iterable(of)
	}
	return callable(of) // "callable"
}
