package chattemplate

import (
	"math"
	"math/big"
)

// eval computes e with the names of s.
func (r *render) eval(e expr, s *scope) (value, error) {
	if err := r.enter(); err != nil {
		return nil, at(err, e.at())
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return nil, at(err, e.at())
	}
	v, err := r.evalNode(e, s)
	if err != nil {
		return nil, at(err, e.at())
	}
	return v, nil
}

func (r *render) evalNode(e expr, s *scope) (value, error) {
	switch n := e.(type) {
	case *constExpr:
		return n.value, nil
	case *nameExpr:
		return r.name(s, n.name), nil
	case *tupleExpr:
		items, err := r.evalAll(n.items, s)
		return tuple(items), err
	case *listExpr:
		items, err := r.evalAll(n.items, s)
		return &list{items}, err
	case *dictExpr:
		return r.evalDict(n, s)
	case *unaryExpr:
		return r.evalUnary(n, s)
	case *binaryExpr:
		return r.evalBinary(n, s)
	case *concatExpr:
		return r.evalConcat(n, s)
	case *compareExpr:
		return r.evalCompare(n, s)
	case *condExpr:
		return r.evalCond(n, s)
	case *attrExpr:
		of, err := r.eval(n.of, s)
		if err != nil {
			return nil, err
		}
		return r.attribute(of, n.name)
	case *itemExpr:
		return r.evalItem(n, s)
	case *callExpr:
		return r.callWith(n, s, nil)
	case *filterExpr:
		of, err := r.eval(n.of, s)
		if err != nil {
			return nil, err
		}
		return r.applyFilter(n, of, s)
	}
	return r.evalTest(e.(*testExpr), s)
}

