package chattemplate

import (
	"math"
	"math/big"
)

// Sizes that values count against the memory limit.
const (
	valueSize = 32
	entrySize = 96
)

// binary computes left op right for an arithmetic op.
func (r *render) binary(op string, left, right value) (value, error) {
	if isNumber(left) && isNumber(right) {
		return arithmetic(op, left, right)
	}
	if v, done, err := r.sequenceOp(op, left, right); done || err != nil {
		return v, err
	}
	for _, v := range []value{left, right} {
		if u, ok := v.(*undefined); ok {
			return nil, u.err()
		}
	}
	if _, ok := textOf(left); ok && op == "+" {
		return nil, fail(typeError, `can only concatenate str (not "%s") to str`, typeName(right))
	}
	if op == "**" {
		op = "** or pow()"
	}
	return nil, fail(typeError, "unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(left), typeName(right))
}

// sequenceOp is + of two texts, lists or tuples, * of one and a number, and % of
// a text and its arguments.
func (r *render) sequenceOp(op string, left, right value) (v value, done bool, err error) {
	switch op {
	case "+":
		return r.join(left, right)
	case "*":
		if n, ok := index(right); ok {
			return r.repeated(left, n)
		}
		if n, ok := index(left); ok {
			return r.repeated(right, n)
		}
	case "%":
		switch left := left.(type) {
		case str:
			text, err := r.percent(string(left), right, false)
			return str(text), true, err
		case markup:
			text, err := r.percent(string(left), right, true)
			return markup(text), true, err
		}
	}
	return nil, false, nil
}

func (r *render) join(left, right value) (v value, done bool, err error) {
	switch a := left.(type) {
	case *list:
		if b, ok := right.(*list); ok {
			items, err := r.appended(a.items, b.items)
			return &list{items}, true, err
		}
	case tuple:
		if b, ok := right.(tuple); ok {
			items, err := r.appended(a, b)
			return tuple(items), true, err
		}
	case str, markup:
		return r.joinText(left, right)
	}
	return nil, false, nil
}

func (r *render) appended(a, b []value) ([]value, error) {
	if err := r.alloc(valueSize * (len(a) + len(b))); err != nil {
		return nil, err
	}
	if err := r.step(len(a) + len(b)); err != nil {
		return nil, err
	}
	return append(append(make([]value, 0, len(a)+len(b)), a...), b...), nil
}

// joinText adds two texts; next to a markup the other one is escaped.
func (r *render) joinText(left, right value) (v value, done bool, err error) {
	a, _ := textOf(left)
	b, ok := textOf(right)
	if !ok {
		return nil, false, nil
	}
	_, markA := left.(markup)
	_, markB := right.(markup)
	if err := r.alloc(len(a) + len(b)); err != nil {
		return nil, true, err
	}
	if !markA && !markB {
		return str(a + b), true, nil
	}
	if !markA {
		a = escapeHTML(a)
	}
	if !markB {
		b = escapeHTML(b)
	}
	if err := r.alloc(len(a) + len(b)); err != nil {
		return nil, true, err
	}
	return markup(a + b), true, nil
}

// repeated is v * n.
func (r *render) repeated(v value, n int64) (value, bool, error) {
	count := int(max(0, min(n, math.MaxInt32)))
	switch v.(type) {
	case str, markup, *list, tuple:
		if n == math.MinInt64 || n == math.MaxInt64 {
			return nil, true, fail(overflowError, "cannot fit 'int' into an index-sized integer")
		}
	}
	switch v := v.(type) {
	case str:
		s, err := r.repeatText(string(v), count)
		return str(s), true, err
	case markup:
		s, err := r.repeatText(string(v), count)
		return markup(s), true, err
	case *list:
		items, err := r.repeatItems(v.items, count)
		return &list{items}, true, err
	case tuple:
		items, err := r.repeatItems(v, count)
		return tuple(items), true, err
	}
	return nil, false, nil
}

func (r *render) repeatText(s string, count int) (string, error) {
	if s == "" {
		return "", nil
	}
	if err := r.repeat(len(s), count); err != nil {
		return "", err
	}
	b := make([]byte, 0, len(s)*count)
	for range count {
		b = append(b, s...)
	}
	return string(b), nil
}

func (r *render) repeatItems(items []value, count int) ([]value, error) {
	if len(items) == 0 {
		return nil, nil
	}
	if err := r.repeat(valueSize*len(items), count); err != nil {
		return nil, err
	}
	out := make([]value, 0, len(items)*count)
	for range count {
		out = append(out, items...)
	}
	return out, nil
}

// arithmetic computes on two numbers: integers stay integers but for /.
func arithmetic(op string, left, right value) (value, error) {
	a, okA := whole(left)
	b, okB := whole(right)
	if okA && okB {
		return intArithmetic(op, a, b)
	}
	x, _, err := real(left)
	if err != nil {
		return nil, err
	}
	y, _, err := real(right)
	if err != nil {
		return nil, err
	}
	switch op {
	case "+":
		return float(x + y), nil
	case "-":
		return float(x - y), nil
	case "*":
		return float(x * y), nil
	case "**":
		return floatPower(x, y)
	}
	if y == 0 {
		switch op {
		case "//":
			return nil, fail(zeroDivision, "float floor division by zero")
		case "%":
			return nil, fail(zeroDivision, "float modulo")
		}
		return nil, fail(zeroDivision, "float division by zero")
	}
	if op == "/" {
		return float(x / y), nil
	}
	div, mod := floatDivMod(x, y)
	if op == "//" {
		return float(div), nil
	}
	return float(mod), nil
}

// floatDivMod rounds the quotient down; the remainder has the sign of y.
func floatDivMod(x, y float64) (div, mod float64) {
	mod = math.Mod(x, y)
	div = (x - mod) / y
	if mod != 0 {
		if (y < 0) != (mod < 0) {
			mod += y
			div--
		}
	} else {
		mod = math.Copysign(0, y)
	}
	if div == 0 {
		return math.Copysign(0, x/y), mod
	}
	floor := math.Floor(div)
	if div-floor > 0.5 {
		floor++
	}
	return floor, mod
}

func floatPower(x, y float64) (value, error) {
	if x == 0 && y < 0 {
		return nil, fail(zeroDivision, "0.0 cannot be raised to a negative power")
	}
	f := math.Pow(x, y)
	if math.IsNaN(f) && !math.IsNaN(x) && !math.IsNaN(y) {
		return nil, fail(notSupported, "complex numbers")
	}
	if math.IsInf(f, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return nil, fail(overflowError, "(34, 'Numerical result out of range')")
	}
	return float(f), nil
}

func intArithmetic(op string, a, b *big.Int) (value, error) {
	out := new(big.Int)
	switch op {
	case "+":
		return normal(out.Add(a, b))
	case "-":
		return normal(out.Sub(a, b))
	case "*":
		return normal(out.Mul(a, b))
	case "**":
		return intPower(a, b)
	}
	if b.Sign() == 0 {
		if op == "/" {
			return nil, fail(zeroDivision, "division by zero")
		}
		return nil, fail(zeroDivision, "integer division or modulo by zero")
	}
	if op == "/" {
		if a.Sign() == 0 { // 0 / -3 is -0.0
			return float(math.Copysign(0, float64(b.Sign()))), nil
		}
		f, _ := new(big.Rat).SetFrac(a, b).Float64()
		if math.IsInf(f, 0) {
			return nil, fail(overflowError, "integer division result too large for a float")
		}
		return float(f), nil
	}
	// Go rounds towards zero, Python down.
	mod := new(big.Int)
	out.QuoRem(a, b, mod)
	if mod.Sign() != 0 && mod.Sign() != b.Sign() {
		mod.Add(mod, b)
		out.Sub(out, big.NewInt(1))
	}
	if op == "//" {
		return normal(out)
	}
	return normal(mod)
}

func intPower(a, b *big.Int) (value, error) {
	if b.Sign() < 0 {
		x, _, err := real(bigValue(a))
		if err != nil {
			return nil, err
		}
		y, _, err := real(bigValue(b))
		if err != nil {
			return nil, err
		}
		if x == 0 {
			return nil, fail(zeroDivision, "0.0 cannot be raised to a negative power")
		}
		return floatPower(x, y)
	}
	if a.BitLen() > 1 && (!b.IsInt64() || b.Int64() > maxBits/int64(a.BitLen()-1)) {
		return nil, &LimitError{What: "bits in an integer", Max: maxBits}
	}
	if a.BitLen() <= 1 { // −1, 0, 1: the power depends on whether b is 0 or odd
		if b.Sign() == 0 || a.Sign() > 0 || a.Sign() < 0 && b.Bit(0) == 0 {
			return integer(1), nil
		}
		return normal(a)
	}
	return normal(new(big.Int).Exp(a, b, nil))
}

// bigValue wraps b without a bound, for conversions.
func bigValue(b *big.Int) value { return b }
