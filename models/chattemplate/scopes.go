package chattemplate

import "slices"

// resolveScopes fills in the hidden names of every block of a template.
func resolveScopes(root *block) {
	s := newSymbols(nil)
	s.statements(root.stmts)
	root.hidden = s.names()
	s.blocks(root.stmts)
}

// names are the hidden ones, sorted so that a template is always the same.
func (s *symbols) names() []string {
	var names []string
	for name, hidden := range s.hidden {
		if hidden {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// expr notes the names that e reads.
func (s *symbols) expr(e expr) {
	walkExpr(e, func(x expr) {
		if n, ok := x.(*nameExpr); ok {
			s.load(n.name)
		}
	})
}

// target notes the names that t sets; an attribute reads its namespace.
func (s *symbols) target(t target, note func(string)) {
	if t.attr != "" {
		s.load(t.name)
		return
	}
	if t.tuple == nil {
		note(t.name)
		return
	}
	for _, part := range t.tuple {
		s.target(part, note)
	}
}

// statements notes what stmts read and set in their own scope, in the order of
// the reference: a block with a scope of its own counts by its head.
func (s *symbols) statements(stmts []stmt) {
	for _, st := range stmts {
		switch n := st.(type) {
		case *printStmt:
			s.expr(n.of)
		case *ifStmt:
			s.expr(n.test)
			yes, no := s.clone(), s.clone()
			yes.statements(n.body)
			no.statements(n.not)
			s.merge(yes, no)
		case *forStmt:
			s.expr(n.iter)
		case *setStmt:
			s.expr(n.of)
			s.target(n.target, s.store)
		case *setBlockStmt:
			s.target(n.target, s.store)
		case *filterStmt:
			s.expr(n.filter)
		case *withStmt:
			for _, v := range n.values {
				s.expr(v)
			}
		case *macroStmt:
			s.store(n.macro.name)
		case *callStmt:
			s.expr(n.call)
		}
	}
}

// blocks resolves the blocks inside stmts, whose scope is s.
func (s *symbols) blocks(stmts []stmt) {
	for _, st := range stmts {
		switch n := st.(type) {
		case *ifStmt:
			s.blocks(n.body)
			s.blocks(n.not)
		case *forStmt:
			s.loop(n)
		case *setBlockStmt:
			s.inner(&n.body, nil, func(*symbols) {})
		case *filterStmt:
			s.inner(&n.body, n.filter, func(*symbols) {})
		case *withStmt:
			s.inner(&n.body, nil, func(in *symbols) {
				for _, t := range n.targets {
					in.target(t, in.store)
				}
			})
		case *macroStmt:
			s.macro(n.macro)
		case *callStmt:
			s.macro(n.caller)
		case *generationStmt:
			s.inner(&n.body, nil, func(*symbols) {})
		}
	}
}

// inner resolves one block: head notes what comes before its statements, and
// tail is read after them.
func (s *symbols) inner(b *block, tail *filterExpr, head func(*symbols)) {
	in := newSymbols(s)
	head(in)
	in.statements(b.stmts)
	in.expr(tail.orNil())
	b.hidden = in.names()
	in.blocks(b.stmts)
}

func (s *symbols) loop(n *forStmt) {
	params := func(in *symbols) {
		in.param("loop")
		in.target(n.target, in.param)
	}
	s.inner(&n.body, nil, params)
	s.inner(&n.otherwise, nil, func(*symbols) {})
	s.inner(&n.testScope, nil, func(in *symbols) {
		in.target(n.target, in.param)
		in.expr(n.test)
	})
}

func (s *symbols) macro(m *macroDef) {
	s.inner(&m.body, nil, func(in *symbols) {
		for _, p := range m.params {
			in.param(p)
		}
		for name, used := range map[string]bool{"caller": m.usesCaller, "kwargs": m.usesKwargs, "varargs": m.usesVarargs} {
			if used {
				in.param(name)
			}
		}
		for _, d := range m.defaults {
			in.expr(d)
		}
	})
}
