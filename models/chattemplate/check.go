package chattemplate

import "slices"

// checker refuses, before there is any data, the filters, tests and functions
// that do not exist.
//
// The reference lets a branch name what does not exist and fails only where it
// is reached, so that a template can suit several engines:
//
//	{% if from_json is defined %}{{ x | from_json }}{% endif %}
//
// Filters and tests are therefore guarded inside an if, its condition included,
// and inside a conditional expression, but not in a loop or macro in there. Calls
// of unknown functions, which the reference never refuses in advance, are
// guarded by anything around them that need not run: a branch, a loop, a macro,
// the right side of and and or.
type checker struct {
	bound map[string]bool
}

type guard struct{ names, calls bool }

// inner is the guard of a body that always runs.
func (g guard) inner() guard { return guard{calls: g.calls} }

// later is the guard of a body that need not run.
func later() guard { return guard{calls: true} }

// conditional is the guard of a branch.
func conditional() guard { return guard{names: true, calls: true} }

func checkNames(stmts []stmt) error {
	c := &checker{bound: map[string]bool{"caller": true, "varargs": true, "kwargs": true, "loop": true}}
	// Data has no functions in it, so a called name must be a global or be set by
	// the template, unless the template itself asks whether it is there.
	walkStmts(stmts, func(e expr) {
		t, ok := e.(*testExpr)
		if !ok || !slices.Contains([]string{"defined", "undefined", "callable"}, t.name) {
			return
		}
		if name, ok := t.of.(*nameExpr); ok {
			c.bound[name.name] = true
		}
	}, func(name string, _ int) { c.bound[name] = true })
	return c.stmts(stmts, guard{})
}

func (c *checker) stmts(stmts []stmt, g guard) error {
	for _, st := range stmts {
		if err := c.stmt(st, g); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) stmt(st stmt, g guard) error {
	switch n := st.(type) {
	case *printStmt:
		return c.expr(n.of, g)
	case *ifStmt:
		return first(c.expr(n.test, conditional()), c.stmts(n.body, conditional()), c.stmts(n.not, conditional()))
	case *forStmt:
		return first(c.expr(n.iter, g), c.expr(n.test, later()), c.stmts(n.body.stmts, later()), c.stmts(n.otherwise.stmts, later()))
	case *setStmt:
		return c.expr(n.of, g)
	case *setBlockStmt:
		return first(c.expr(n.filter.orNil(), g.inner()), c.stmts(n.body.stmts, g.inner()))
	case *filterStmt:
		return first(c.expr(n.filter, g.inner()), c.stmts(n.body.stmts, g.inner()))
	case *withStmt:
		for _, v := range n.values {
			if err := c.expr(v, g); err != nil {
				return err
			}
		}
		return c.stmts(n.body.stmts, g.inner())
	case *macroStmt:
		return c.macro(n.macro, later())
	case *callStmt:
		return first(c.expr(n.call, g), c.macro(n.caller, later()))
	case *generationStmt:
		return c.macro(n.macro, g.inner())
	case *blockStmt:
		return c.stmts(n.body.stmts, g.inner())
	case *autoescapeStmt:
		return first(c.expr(n.on, g), c.stmts(n.body.stmts, g.inner()))
	case *outputStmt:
		for _, e := range n.items {
			if err := c.expr(e, g); err != nil {
				return err
			}
		}
	case *loadStmt:
		return c.expr(n.of, g)
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) macro(m *macroDef, g guard) error {
	for _, d := range m.defaults {
		if err := c.expr(d, g); err != nil {
			return err
		}
	}
	return c.stmts(m.body.stmts, g)
}

func (c *checker) expr(e expr, g guard) error {
	if e == nil {
		return nil
	}
	if _, ok := e.(*condExpr); ok {
		g = conditional()
	}
	if b, ok := e.(*binaryExpr); ok && (b.op == "and" || b.op == "or") {
		return first(c.expr(b.left, g), c.expr(b.right, guard{names: g.names, calls: true}))
	}
	if n, ok := e.(*compareExpr); ok && len(n.rest) > 1 {
		// A chain of comparisons ends at the first that is false.
		if err := first(c.expr(n.first, g), c.expr(n.rest[0], g)); err != nil {
			return err
		}
		for _, later := range n.rest[1:] {
			if err := c.expr(later, guard{names: g.names, calls: true}); err != nil {
				return err
			}
		}
		return nil
	}
	if message := c.unknown(e, g); message != "" {
		return &SyntaxError{Line: e.at(), Message: message}
	}
	var err error
	parts(e, func(x expr) {
		if err == nil {
			err = c.expr(x, g)
		}
	})
	return err
}

// unknown says what e names that does not exist.
func (c *checker) unknown(e expr, g guard) string {
	switch n := e.(type) {
	case *testExpr:
		if !g.names && !knownTest(n.name) {
			return unknownTest(n.name)
		}
	case *callExpr:
		name, ok := n.of.(*nameExpr)
		if ok && !g.calls && !c.bound[name.name] && globalFunction(name.name) == nil {
			return "No function named " + quoted(name.name)
		}
	case *filterExpr:
		if !g.names && filterFunc(n.name) == nil {
			return unknownFilter(n.name)
		}
	}
	return ""
}
