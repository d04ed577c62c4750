package chattemplate

import (
	"math"
	"math/big"
)

// objectMember is a member of a value other than text, lists, dicts and loops.
func objectMember(of value, name string) (value, bool) {
	switch v := of.(type) {
	case boolean, integer, *big.Int:
		return intMember(v, name)
	case float:
		return floatMember(float64(v), name)
	case *intRange:
		return rangeMember(v, name)
	case *view:
		if name == "isdisjoint" && v.kind != "dict_values" {
			return positional(name, v.isDisjoint), true
		}
	case *group:
		return groupMember(v, name)
	case *macro:
		return macroMember(v, name)
	case *namespace:
		return v.attrs.lookup(name)
	case *module:
		if v.members != nil {
			return v.members(name)
		}
	case *function:
		if v.name == "dict" && name == "fromkeys" {
			return &function{name, fromKeys}, true
		}
	}
	return nil, false
}

// without makes a method that takes no arguments.
func without(name string, do func() (value, error)) *function {
	return positional(name, func(_ *render, a arguments) (value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		return do()
	})
}

func intMember(v value, name string) (value, bool) {
	b, _ := whole(v)
	self := func() (value, error) { return normal(b) }
	switch name {
	case "real", "numerator":
		n, err := self()
		return n, err == nil
	case "imag":
		return integer(0), true
	case "denominator":
		return integer(1), true
	case "conjugate":
		return without(name, self), true
	case "bit_length":
		return without(name, func() (value, error) { return integer(b.BitLen()), nil }), true
	case "bit_count":
		return without(name, func() (value, error) {
			n := 0
			for _, bit := range new(big.Int).Abs(b).Text(2) {
				n += int(bit - '0')
			}
			return integer(n), nil
		}), true
	case "as_integer_ratio":
		return without(name, func() (value, error) {
			n, err := self()
			return tuple{n, integer(1)}, err
		}), true
	}
	return nil, false
}

func floatMember(f float64, name string) (value, bool) {
	switch name {
	case "real":
		return float(f), true
	case "imag":
		return float(0), true
	case "conjugate":
		return without(name, func() (value, error) { return float(f), nil }), true
	case "is_integer":
		return without(name, func() (value, error) { return boolean(f == math.Trunc(f) && !math.IsInf(f, 0)), nil }), true
	case "as_integer_ratio":
		return without(name, func() (value, error) {
			ratio := new(big.Rat).SetFloat64(f)
			if ratio == nil {
				return nil, fail(valueError, "cannot convert %s to integer ratio", floatText(f))
			}
			num, err := normal(ratio.Num())
			if err != nil {
				return nil, err
			}
			den, err := normal(ratio.Denom())
			return tuple{num, den}, err
		}), true
	}
	return nil, false
}

func rangeMember(v *intRange, name string) (value, bool) {
	switch name {
	case "start":
		return integer(v.start), true
	case "stop":
		return integer(v.stop), true
	case "step":
		return integer(v.step), true
	case "index", "count":
		return positional(name, func(r *render, a arguments) (value, error) {
			items, err := r.collect(v)
			if err != nil {
				return nil, err
			}
			return findItem(r, v, items, name, a)
		}), true
	}
	return nil, false
}

// isDisjoint says whether a view of keys or items shares nothing with the
// argument.
func (v *view) isDisjoint(r *render, a arguments) (value, error) {
	bound, err := a.bind("isdisjoint", 1, "other")
	if err != nil {
		return nil, err
	}
	next, err := r.iterate(bound[0])
	if err != nil {
		return nil, err
	}
	for {
		item, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return boolean(true), nil
		}
		if found, err := r.contains(v, item); err != nil || found {
			return boolean(false), err
		}
	}
}

func macroMember(m *macro, name string) (value, bool) {
	def := m.def
	switch name {
	case "name":
		if m.name == "" {
			return none{}, true
		}
		return str(m.name), true
	case "arguments":
		names := make(tuple, len(def.params))
		for i, p := range def.params {
			names[i] = str(p)
		}
		return names, true
	case "catch_kwargs":
		return boolean(def.usesKwargs), true
	case "catch_varargs":
		return boolean(def.usesVarargs), true
	case "caller":
		return boolean(def.usesCaller), true
	case "explicit_caller":
		return boolean(contains(def.params, "caller")), true
	}
	return nil, false
}

// group is what groupby makes of the items that share a key: a pair of key and
// items with names.
type group struct {
	key   value
	items *list
}

func (g *group) pair() tuple { return tuple{g.key, g.items} }

func groupMember(g *group, name string) (value, bool) {
	switch name {
	case "grouper":
		return g.key, true
	case "list":
		return g.items, true
	}
	v, ok, _ := itemsMember(g, g.pair(), name)
	return v, ok
}
