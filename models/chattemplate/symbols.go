package chattemplate

import "slices"

// The reference decides at compile time in which scope a name lives. Looking
// names up at run time, scope by scope, gives the same answer but in one case:
// a scope whose first mention of a name is that it is always set. There the name
// is undefined until then, even for the blocks inside that run before, and even
// if the data has it. resolveScopes finds these names and hides them.

// symbols is one scope during the analysis.
//
// Invariant: a name in refs is mentioned in this scope; hidden are those of refs
// that hide what is outside.
type symbols struct {
	parent *symbols
	refs   map[string]bool
	stores map[string]bool
	hidden map[string]bool
	// unknown is the first name that the reference fails to resolve.
	unknown *error
}

func newSymbols(parent *symbols) *symbols {
	s := &symbols{parent: parent, refs: map[string]bool{}, stores: map[string]bool{}, hidden: map[string]bool{}}
	if parent != nil {
		s.unknown = parent.unknown
	}
	return s
}

func (s *symbols) known(name string) bool {
	for ; s != nil; s = s.parent {
		if s.refs[name] {
			return true
		}
	}
	return false
}

func (s *symbols) load(name string) {
	if !s.known(name) {
		s.refs[name] = true
	}
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if s.refs[name] {
		return
	}
	s.hidden[name] = !s.parent.known(name)
	s.refs[name] = true
}

// param is a name that is set before the scope's first statement.
func (s *symbols) param(name string) {
	s.refs[name], s.stores[name] = true, true
	s.hidden[name] = false
}

func (s *symbols) clone() *symbols {
	c := newSymbols(s.parent)
	for to, from := range map[*map[string]bool]map[string]bool{&c.refs: s.refs, &c.stores: s.stores, &c.hidden: s.hidden} {
		for k, v := range from {
			(*to)[k] = v
		}
	}
	return c
}

// merge takes over what the branches of an if mention. A name that only some of
// them set is not hidden.
func (s *symbols) merge(branches ...*symbols) {
	before := s.clone()
	for _, b := range branches {
		for name := range b.refs {
			s.refs[name] = true
		}
		for name, hidden := range b.hidden {
			s.hidden[name] = hidden
		}
		for name := range b.stores {
			s.stores[name] = true
		}
	}
	for _, b := range branches {
		for name := range b.stores {
			if !before.stores[name] {
				s.hidden[name] = false
			}
		}
	}
}

// resolveScopes fills in the hidden names of every block of a template.
func resolveScopes(root *block) error {
	s := newSymbols(nil)
	s.unknown = new(error)
	s.statements(root.stmts)
	root.hidden = s.names()
	s.blocks(root.stmts)
	return *s.unknown
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
		case *outputStmt:
			for _, e := range n.items {
				s.expr(e)
			}
		case *loadStmt:
			s.expr(n.of)
			for _, name := range n.targets {
				s.store(name)
			}
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
			s.mustKnow(n)
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
			s.macro(n.macro)
		case *blockStmt:
			// A block knows nothing of the scopes around it.
			apart := newSymbols(nil)
			apart.unknown = s.unknown
			apart.inner(&n.body, nil, func(*symbols) {})
		case *autoescapeStmt:
			s.inner(&n.body, nil, func(in *symbols) { in.expr(n.on) })
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

// mustKnow refuses a set block whose filters have arguments with names that
// nothing around it mentions: the reference fails to compile it.
func (s *symbols) mustKnow(n *setBlockStmt) {
	in := newSymbols(s)
	in.statements(n.body.stmts)
	walkExpr(n.filter.orNil(), func(e expr) {
		name, ok := e.(*nameExpr)
		if ok && !in.known(name.name) && *s.unknown == nil {
			*s.unknown = &SyntaxError{Line: e.at(), Message: "the name " + quoted(name.name) + " in the filters of a set block is mentioned nowhere else in its scope"}
		}
	})
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