func (r *render) evalAll(items []expr, s *scope) ([]value, error) {
	if err := r.alloc(valueSize * len(items)); err != nil {
		return nil, err
	}
	values := make([]value, len(items))
	for i, item := range items {
		v, err := r.eval(item, s)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

func (r *render) evalDict(n *dictExpr, s *scope) (value, error) {
	if err := r.alloc(entrySize * len(n.keys)); err != nil {
		return nil, err
	}
	d := newDict(len(n.keys))
	for i, k := range n.keys {
		key, err := r.eval(k, s)
		if err != nil {
			return nil, err
		}
		v, err := r.eval(n.values[i], s)
		if err != nil {
			return nil, err
		}
		if err := r.readText(key); err != nil {
			return nil, err
		}
		if err := d.put(key, v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (r *render) evalUnary(n *unaryExpr, s *scope) (value, error) {
	v, err := r.eval(n.of, s)
	if err != nil {
		return nil, err
	}
	if n.op == "not" {
		return boolean(!truth(v)), nil
	}
	return r.negated(n.op, v)
}

// negated is +v or -v.
func (r *render) negated(op string, v value) (value, error) {
	if u, ok := v.(*undefined); ok {
		return nil, u.err()
	}
	if f, ok := v.(float); ok {
		if op == "-" {
			f = -f
		}
		return f, nil
	}
	b, ok := whole(v)
	if !ok {
		return nil, fail(typeError, "bad operand type for unary %s: '%s'", op, typeName(v))
	}
	if op == "-" {
		b = new(big.Int).Neg(b)
	}
	return normal(b)
}

func (r *render) evalBinary(n *binaryExpr, s *scope) (value, error) {
	left, err := r.eval(n.left, s)
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "and":
		if !truth(left) {
			return left, nil
		}
		return r.eval(n.right, s)
	case "or":
		if truth(left) {
			return left, nil
		}
		return r.eval(n.right, s)
	}
	right, err := r.eval(n.right, s)
	if err != nil {
		return nil, err
	}
	if n.op == "**" && negativeConstant(n.left, left) && !constant(n.right) {
		return r.negatedPower(left, right)
	}
	return r.binary(n.op, left, right)
}

// negativeConstant says whether e is a constant below zero.
func negativeConstant(e expr, v value) bool {
	if !constant(e) || !isNumber(v) {
		return false
	}
	f, ok := v.(float)
	if ok {
		return math.Signbit(float64(f))
	}
	b, ok := whole(v)
	return ok && b.Sign() < 0
}

// negatedPower is −2 ** x where x is not a constant: the reference writes the
// constant −2 into Python code, where ** comes before the sign.
func (r *render) negatedPower(left, right value) (value, error) {
	base, err := r.negated("-", left)
	if err != nil {
		return nil, err
	}
	power, err := r.binary("**", base, right)
	if err != nil {
		return nil, err
	}
	return r.negated("-", power)
}

func (r *render) evalConcat(n *concatExpr, s *scope) (value, error) {
	values, err := r.evalAll(n.items, s)
	if err != nil {
		return nil, err
	}
	if r.autoescape && !n.folded {
		return r.joinSafe(values)
	}
	out := r.meter.text()
	for _, v := range values {
		text, err := r.text(v)
		if err != nil {
			return nil, err
		}
		if err := out.write(text); err != nil {
			return nil, err
		}
	}
	return str(out.String()), nil
}

// joinSafe is ~ where text is escaped: if any part is safe, the others are
// escaped and the whole is safe.
func (r *render) joinSafe(values []value) (value, error) {
	safe := false
	for _, v := range values {
		_, ok := v.(markup)
		safe = safe || ok
	}
	out := r.meter.text()
	for _, v := range values {
		text, err := r.text(v)
		if safe && err == nil {
			text, err = r.safeText(v)
		}
		if err != nil {
			return nil, err
		}
		if err := out.write(text); err != nil {
			return nil, err
		}
	}
	if safe {
		return markup(out.String()), nil
	}
	return str(out.String()), nil
}

// evalCompare is Python's chain: a < b < c is a < b and b < c, b computed once.
func (r *render) evalCompare(n *compareExpr, s *scope) (value, error) {
	left, err := r.eval(n.first, s)
	if err != nil {
		return nil, err
	}
	for i, op := range n.ops {
		right, err := r.eval(n.rest[i], s)
		if err != nil {
			return nil, err
		}
		ok, err := r.compare(op, left, right)
		if err != nil || !ok {
			return boolean(false), err
		}
		left = right
	}
	return boolean(true), nil
}

func (r *render) evalCond(n *condExpr, s *scope) (value, error) {
	test, err := r.eval(n.test, s)
	if err != nil {
		return nil, err
	}
	switch {
	case truth(test):
		return r.eval(n.yes, s)
	case n.no != nil:
		return r.eval(n.no, s)
	}
	return &undefined{message: "the inline if-expression evaluated to false and no else section was defined.", kind: undefinedError}, nil
}

func (r *render) evalItem(n *itemExpr, s *scope) (value, error) {
	of, err := r.eval(n.of, s)
	if err != nil {
		return nil, err
	}
	sl, ok := n.key.(*sliceExpr)
	if !ok {
		key, err := r.eval(n.key, s)
		if err != nil {
			return nil, err
		}
		return r.item(of, key)
	}
	var parts [3]value
	for i, part := range [3]expr{sl.start, sl.stop, sl.step} {
		parts[i] = none{}
		if part != nil {
			if parts[i], err = r.eval(part, s); err != nil {
				return nil, err
			}
		}
	}
	return r.slice(of, parts)
}

// evalTest is of is name(args).
func (r *render) evalTest(n *testExpr, s *scope) (value, error) {
	of, err := r.eval(n.of, s)
	if err != nil {
		return nil, err
	}
	a, err := r.evalArgs(n.args, s)
	if err != nil {
		return nil, err
	}
	ok, err := r.test(n.name, of, a)
	return boolean(ok), err
}

// applyFilter is of|name(args).
func (r *render) applyFilter(n *filterExpr, of value, s *scope) (value, error) {
	a, err := r.evalArgs(n.args, s)
	if err != nil {
		return nil, err
	}
	return r.filter(n.name, of, a)
}

// filterChain applies a chain of filters without a head to v.
func (r *render) filterChain(n *filterExpr, v value, s *scope) (value, error) {
	if head, ok := n.of.(*filterExpr); ok && head != nil {
		var err error
		if v, err = r.filterChain(head, v, s); err != nil {
			return nil, at(err, head.at())
		}
	}
	v, err := r.applyFilter(n, v, s)
	if err != nil {
		return nil, at(err, n.at())
	}
	return v, nil
}
