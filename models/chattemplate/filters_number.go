package chattemplate

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// filterInt is int(value, default=0, base=10): what is no number is the default.
func filterInt(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("int", 0, "default", "base")
	if err != nil {
		return nil, err
	}
	base := int64(10)
	if bound[1] != nil {
		var ok bool
		if base, ok = index(bound[1]); !ok || base != 0 && (base < 2 || base > 36) {
			return nil, fail(notSupported, "the filter int with such a base")
		}
	}
	var otherwise value = integer(0)
	if bound[0] != nil {
		otherwise = bound[0]
	}
	if s, ok := textOf(of); ok {
		if err := r.read(len(s)); err != nil {
			return nil, err
		}
		if base != 10 && len(s) > maxDigits/2 {
			return nil, &LimitError{What: "digits of an integer in another base", Max: maxDigits / 2}
		}
		if v, ok := parseInt(s, int(base)); ok {
			return v, nil
		}
		f, ok := parseFloat(s)
		if !ok {
			return otherwise, nil
		}
		return truncated(f, otherwise)
	}
	switch v := of.(type) {
	case float:
		if math.IsInf(float64(v), 0) {
			return nil, fail(overflowError, "cannot convert float infinity to integer")
		}
		return truncated(float64(v), otherwise)
	case *undefined:
		return nil, v.err()
	}
	if b, ok := whole(of); ok {
		return normal(b)
	}
	return otherwise, nil
}

func truncated(f float64, otherwise value) (value, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return otherwise, nil
	}
	b, _ := big.NewFloat(f).Int(nil)
	return normal(b)
}

func filterFloat(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("float", 0, "default")
	if err != nil {
		return nil, err
	}
	var otherwise value = float(0)
	if bound[0] != nil {
		otherwise = bound[0]
	}
	if s, ok := textOf(of); ok {
		if f, ok := parseFloat(s); ok {
			return float(f), r.read(len(s))
		}
		return otherwise, r.read(len(s))
	}
	if u, ok := of.(*undefined); ok {
		return nil, u.err()
	}
	f, ok, err := real(of)
	if err != nil {
		return nil, err
	}
	if !ok {
		return otherwise, nil
	}
	return float(f), nil
}

func filterAbs(_ *render, of value, a arguments) (value, error) {
	if _, err := a.bind("abs", 0); err != nil {
		return nil, err
	}
	if f, ok := of.(float); ok {
		return float(math.Abs(float64(f))), nil
	}
	b, ok := whole(of)
	if !ok {
		return nil, fail(typeError, "bad operand type for abs(): '%s'", typeName(of))
	}
	return normal(new(big.Int).Abs(b))
}

// filterRound is round(value, precision=0, method="common"). Halves of common
// go to the even neighbour of the exact binary value, as Python's round does.
func filterRound(_ *render, of value, a arguments) (value, error) {
	bound, err := a.bind("round", 0, "precision", "method")
	if err != nil {
		return nil, err
	}
	precision, err := needInt(bound[0], 0)
	if err != nil {
		return nil, err
	}
	method := "common"
	if bound[1] != nil {
		method, _ = textOf(bound[1])
	}
	if method != "common" && method != "ceil" && method != "floor" {
		return nil, fail(filterArgument, "method must be common, ceil or floor")
	}
	if b, ok := whole(of); ok && method == "common" {
		return roundInt(b, precision)
	}
	f, ok, err := real(of)
	if err != nil {
		return nil, err
	}
	if u, isUndefined := of.(*undefined); isUndefined {
		return nil, u.err()
	}
	if !ok {
		return nil, fail(typeError, "type %s doesn't define __round__ method", typeName(of))
	}
	if method == "common" {
		return roundFloat(f, precision), nil
	}
	if precision < -maxRound || precision > maxRound {
		return nil, fail(notSupported, "the filter round with a precision of %d", precision)
	}
	scale := math.Pow(10, float64(precision))
	if b, ok := whole(of); ok && precision >= 0 {
		// Integers are multiplied exactly, and stay as they are.
		f, _, err := real(b)
		return float(f), err
	}
	f *= scale
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, fail(overflowError, "cannot convert float %s to integer", floatText(f))
	}
	if method == "ceil" {
		f = math.Ceil(f)
	} else {
		f = math.Floor(f)
	}
	// The sum makes −0 the 0 that an integer would be.
	return float((f + 0) / scale), nil
}

// maxRound bounds the digits that round looks at.
const maxRound = 300

// roundInt rounds to a multiple of ten to the power −precision, halves to even.
func roundInt(b *big.Int, precision int64) (value, error) {
	if precision >= 0 {
		return normal(b)
	}
	if precision < -maxDigits {
		return integer(0), nil
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-precision), nil)
	quotient, rest := new(big.Int).QuoRem(b, unit, new(big.Int))
	rest.Abs(rest.Lsh(rest, 1))
	if c := rest.Cmp(unit); c > 0 || c == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(int64(b.Sign())))
	}
	return normal(quotient.Mul(quotient, unit))
}

