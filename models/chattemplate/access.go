package chattemplate

import (
	"math"
	"strings"
	"unicode/utf8"
)

// attribute is of.name: a member of of, or else its item of that name.
func (r *render) attribute(of value, name string) (value, error) {
	if u, ok := of.(*undefined); ok {
		return nil, u.err()
	}
	if v, ok, err := r.member(of, name); ok || err != nil {
		return v, err
	}
	if d, ok := of.(*dict); ok {
		if v, ok := d.lookup(name); ok {
			return v, nil
		}
	}
	return missingMember(of, str(name)), nil
}

// item is of[key]: an item, or else the member of that name.
func (r *render) item(of, key value) (value, error) {
	if u, ok := of.(*undefined); ok {
		return nil, u.err()
	}
	if err := r.readText(key); err != nil {
		return nil, err
	}
	v, ok, err := r.itemOnly(of, key)
	if ok || err != nil {
		return v, err
	}
	if name, ok := textOf(key); ok {
		if v, ok, err := r.member(of, name); ok || err != nil {
			return v, err
		}
	}
	return missingMember(of, key), nil
}

// itemOnly looks for an item; a key of the wrong type finds nothing.
func (r *render) itemOnly(of, key value) (value, bool, error) {
	if d, ok := of.(*dict); ok {
		v, ok, err := d.get(key)
		if _, limit := err.(*LimitError); err != nil && !limit {
			return nil, false, nil
		}
		return v, ok, err
	}
	i, ok := index(key)
	if !ok {
		return nil, false, nil
	}
	if s, ok := textOf(of); ok {
		return r.charAt(of, s, i)
	}
	n, at := sequence(of)
	if at == nil {
		return nil, false, nil
	}
	if i < 0 {
		i += int64(n)
	}
	if i < 0 || i >= int64(n) {
		return nil, false, nil
	}
	return at(int(i)), true, nil
}

// charAt is a text's character at i.
func (r *render) charAt(of value, s string, i int64) (value, bool, error) {
	if err := r.read(len(s)); err != nil {
		return nil, false, err
	}
	n := int64(runeCount(s))
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return nil, false, nil
	}
	start := runeOffset(s, int(i))
	_, size := utf8.DecodeRuneInString(s[start:])
	return likeText(of, s[start:start+size]), true, nil
}

// runeOffset is where character i of s begins; i may be its length.
func runeOffset(s string, i int) int {
	if isASCII(s) {
		return i
	}
	offset := 0
	for ; i > 0; i-- {
		_, n := utf8.DecodeRuneInString(s[offset:])
		offset += n
	}
	return offset
}

// likeText gives s the type of v, which is str or markup.
func likeText(v value, s string) value {
	if _, ok := v.(markup); ok {
		return markup(s)
	}
	return str(s)
}

// sequence returns the length of what can be indexed, and how; nil if it cannot.
func sequence(v value) (int, func(int) value) {
	switch v := v.(type) {
	case *list:
		return len(v.items), func(i int) value { return v.items[i] }
	case tuple:
		return len(v), func(i int) value { return v[i] }
	case *intRange:
		return v.len(), v.at
	case *group:
		pair := v.pair()
		return len(pair), func(i int) value { return pair[i] }
	}
	return 0, nil
}

// slice is of[start:stop:step]; none stands for a missing part.
func (r *render) slice(of value, parts [3]value) (value, error) {
	if u, ok := of.(*undefined); ok {
		return nil, u.err()
	}
	var bounds [3]*int64
	for i, p := range parts {
		if _, ok := p.(none); ok {
			continue
		}
		n, ok := index(p)
		if !ok {
			return nil, unsliceable(of, fail(typeError, "slice indices must be integers or None or have an __index__ method"))
		}
		bounds[i] = &n
	}
	if bounds[2] != nil && *bounds[2] == 0 {
		return nil, unsliceable(of, fail(valueError, "slice step cannot be zero"))
	}
	if s, ok := textOf(of); ok {
		text, err := r.sliceText(s, bounds)
		return likeText(of, text), err
	}
	n, at := sequence(of)
	if at == nil {
		return nil, unsliceable(of, nil)
	}
	start, stop, step := sliceBounds(n, bounds)
	if rg, ok := of.(*intRange); ok {
		return &intRange{rg.start + int64(start)*rg.step, rg.start + int64(stop)*rg.step, rg.step * int64(step)}, nil
	}
	count := sliceCount(start, stop, step)
	if err := r.alloc(valueSize * count); err != nil {
		return nil, err
	}
	items := make([]value, count)
	for i := range items {
		items[i] = at(start + i*step)
	}
	if _, ok := of.(*list); ok {
		return &list{items}, nil
	}
	return tuple(items), nil
}

// unsliceable is the error of slicing of, and otherwise if it can be sliced. A
// slice, unlike a key, never falls back to an undefined value.
func unsliceable(of value, otherwise error) error {
	if _, at := sequence(of); at != nil {
		return otherwise
	}
	switch of.(type) {
	case str, markup:
		return otherwise
	case *dict:
		return fail(typeError, "unhashable type: 'slice'")
	}
	return fail(typeError, "'%s' object is not subscriptable", typeName(of))
}

func (r *render) sliceText(s string, bounds [3]*int64) (string, error) {
	if err := r.alloc(len(s)); err != nil {
		return "", err
	}
	start, stop, step := sliceBounds(runeCount(s), bounds)
	count := sliceCount(start, stop, step)
	if count == 0 {
		return "", nil
	}
	if step == 1 {
		from := runeOffset(s, start)
		return s[from : from+runeOffset(s[from:], count)], nil
	}
	if err := r.alloc(5 * len(s)); err != nil {
		return "", err
	}
	runes := []rune(s)
	var sb strings.Builder
	for i := range count {
		sb.WriteRune(runes[start+i*step])
	}
	return sb.String(), nil
}

// sliceBounds turns Python's slice over n items into the half-open interval
// [start, stop) and its step: negative bounds count from the end, and all are
// clamped; a step back may stop at −1, before the first item.
func sliceBounds(n int, bounds [3]*int64) (start, stop, step int) {
	step = 1
	if bounds[2] != nil {
		step = int(max(-math.MaxInt32, min(*bounds[2], math.MaxInt32)))
	}
	low, high := 0, n
	if step < 0 {
		low, high = -1, n-1
	}
	clamp := func(b *int64, def int) int {
		if b == nil {
			return def
		}
		i := *b
		if i < 0 {
			i += int64(n)
		}
		return int(max(int64(low), min(i, int64(high))))
	}
	if step > 0 {
		return clamp(bounds[0], low), clamp(bounds[1], high), step
	}
	return clamp(bounds[0], high), clamp(bounds[1], low), step
}

// sliceCount is how many items an interval has.
func sliceCount(start, stop, step int) int {
	if step > 0 {
		return max(0, (stop-start+step-1)/step)
	}
	return max(0, (start-stop-step-1)/-step)
}

func missingMember(of, key value) *undefined {
	return &undefined{kind: undefinedError, owner: of, key: key}
}
