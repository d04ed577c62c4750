package chattemplate

import (
	"math"
	"math/big"
	"strings"
)

// compare is left op right for a comparison.
func (r *render) compare(op string, left, right value) (bool, error) {
	switch op {
	case "==":
		return r.equal(left, right)
	case "!=":
		same, err := r.equal(left, right)
		return !same, err
	case "in":
		return r.contains(right, left)
	case "not in":
		found, err := r.contains(right, left)
		return !found, err
	}
	return r.order(op, left, right)
}

// equal is Python's ==: numbers of different types can be equal, other types not.
func (r *render) equal(left, right value) (bool, error) {
	left, right = plainPair(left), plainPair(right)
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return false, err
	}
	if isNumber(left) && isNumber(right) {
		c, ok := compareNumbers(left, right)
		return ok && c == 0, nil
	}
	if a, ok := textOf(left); ok {
		b, ok := textOf(right)
		return ok && a == b, r.read(len(a))
	}
	switch a := left.(type) {
	case none:
		_, ok := right.(none)
		return ok, nil
	case *undefined:
		_, ok := right.(*undefined)
		return ok, nil
	case *list:
		b, ok := right.(*list)
		if !ok {
			return false, nil
		}
		return r.equalItems(a.items, b.items)
	case tuple:
		b, ok := right.(tuple)
		if !ok {
			return false, nil
		}
		return r.equalItems(a, b)
	case *dict:
		b, ok := right.(*dict)
		if !ok {
			return false, nil
		}
		return r.equalDicts(a, b)
	case *intRange:
		b, ok := right.(*intRange)
		return ok && equalRanges(a, b), nil
	case *view:
		b, ok := right.(*view)
		if ok && a.kind != "dict_values" && b.kind != "dict_values" {
			if a.of.len() != b.of.len() {
				return false, nil
			}
			return r.within(a, b)
		}
	}
	return identical(left, right), nil
}

// plainPair makes a group the tuple that it is.
func plainPair(v value) value {
	if g, ok := v.(*group); ok {
		return g.pair()
	}
	return v
}

func equalRanges(a, b *intRange) bool {
	n := a.len()
	return n == b.len() && (n == 0 || a.start == b.start && (n == 1 || a.step == b.step))
}

// identical says whether both are one object.
func identical(left, right value) bool {
	switch left.(type) {
	case tuple:
		return false // not comparable in Go, and never shared on purpose
	}
	if _, ok := right.(tuple); ok {
		return false
	}
	return left == right
}

func (r *render) equalItems(a, b []value) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if same, err := r.equal(a[i], b[i]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// within says whether every item of view a is in view b.
func (r *render) within(a, b *view) (bool, error) {
	for i := range a.of.entries {
		if ok, err := r.contains(b, a.at(i)); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (r *render) equalDicts(a, b *dict) (bool, error) {
	if a.len() != b.len() {
		return false, nil
	}
	for _, e := range a.entries {
		other, ok, err := b.get(e.key)
		if err != nil || !ok {
			return false, err
		}
		if same, err := r.equal(e.value, other); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// compareNumbers orders two numbers exactly; ok is false where one is NaN.
func compareNumbers(left, right value) (c int, ok bool) {
	a, okA := whole(left)
	b, okB := whole(right)
	switch {
	case okA && okB:
		return a.Cmp(b), true
	case okA:
		return compareIntFloat(a, float64(right.(float)))
	case okB:
		c, ok := compareIntFloat(b, float64(left.(float)))
		return -c, ok
	}
	x, y := float64(left.(float)), float64(right.(float))
	switch {
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, x == y
}

func compareIntFloat(a *big.Int, f float64) (int, bool) {
	switch {
	case math.IsNaN(f):
		return 0, false
	case math.IsInf(f, 1):
		return -1, true
	case math.IsInf(f, -1):
		return 1, true
	}
	return new(big.Float).SetInt(a).Cmp(big.NewFloat(f)), true
}

// order is < <= > >=.
func (r *render) order(op string, left, right value) (bool, error) {
	left, right = plainPair(left), plainPair(right)
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return false, err
	}
	if isNumber(left) && isNumber(right) {
		c, ok := compareNumbers(left, right)
		return ok && holds(op, c), nil
	}
	a, okA := textOf(left)
	b, okB := textOf(right)
	if okA && okB {
		// Bytes of UTF-8 order as code points do.
		return holds(op, strings.Compare(a, b)), r.read(min(len(a), len(b)))
	}
	switch x := left.(type) {
	case *list:
		if y, ok := right.(*list); ok {
			return r.orderItems(op, x.items, y.items)
		}
	case tuple:
		if y, ok := right.(tuple); ok {
			return r.orderItems(op, x, y)
		}
	case *undefined:
		return false, x.err()
	case *view:
		if y, ok := right.(*view); ok && x.kind != "dict_values" && y.kind != "dict_values" {
			return r.orderViews(op, x, y)
		}
	}
	if u, ok := right.(*undefined); ok {
		return false, u.err()
	}
	return false, fail(typeError, "'%s' not supported between instances of '%s' and '%s'", op, typeName(left), typeName(right))
}

// orderViews orders views as sets: a smaller one is within a larger one.
func (r *render) orderViews(op string, a, b *view) (bool, error) {
	if op[0] == '>' {
		a, b = b, a
	}
	most := b.of.len()
	if len(op) == 1 {
		most--
	}
	if a.of.len() > most {
		return false, nil
	}
	return r.within(a, b)
}

func holds(op string, c int) bool {
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// orderItems compares at the first place where two sequences differ.
func (r *render) orderItems(op string, a, b []value) (bool, error) {
	for i := range min(len(a), len(b)) {
		same, err := r.equal(a[i], b[i])
		if err != nil {
			return false, err
		}
		if !same {
			return r.order(op, a[i], b[i])
		}
	}
	return holds(op, len(a)-len(b)), nil
}

// contains is item in of.
func (r *render) contains(of, item value) (bool, error) {
	if s, ok := textOf(of); ok {
		part, ok := textOf(item)
		if !ok {
			return false, fail(typeError, "'in <string>' requires string as left operand, not %s", typeName(item))
		}
		return strings.Contains(s, part), r.read(len(s))
	}
	if err := r.readText(item); err != nil {
		return false, err
	}
	switch of := of.(type) {
	case *dict:
		_, ok, err := of.get(item)
		return ok, err
	case *view:
		if of.kind == "dict_keys" {
			_, ok, err := of.of.get(item)
			return ok, err
		}
	}
	if !iterable(of) {
		return false, fail(typeError, "argument of type '%s' is not iterable", typeName(of))
	}
	next, err := r.iterate(of)
	if err != nil {
		return false, err
	}
	for {
		v, ok, err := next()
		if err != nil || !ok {
			return false, err
		}
		if identical(v, item) {
			return true, nil
		}
		if same, err := r.equal(v, item); err != nil || same {
			return same, err
		}
	}
}