// roundFloat rounds the exact binary value, halves to even.
func roundFloat(f float64, precision int64) float {
	switch {
	case math.IsInf(f, 0) || math.IsNaN(f) || precision > maxRound+50:
		return float(f)
	case precision >= 0:
		rounded, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(precision), 64), 64)
		return float(rounded)
	case precision < -maxRound-10:
		return float(math.Copysign(0, f))
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-precision), nil)
	scaled := new(big.Rat).SetFloat64(f)
	scaled.Quo(scaled, new(big.Rat).SetInt(unit))
	// Two halves make the rounding exact: below, at or above the middle.
	low := new(big.Int).Div(scaled.Num(), scaled.Denom())
	rest := new(big.Rat).Sub(scaled, new(big.Rat).SetInt(low))
	if c := rest.Cmp(big.NewRat(1, 2)); c > 0 || c == 0 && low.Bit(0) == 1 {
		low.Add(low, big.NewInt(1))
	}
	rounded, _ := new(big.Float).SetInt(low.Mul(low, unit)).Float64()
	if rounded == 0 {
		return float(math.Copysign(0, f))
	}
	return float(rounded)
}

func filterLength(_ *render, of value, a arguments) (value, error) {
	if _, err := a.bind("length", 0); err != nil {
		return nil, err
	}
	if l, ok := of.(*loop); ok {
		n, err := l.length()
		return integer(n), err
	}
	n := sizeOf(of)
	if n < 0 {
		return nil, fail(typeError, "object of type '%s' has no len()", typeName(of))
	}
	return integer(n), nil
}

func filterSum(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("sum", 0, "attribute", "start")
	if err != nil {
		return nil, err
	}
	var total value = integer(0)
	if bound[1] != nil {
		total = bound[1]
	}
	if _, ok := textOf(total); ok {
		return nil, fail(typeError, "sum() can't sum strings [use ''.join(seq) instead]")
	}
	next, err := r.iterate(of)
	if err != nil {
		return nil, err
	}
	get := getter(bound[0], nil)
	for {
		item, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return total, nil
		}
		if item, err = get(r, item); err != nil {
			return nil, err
		}
		if total, err = r.binary("+", total, item); err != nil {
			return nil, err
		}
	}
}

// getter is a filter's attribute argument: a number is an index, a text is a
// path of names and indexes with dots, nil is the item itself. What is missing
// at the end becomes otherwise, if that is not nil.
func getter(attribute, otherwise value) func(r *render, item value) (value, error) {
	switch attribute.(type) {
	case nil, none:
		return func(_ *render, item value) (value, error) { return item, nil }
	}
	parts := []value{attribute}
	if s, ok := textOf(attribute); ok {
		parts = nil
		for _, name := range strings.Split(s, ".") {
			if n, ok := parseInt(name, 10); ok && strings.Trim(name, "0123456789") == "" {
				parts = append(parts, n)
			} else {
				parts = append(parts, str(name))
			}
		}
	}
	return func(r *render, item value) (value, error) {
		for _, p := range parts {
			var err error
			if item, err = r.item(item, p); err != nil {
				return nil, err
			}
			if _, ok := item.(*undefined); ok && otherwise != nil {
				item = otherwise
			}
		}
		return item, nil
	}
}

// filterFileSize is filesizeformat(binary): a number of bytes for people.
func filterFileSize(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("filesizeformat", 0, "binary")
	if err != nil {
		return nil, err
	}
	f, ok, err := real(of)
	if err != nil {
		return nil, err
	}
	if u, missing := of.(*undefined); missing {
		return nil, u.err()
	}
	if s, isText := textOf(of); isText {
		if f, ok = parseFloat(s); !ok {
			return nil, fail(valueError, "could not convert string to float: %s", quoted(s))
		}
	}
	if !ok {
		return nil, fail(typeError, "float() argument must be a string or a real number, not '%s'", typeName(of))
	}
	base, suffix := 1000.0, "B"
	units := "kMGTPEZY"
	if bound[0] != nil && truth(bound[0]) {
		base, suffix, units = 1024, "iB", "KMGTPEZY"
	}
	switch {
	case f == 1:
		return str("1 Byte"), nil
	case f < base:
		if math.IsInf(f, 0) {
			return nil, fail(overflowError, "cannot convert float infinity to integer")
		}
		v, err := truncated(f, none{})
		if err != nil {
			return nil, err
		}
		n, err := r.text(v)
		return str(n + " Bytes"), err
	case math.IsNaN(f):
		return str("nan YB"), nil
	}
	unit := base * base
	i := 0
	for ; i < len(units)-1; i++ {
		// The reference compares with the exact power.
		power := new(big.Int).Exp(big.NewInt(int64(base)), big.NewInt(int64(i+2)), nil)
		if c, _ := compareIntFloat(power, f); c > 0 {
			break
		}
		unit *= base
	}
	return str(strconv.FormatFloat(base*f/unit, 'f', 1, 64) + " " + units[i:i+1] + suffix), nil
}
