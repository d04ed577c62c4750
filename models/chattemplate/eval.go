package chattemplate

import (
	"time"
)

// render is one rendering. It belongs to one goroutine.
type render struct {
	meter
	data *dict
	now  time.Time
}

// scope holds the names of one block. Reading looks outwards, writing stays.
//
// Invariant: parents are never written through their children.
type scope struct {
	parent *scope
	vars   map[string]value
}

func (s *scope) inner(hidden []string) *scope {
	in := &scope{parent: s}
	for _, name := range hidden {
		in.set(name, missingName(name))
	}
	return in
}

func (s *scope) set(name string, v value) {
	if s.vars == nil {
		s.vars = make(map[string]value)
	}
	s.vars[name] = v
}

func missingName(name string) *undefined {
	return &undefined{message: quoted(name) + " is undefined", kind: undefinedError}
}

// name looks name up in the scopes, the data and the globals, in this order.
func (r *render) name(s *scope, name string) value {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v
		}
	}
	if v, ok := r.data.lookup(name); ok {
		return v
	}
	if g := globalFunction(name); g != nil {
		return g
	}
	return missingName(name)
}

// signal says how a list of statements ended.
type signal int

const (
	proceed signal = iota
	breaking
	continuing
)

// run executes statements in scope s and writes to out.
func (r *render) run(stmts []stmt, s *scope, out *builder) (signal, error) {
	if err := r.enter(); err != nil {
		return proceed, err
	}
	defer r.leave()
	for _, st := range stmts {
		sig, err := r.stmt(st, s, out)
		if err != nil {
			return proceed, at(err, st.at())
		}
		if sig != proceed {
			return sig, nil
		}
	}
	return proceed, nil
}

func (r *render) stmt(st stmt, s *scope, out *builder) (signal, error) {
	if err := r.step(1); err != nil {
		return proceed, err
	}
	switch n := st.(type) {
	case *dataStmt:
		return proceed, out.write(n.text)
	case *printStmt:
		v, err := r.eval(n.of, s)
		if err != nil {
			return proceed, err
		}
		text, err := r.text(v)
		if err != nil {
			return proceed, err
		}
		return proceed, out.write(text)
	case *ifStmt:
		v, err := r.eval(n.test, s)
		if err != nil {
			return proceed, err
		}
		if truth(v) {
			return r.run(n.body, s, out)
		}
		return r.run(n.not, s, out)
	case *forStmt:
		iter, err := r.eval(n.iter, s)
		if err != nil {
			return proceed, err
		}
		return r.forLoop(n, iter, s, 0, out)
	case *setStmt:
		v, err := r.eval(n.of, s)
		if err != nil {
			return proceed, err
		}
		return proceed, r.assign(n.target, v, s)
	case *macroStmt:
		s.set(n.macro.name, &macro{def: n.macro, scope: s, name: n.macro.name})
		return proceed, nil
	case *breakStmt:
		return breaking, nil
	case *continueStmt:
		return continuing, nil
	}
	return r.blockStmt(st, s, out)
}

// blockStmt executes the statements that give their body a scope.
func (r *render) blockStmt(st stmt, s *scope, out *builder) (signal, error) {
	switch n := st.(type) {
	case *setBlockStmt:
		return r.captured(n.body, n.filter, s, func(v value) error { return r.assign(n.target, v, s) })
	case *filterStmt:
		return r.captured(n.body, n.filter, s, func(v value) error {
			text, err := r.text(v)
			if err != nil {
				return err
			}
			return out.write(text)
		})
	case *withStmt:
		in := s.inner(n.body.hidden)
		for i, t := range n.targets {
			v, err := r.eval(n.values[i], s)
			if err != nil {
				return proceed, err
			}
			if err := r.assign(t, v, in); err != nil {
				return proceed, err
			}
		}
		return r.run(n.body.stmts, in, out)
	case *generationStmt:
		return r.run(n.body.stmts, s.inner(n.body.hidden), out)
	}
	n := st.(*callStmt)
	caller := &macro{def: n.caller, scope: s}
	v, err := r.callWith(n.call, s, caller)
	if err != nil {
		return proceed, err
	}
	text, err := r.text(v)
	if err != nil {
		return proceed, err
	}
	return proceed, out.write(text)
}

// captured runs body into a text of its own, filters it and gives it to use; a
// break or continue in it drops the text.
func (r *render) captured(body block, f *filterExpr, s *scope, use func(value) error) (signal, error) {
	out := r.meter.output()
	in := s.inner(body.hidden)
	sig, err := r.run(body.stmts, in, out)
	if err != nil || sig != proceed {
		return sig, err
	}
	var v value = str(out.String())
	if f != nil {
		// A filter block's arguments see the names of its body; a set block's too.
		if v, err = r.filterChain(f, v, in); err != nil {
			return proceed, err
		}
	}
	return proceed, use(v)
}

// assign puts v where t says.
func (r *render) assign(t target, v value, s *scope) error {
	switch {
	case t.tuple != nil:
		items, err := r.unpack(v, len(t.tuple))
		if err != nil {
			return err
		}
		for i, part := range t.tuple {
			if err := r.assign(part, items[i], s); err != nil {
				return err
			}
		}
	case t.attr != "":
		ns, ok := r.name(s, t.name).(*namespace)
		if !ok {
			return fail(runtimeError, "cannot assign attribute on non-namespace object")
		}
		return setAttr(ns, t.attr, v)
	default:
		s.set(t.name, v)
	}
	return nil
}

// unpack takes exactly n items out of v.
func (r *render) unpack(v value, n int) ([]value, error) {
	next, err := r.iterate(v)
	if err != nil {
		if _, ok := v.(*undefined); !ok && !iterable(v) {
			return nil, fail(typeError, "cannot unpack non-iterable %s object", typeName(v))
		}
		return nil, err
	}
	items := make([]value, 0, n)
	for {
		item, ok, err := next()
		switch {
		case err != nil:
			return nil, err
		case !ok && len(items) < n:
			return nil, fail(valueError, "not enough values to unpack (expected %d, got %d)", n, len(items))
		case !ok:
			return items, nil
		case len(items) == n:
			return nil, fail(valueError, "too many values to unpack (expected %d)", n)
		}
		items = append(items, item)
	}
}
