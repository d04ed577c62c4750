package chattemplate

import (
	"time"
)

// render is one rendering. It belongs to one goroutine.
type render struct {
	meter
	data *dict
	now  time.Time
	// root is the scope of the whole template, which blocks see.
	root   *scope
	blocks map[string]*blockStmt
	// autoescape says that what is printed is escaped, as nothing but the tag of
	// that name asks for.
	autoescape bool
}

// name looks name up in the scopes, the data and the globals, in this order.
func (r *render) name(s *scope, name string) value {
	for ; s != nil; s = s.parent {
		if v, ok := s.get(name); ok {
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
		return proceed, r.print(n.of, s, out)
	case *outputStmt:
		for _, e := range n.items {
			if err := r.print(e, s, out); err != nil {
				return proceed, err
			}
		}
		return proceed, nil
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
		s.set(n.macro.name, &macro{def: n.macro, scope: s, name: n.macro.name, autoescape: r.autoescape})
		return proceed, nil
	case *loadStmt:
		if _, err := r.eval(n.of, s); err != nil {
			return proceed, err
		}
		return proceed, fail(typeError, "no loader for this environment specified (the tag %s)", quoted(n.tag))
	case *breakStmt:
		return breaking, nil
	case *continueStmt:
		return continuing, nil
	}
	return r.blockStmt(st, s, out)
}

// print writes an expression's text.
func (r *render) print(e expr, s *scope, out *builder) error {
	v, err := r.eval(e, s)
	if err != nil {
		return err
	}
	return r.write(v, out)
}

func (r *render) write(v value, out *builder) error {
	text, err := r.text(v)
	if r.autoescape && err == nil {
		text, err = r.safeText(v)
	}
	if err != nil {
		return err
	}
	return out.write(text)
}

// marked is text that a template's own body made: safe where text is escaped.
func (r *render) marked(s string) value {
	if r.autoescape {
		return markup(s)
	}
	return str(s)
}

// blockStmt executes the statements that give their body a scope.
func (r *render) blockStmt(st stmt, s *scope, out *builder) (signal, error) {
	switch n := st.(type) {
	case *setBlockStmt:
		return r.captured(n.body, n.filter, s, func(v value) error { return r.assign(n.target, v, s) })
	case *filterStmt:
		return r.captured(n.body, n.filter, s, func(v value) error { return r.write(v, out) })
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
		v, err := r.callMacro(&macro{def: n.macro, scope: s, autoescape: r.autoescape}, arguments{})
		if err != nil {
			return proceed, err
		}
		return proceed, r.write(v, out)
	case *blockStmt:
		if n.required {
			return proceed, fail(runtimeError, "Required block %s not found", quoted(n.name))
		}
		around := r.root
		if n.scoped {
			around = s
		}
		return proceed, r.block(n, around, out)
	case *autoescapeStmt:
		in := s.inner(n.body.hidden)
		on, err := r.eval(n.on, in)
		if err != nil {
			return proceed, err
		}
		before := r.autoescape
		r.autoescape = truth(on)
		sig, err := r.run(n.body.stmts, in, out)
		r.autoescape = before
		return sig, err
	}
	n := st.(*callStmt)
	caller := &macro{def: n.caller, scope: s, autoescape: r.autoescape}
	v, err := r.callWith(n.call, s, caller)
	if err != nil {
		return proceed, err
	}
	return proceed, r.write(v, out)
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
	v := r.marked(out.String())
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
