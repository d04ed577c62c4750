package chattemplate

import (
	"slices"
	"strings"
)

// tupleRules say how a tuple without brackets is read.
type tupleRules struct {
	cond   bool // a if b else c may stand in it
	parens bool // it stands in brackets, so it may be empty
}

// tuple reads expressions with commas between them; one without a comma is
// itself.
func (p *parser) tuple(rules tupleRules) (expr, error) {
	line := pos(p.cur().line)
	var items []expr
	isTuple := false
	for {
		if len(items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		if p.tupleEnd() {
			break
		}
		item, err := p.expression(rules.cond)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if !p.cur().op(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		if len(items) > 0 {
			return items[0], nil
		}
		if !rules.parens {
			return nil, p.errorf(int(line), "Expected an expression, got %s", quoted(p.cur().String()))
		}
	}
	return &tupleExpr{line, items}, nil
}

func (p *parser) tupleEnd() bool {
	c := p.cur()
	return c.kind == tokenPrintEnd || c.kind == tokenBlockEnd || c.op(")")
}

// expression reads a whole expression, with a conditional one if cond.
func (p *parser) expression(cond bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.nesting-- }()
	if !cond {
		return p.or()
	}
	line := pos(p.cur().line)
	e, err := p.or()
	for err == nil && p.skipName("if") {
		c := &condExpr{pos: line, yes: e}
		if c.test, err = p.or(); err != nil {
			return nil, err
		}
		if p.skipName("else") {
			if c.no, err = p.expression(true); err != nil {
				return nil, err
			}
		}
		e, line = c, pos(p.cur().line)
	}
	return e, err
}

func (p *parser) or() (expr, error) { return p.words("or", p.and) }

func (p *parser) and() (expr, error) { return p.words("and", p.not) }

func (p *parser) words(word string, operand func() (expr, error)) (expr, error) {
	left, err := operand()
	for err == nil && p.cur().name(word) {
		line := pos(p.take().line)
		var right expr
		if right, err = operand(); err != nil {
			return nil, err
		}
		left = &binaryExpr{line, word, left, right, constant(left) && constant(right)}
	}
	return left, err
}

func (p *parser) not() (expr, error) {
	if !p.cur().name("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.nesting-- }()
	line := pos(p.take().line)
	of, err := p.not()
	return &unaryExpr{line, "not", of, constant(of)}, err
}

func (p *parser) compare() (expr, error) {
	first, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &compareExpr{pos: pos(p.cur().line), first: first}
	for {
		op := ""
		switch t := p.cur(); {
		case t.kind == tokenOperator && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text):
			op = p.take().text
		case t.name("in"):
			op = p.take().text
		case t.name("not") && p.look().name("in"):
			p.take()
			p.take()
			op = "not in"
		}
		if op == "" {
			break
		}
		right, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, right)
	}
	if len(c.ops) == 0 {
		return first, nil
	}
	return c, nil
}

func (p *parser) sum() (expr, error) { return p.binary(p.concat, "+", "-") }

func (p *parser) product() (expr, error) { return p.binary(p.power, "*", "/", "//", "%") }

// power binds to the left here, unlike in Python.
func (p *parser) power() (expr, error) {
	return p.binary(func() (expr, error) { return p.unary(true) }, "**")
}

func (p *parser) binary(operand func() (expr, error), ops ...string) (expr, error) {
	left, err := operand()
	for err == nil && p.cur().kind == tokenOperator && slices.Contains(ops, p.cur().text) {
		t := p.take()
		var right expr
		if right, err = operand(); err != nil {
			return nil, err
		}
		left = &binaryExpr{pos(t.line), t.text, left, right, constant(left) && constant(right)}
	}
	return left, err
}

func (p *parser) concat() (expr, error) {
	line := pos(p.cur().line)
	first, err := p.product()
	if err != nil || !p.cur().op("~") {
		return first, err
	}
	items, folded := []expr{first}, constant(first)
	for p.skipOp("~") {
		item, err := p.product()
		if err != nil {
			return nil, err
		}
		items, folded = append(items, item), folded && constant(item)
	}
	return &concatExpr{line, items, folded}, nil
}

// unary reads a sign, an operand with what follows it, and, unless a sign came
// before, its filters and tests: -x|abs is abs(-x).
func (p *parser) unary(filters bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.nesting-- }()
	var e expr
	var err error
	if t := p.cur(); t.op("-") || t.op("+") {
		p.take()
		e, err = p.unary(false)
		e = &unaryExpr{pos(t.line), t.text, e, constant(e)}
	} else {
		e, err = p.primary()
	}
	if err == nil {
		e, err = p.postfix(e)
	}
	if err == nil && filters {
		e, err = p.filtersAndTests(e)
	}
	return e, err
}

func (p *parser) primary() (expr, error) {
	t := p.cur()
	line := pos(t.line)
	switch {
	case t.kind == tokenName:
		p.take()
		switch t.text {
		case "true", "True":
			return &constExpr{line, boolean(true)}, nil
		case "false", "False":
			return &constExpr{line, boolean(false)}, nil
		case "none", "None":
			return &constExpr{line, none{}}, nil
		}
		return &nameExpr{line, t.text}, nil
	case t.kind == tokenString:
		var sb strings.Builder
		for p.cur().kind == tokenString {
			sb.WriteString(p.take().text)
		}
		return &constExpr{line, str(sb.String())}, nil
	case t.kind == tokenInteger || t.kind == tokenFloat:
		p.take()
		return &constExpr{line, t.value}, nil
	case t.op("("):
		p.take()
		e, err := p.tuple(tupleRules{cond: true, parens: true})
		if err != nil {
			return nil, err
		}
		return e, p.expectOp(")")
	case t.op("["):
		return p.list()
	case t.op("{"):
		return p.dict()
	}
	return nil, p.errorf(t.line, "unexpected %s", quoted(t.String()))
}

func (p *parser) list() (expr, error) {
	l := &listExpr{pos: pos(p.take().line)}
	for !p.cur().op("]") {
		if len(l.items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.cur().op("]") {
				break
			}
		}
		item, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item)
	}
	return l, p.expectOp("]")
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{pos: pos(p.take().line)}
	for !p.cur().op("}") {
		if len(d.keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.cur().op("}") {
				break
			}
		}
		key, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		if err := p.expectOp(":"); err != nil {
			return nil, err
		}
		v, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		d.keys = append(d.keys, key)
		d.values = append(d.values, v)
	}
	return d, p.expectOp("}")
}
