package chattemplate

import "strconv"

// arguments are the evaluated arguments of a call; names and named go together.
type arguments struct {
	positional []value
	names      []string
	named      []value
}

// take removes a keyword argument; nil if it was not given.
func (a *arguments) take(name string) value {
	for i, n := range a.names {
		if n == name {
			v := a.named[i]
			a.names = append(append([]string{}, a.names[:i]...), a.names[i+1:]...)
			a.named = append(append([]value{}, a.named[:i]...), a.named[i+1:]...)
			return v
		}
	}
	return nil
}

func (a arguments) unexpected(fn string) error {
	return fail(typeError, "%s() got an unexpected keyword argument '%s'", fn, a.names[0])
}

// bind gives the arguments the names of fn's parameters, of which the first
// required ones must be there. A parameter that was not given is nil.
func (a arguments) bind(fn string, required int, params ...string) ([]value, error) {
	if len(a.positional) > len(params) {
		return nil, fail(typeError, "%s() takes at most %d arguments (%d given)", fn, len(params), len(a.positional))
	}
	bound := make([]value, len(params))
	copy(bound, a.positional)
	rest := a
	for i, p := range params {
		v := rest.take(p)
		if v == nil {
			continue
		}
		if bound[i] != nil {
			return nil, fail(typeError, "%s() got multiple values for argument '%s'", fn, p)
		}
		bound[i] = v
	}
	if len(rest.names) > 0 {
		return nil, rest.unexpected(fn)
	}
	for i := range required {
		if bound[i] == nil {
			return nil, fail(typeError, "%s() missing the argument '%s'", fn, params[i])
		}
	}
	return bound, nil
}

func (r *render) evalArgs(c callArgs, s *scope) (arguments, error) {
	var a arguments
	var err error
	if a.positional, err = r.evalAll(c.positional, s); err != nil {
		return a, err
	}
	if a.named, err = r.evalAll(c.named, s); err != nil {
		return a, err
	}
	a.names = c.names
	if c.star != nil {
		v, err := r.eval(c.star, s)
		if err != nil {
			return a, err
		}
		more, err := r.collect(v)
		if err != nil {
			return a, err
		}
		a.positional = append(a.positional, more...)
	}
	if c.starStar != nil {
		err = r.evalStarStar(&a, c.starStar, s)
	}
	return a, err
}

func (r *render) evalStarStar(a *arguments, e expr, s *scope) error {
	v, err := r.eval(e, s)
	if err != nil {
		return err
	}
	d, ok := v.(*dict)
	if !ok {
		return fail(typeError, "argument after ** must be a mapping, not %s", typeName(v))
	}
	if err := r.alloc(entrySize * d.len()); err != nil {
		return err
	}
	names := append([]string{}, a.names...)
	given := make(map[string]bool, len(names))
	for _, n := range names {
		given[n] = true
	}
	for _, e := range d.entries {
		name, ok := textOf(e.key)
		if !ok {
			return fail(typeError, "keywords must be strings")
		}
		if given[name] {
			return fail(typeError, "got multiple values for keyword argument '%s'", name)
		}
		names = append(names, name)
		a.named = append(a.named, e.value)
	}
	a.names = names
	return nil
}

// callWith calls n.of; caller is the body of a call block, or nil.
func (r *render) callWith(n *callExpr, s *scope, caller *macro) (value, error) {
	of, err := r.eval(n.of, s)
	if err != nil {
		return nil, err
	}
	a, err := r.evalArgs(n.args, s)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		a.names = append(append([]string{}, a.names...), "caller")
		a.named = append(a.named, caller)
	}
	v, err := r.call(of, a)
	if err != nil {
		return nil, at(err, n.at())
	}
	return v, nil
}

func (r *render) call(of value, a arguments) (value, error) {
	switch f := of.(type) {
	case *undefined:
		return nil, f.err()
	case *function:
		return f.call(r, a)
	case *module:
		if f.call != nil {
			return f.call(r, a)
		}
	case *macro:
		return r.callMacro(f, a)
	case *loop:
		if f.recurse == nil {
			return nil, fail(typeError, "The loop must have the 'recursive' marker to be called recursively.")
		}
		bound, err := a.bind("loop", 1, "iterable")
		if err != nil {
			return nil, err
		}
		return f.recurse(bound[0])
	}
	return nil, fail(typeError, "'%s' object is not callable", typeName(of))
}

// macro is a macro together with the scope that it was defined in.
type macro struct {
	def   *macroDef
	scope *scope
	name  string // empty for the body of a call block
	// autoescape is what it was where the macro was defined.
	autoescape bool
}

// callMacro runs m's body in a scope of its own and returns what it printed.
// Missing arguments are their defaults, computed in that scope, or undefined.
func (r *render) callMacro(m *macro, a arguments) (value, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	def := m.def
	in := m.scope.inner(def.body.hidden)
	given := min(len(a.positional), len(def.params))
	values := make([]value, len(def.params))
	copy(values, a.positional)
	for i, name := range def.params {
		// Until its turn comes, a parameter is unknown to the defaults before it.
		in.set(name, missingName(name))
		if values[i] == nil {
			values[i] = a.take(name)
		}
		if values[i] != nil {
			in.set(name, values[i])
		}
	}
	if err := m.special(a, in, given); err != nil {
		return nil, err
	}
	firstDefault := len(def.params) - len(def.defaults)
	for i, name := range def.params {
		switch {
		case values[i] != nil:
		case i < firstDefault:
			in.set(name, &undefined{message: "parameter " + quoted(name) + " was not provided", kind: undefinedError})
		default:
			v, err := r.eval(def.defaults[i-firstDefault], in)
			if err != nil {
				return nil, err
			}
			in.set(name, v)
		}
	}
	out := r.meter.output()
	outside := r.autoescape
	r.autoescape = m.autoescape
	_, err := r.run(def.body.stmts, in, out)
	r.autoescape = outside
	return r.marked(out.String()), err
}

// special gives a macro the names caller, kwargs and varargs if its body uses
// them, and refuses arguments that nothing takes.
func (m *macro) special(a arguments, in *scope, given int) error {
	def := m.def
	if def.usesCaller && !contains(def.params, "caller") {
		caller := a.take("caller")
		if caller == nil {
			caller = &undefined{message: "No caller defined", kind: undefinedError}
		}
		in.set("caller", caller)
	}
	if def.usesKwargs {
		kwargs := newDict(len(a.names))
		for i, n := range a.names {
			kwargs.set(n, a.named[i])
		}
		in.set("kwargs", kwargs)
	} else if len(a.names) > 0 {
		return fail(typeError, "macro %s takes no keyword argument %s", quoted(m.name), quoted(a.names[0]))
	}
	if def.usesVarargs {
		in.set("varargs", tuple(a.positional[given:]))
	} else if len(a.positional) > len(def.params) {
		return fail(typeError, "macro %s takes not more than %d argument(s)", quoted(m.name), len(def.params))
	}
	return nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func integerText(i int64) string { return strconv.FormatInt(i, 10) }
