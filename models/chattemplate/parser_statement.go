package chattemplate

import "slices"

func (p *parser) forLoop(line pos) (stmt, error) {
	s := &forStmt{pos: line}
	var err error
	if s.target, err = p.target(targetRules{}); err != nil {
		return nil, err
	}
	if !p.skipName("in") {
		return nil, p.expected("in")
	}
	if s.iter, err = p.tuple(tupleRules{}); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if s.test, err = p.expression(true); err != nil {
			return nil, err
		}
	}
	s.recursive = p.skipName("recursive")
	p.loops++
	p.outer++
	stmts, end, err := p.body("endfor", "else")
	p.loops--
	p.outer--
	if err != nil {
		return nil, err
	}
	s.body.stmts = stmts
	if end == "else" {
		if s.otherwise.stmts, err = p.scoped("endfor"); err != nil {
			return nil, err
		}
	}
	walkStmt(s, func(expr) {}, func(name string, at int) {
		if name == "loop" && err == nil {
			err = p.errorf(at, "Can't assign to special loop variable in for-loop target")
		}
	})
	return s, err
}

func (p *parser) ifElse(line pos) (stmt, error) {
	test, err := p.tuple(tupleRules{})
	if err != nil {
		return nil, err
	}
	s := &ifStmt{pos: line, test: test}
	body, end, err := p.body("elif", "else", "endif")
	if err != nil {
		return nil, err
	}
	s.body = body
	switch end {
	case "elif":
		// A chain of elif is nested, and counts as nested.
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer func() { p.nesting-- }()
		next, err := p.ifElse(pos(p.cur().line))
		if err != nil {
			return nil, err
		}
		s.not = []stmt{next}
	case "else":
		if s.not, _, err = p.body("endif"); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *parser) set(line pos) (stmt, error) {
	t, err := p.target(targetRules{attrs: true})
	if err != nil {
		return nil, err
	}
	if p.skipOp("=") {
		of, err := p.tuple(tupleRules{cond: true})
		return &setStmt{pos: line, target: t, of: of}, err
	}
	s := &setBlockStmt{pos: line, target: t}
	if p.cur().op("|") {
		if s.filter, err = p.filters(nil, false); err != nil {
			return nil, err
		}
	}
	s.body.stmts, err = p.scoped("endset")
	return s, err
}

func (p *parser) with(line pos) (stmt, error) {
	s := &withStmt{pos: line}
	for p.cur().kind != tokenBlockEnd && !p.cur().op(":") {
		if len(s.targets) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		t, err := p.target(targetRules{})
		if err != nil {
			return nil, err
		}
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		v, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		s.targets = append(s.targets, t)
		s.values = append(s.values, v)
	}
	var err error
	s.body.stmts, err = p.scoped("endwith")
	return s, err
}

func (p *parser) macro(line pos) (stmt, error) {
	name, err := p.targetName()
	if err != nil {
		return nil, err
	}
	m := &macroDef{name: name}
	if err := p.signature(m); err != nil {
		return nil, err
	}
	if m.body.stmts, err = p.outside("endmacro"); err != nil {
		return nil, err
	}
	m.findSpecial()
	required := m.params[:len(m.params)-len(m.defaults)]
	if m.usesCaller && slices.Contains(required, "caller") {
		return nil, p.errorf(int(line), "the special argument caller of a macro must be omitted or be given a default")
	}
	return &macroStmt{pos: line, macro: m}, nil
}

// signature reads (a, b=1).
func (p *parser) signature(m *macroDef) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for !p.cur().op(")") {
		if len(m.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return err
			}
		}
		line := p.cur().line
		name, err := p.targetName()
		if err != nil {
			return err
		}
		for _, other := range m.params {
			if other == name {
				return p.errorf(line, "duplicate argument %s in macro definition", quoted(name))
			}
		}
		m.params = append(m.params, name)
		if p.skipOp("=") {
			v, err := p.expression(true)
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, v)
		} else if len(m.defaults) > 0 {
			return p.errorf(line, "non-default argument follows default argument")
		}
	}
	return p.expectOp(")")
}

// findSpecial looks for the names that make a macro accept more than its
// parameters.
func (m *macroDef) findSpecial() {
	walkStmts(m.body.stmts, func(e expr) {
		if n, ok := e.(*nameExpr); ok {
			switch n.name {
			case "caller":
				m.usesCaller = true
			case "kwargs":
				m.usesKwargs = !slices.Contains(m.params, "kwargs")
			case "varargs":
				m.usesVarargs = !slices.Contains(m.params, "varargs")
			}
		}
	}, func(string, int) {})
}

func (p *parser) callBlock(line pos) (stmt, error) {
	m := &macroDef{name: "caller"}
	if p.cur().op("(") {
		if err := p.signature(m); err != nil {
			return nil, err
		}
	}
	of, err := p.expression(true)
	if err != nil {
		return nil, err
	}
	call, ok := of.(*callExpr)
	if !ok {
		return nil, p.errorf(int(line), "expected call")
	}
	if m.body.stmts, err = p.outside("endcall"); err != nil {
		return nil, err
	}
	m.findSpecial()
	return &callStmt{pos: line, call: call, caller: m}, nil
}

func (p *parser) filterBlock(line pos) (stmt, error) {
	f, err := p.filters(nil, true)
	if err != nil {
		return nil, err
	}
	s := &filterStmt{pos: line, filter: f}
	s.body.stmts, err = p.scoped("endfilter")
	return s, err
}

// targetRules say where a target stands.
type targetRules struct {
	attrs  bool // in a set statement: it may name attributes of a namespace
	parens bool // in brackets: it may be empty
}

// target reads what is assigned to.
func (p *parser) target(rules targetRules) (target, error) {
	items := []target{}
	isTuple := rules.parens
	for !p.targetEnd() {
		t, err := p.oneTarget(rules)
		if err != nil {
			return target{}, err
		}
		items = append(items, t)
		if !p.skipOp(",") {
			isTuple = isTuple && len(items) > 1
			break
		}
		isTuple = true
	}
	if !isTuple && len(items) == 0 {
		return target{}, p.errorf(p.cur().line, "expected a name to assign to")
	}
	if !isTuple {
		return items[0], nil
	}
	return target{tuple: items}, nil
}

func (p *parser) targetEnd() bool {
	c := p.cur()
	return c.kind == tokenBlockEnd || c.op(")")
}

func (p *parser) oneTarget(rules targetRules) (target, error) {
	if p.cur().op("(") {
		if err := p.enter(); err != nil {
			return target{}, err
		}
		defer func() { p.nesting-- }()
		p.take()
		t, err := p.target(targetRules{parens: true})
		if err != nil {
			return target{}, err
		}
		return t, p.expectOp(")")
	}
	if rules.attrs && p.cur().kind == tokenName && p.look().op(".") {
		name := p.take().text
		p.take()
		attr, err := p.expectKind(tokenName)
		return target{name: name, attr: attr.text}, err
	}
	name, err := p.targetName()
	return target{name: name}, err
}

func (p *parser) targetName() (string, error) {
	t, err := p.expectKind(tokenName)
	if err != nil {
		return "", err
	}
	switch t.text {
	case "true", "false", "none", "True", "False", "None":
		return "", p.errorf(t.line, "can't assign to %s", quoted(t.text))
	}
	return t.text, nil
}
