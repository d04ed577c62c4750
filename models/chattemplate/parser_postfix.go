package chattemplate

// postfix reads .name, [key] and (args) after an operand.
func (p *parser) postfix(e expr) (expr, error) {
	for {
		var err error
		switch t := p.cur(); {
		case t.op("."):
			e, err = p.attribute(e)
		case t.op("["):
			e, err = p.item(e)
		case t.op("("):
			e, err = p.call(e)
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) attribute(of expr) (expr, error) {
	line := pos(p.take().line)
	switch t := p.take(); t.kind {
	case tokenName:
		return &attrExpr{line, of, t.text}, nil
	case tokenInteger:
		return &itemExpr{line, of, &constExpr{line, t.value}}, nil
	default:
		return nil, p.errorf(t.line, "expected name or number")
	}
}

func (p *parser) item(of expr) (expr, error) {
	line := pos(p.take().line)
	var keys []expr
	for !p.cur().op("]") {
		if len(keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		key, err := p.subscript()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	p.take()
	if len(keys) == 1 {
		return &itemExpr{line, of, keys[0]}, nil
	}
	for _, k := range keys {
		if s, ok := k.(*sliceExpr); ok {
			return nil, p.errorf(s.at(), "a slice cannot stand among several keys")
		}
	}
	return &itemExpr{line, of, &tupleExpr{line, keys}}, nil
}

// subscript reads a key or a slice.
func (p *parser) subscript() (expr, error) {
	s := &sliceExpr{pos: pos(p.cur().line)}
	var err error
	if !p.cur().op(":") {
		if s.start, err = p.expression(true); err != nil || !p.cur().op(":") {
			return s.start, err
		}
	}
	p.take()
	part := func() (expr, error) {
		if c := p.cur(); c.op(":") || c.op("]") || c.op(",") {
			return nil, nil
		}
		return p.expression(true)
	}
	if s.stop, err = part(); err != nil {
		return nil, err
	}
	if p.skipOp(":") {
		if s.step, err = part(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *parser) call(of expr) (expr, error) {
	line := pos(p.cur().line)
	args, err := p.arguments()
	return &callExpr{line, of, args}, err
}

// arguments reads (a, b, name=c, *d, **e).
func (p *parser) arguments() (callArgs, error) {
	var a callArgs
	line := p.take().line
	for first := true; !p.cur().op(")"); first = false {
		if !first {
			if err := p.expectOp(","); err != nil {
				return a, err
			}
			if p.cur().op(")") {
				break
			}
		}
		ok, err := p.argument(&a)
		if err != nil {
			return a, err
		}
		if !ok {
			return a, p.errorf(line, "invalid syntax for function call expression")
		}
	}
	return a, p.expectOp(")")
}

// argument reads one argument; ok is false where its kind may not come.
func (p *parser) argument(a *callArgs) (ok bool, err error) {
	switch t := p.cur(); {
	case t.op("*"):
		ok = a.star == nil && a.starStar == nil
		p.take()
		a.star, err = p.expression(true)
	case t.op("**"):
		ok = a.starStar == nil
		p.take()
		a.starStar, err = p.expression(true)
	case t.kind == tokenName && p.look().op("="):
		ok = a.starStar == nil
		p.take()
		p.take()
		for _, other := range a.names {
			if other == t.text {
				return false, p.errorf(t.line, "keyword argument repeated: %s", t.text)
			}
		}
		var v expr
		v, err = p.expression(true)
		a.names = append(a.names, t.text)
		a.named = append(a.named, v)
	default:
		ok = a.star == nil && a.starStar == nil && len(a.names) == 0
		var v expr
		v, err = p.expression(true)
		a.positional = append(a.positional, v)
	}
	return ok, err
}

func (p *parser) filtersAndTests(e expr) (expr, error) {
	for {
		var err error
		switch t := p.cur(); {
		case t.op("|"):
			e, err = p.filters(e, false)
		case t.name("is"):
			e, err = p.test(e)
		case t.op("("):
			e, err = p.call(e)
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// filters reads |name(args)|name…; the head of a filter block has no first bar.
func (p *parser) filters(of expr, head bool) (*filterExpr, error) {
	var f *filterExpr
	for head || p.cur().op("|") {
		if !head {
			p.take()
		}
		head = false
		t := p.cur()
		name, err := p.dottedName()
		if err != nil {
			return nil, err
		}
		f = &filterExpr{pos: pos(t.line), of: of, name: name}
		if p.cur().op("(") {
			if f.args, err = p.arguments(); err != nil {
				return nil, err
			}
		}
		f.folded = f.foldable()
		of = f
	}
	return f, nil
}

func (p *parser) dottedName() (string, error) {
	t, err := p.expectKind(tokenName)
	if err != nil {
		return "", err
	}
	name := t.text
	for p.skipOp(".") {
		if t, err = p.expectKind(tokenName); err != nil {
			return "", err
		}
		name += "." + t.text
	}
	return name, nil
}

// test reads is name, is not name, is name(args) and is name arg. Any word but
// else, or, and directly after the name is its argument.
func (p *parser) test(of expr) (expr, error) {
	line := pos(p.take().line)
	negated := p.skipName("not")
	name, err := p.dottedName()
	if err != nil {
		return nil, err
	}
	t := &testExpr{pos: line, of: of, name: name}
	switch c := p.cur(); {
	case c.op("("):
		t.args, err = p.arguments()
	case c.kind == tokenName && (c.text == "else" || c.text == "or" || c.text == "and"):
	case c.name("is"):
		return nil, p.errorf(c.line, "You cannot chain multiple tests with is")
	case c.kind == tokenName, c.kind == tokenString, c.kind == tokenInteger, c.kind == tokenFloat, c.op("["), c.op("{"):
		var arg expr
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg)
		}
		t.args.positional = []expr{arg}
	}
	if err != nil {
		return nil, err
	}
	if negated {
		return &unaryExpr{line, "not", t, false}, nil
	}
	return t, nil
}
