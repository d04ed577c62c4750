package tokenizer

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"
)

// runeSet is a set of characters as ranges with both ends, in any order.
type runeSet [][2]rune

// sorted returns the same set in order, without overlaps or neighbours.
func (s runeSet) sorted() runeSet {
	s = slices.Clone(s)
	slices.SortFunc(s, func(a, b [2]rune) int { return cmp.Compare(a[0], b[0]) })
	var out runeSet
	for _, r := range s {
		if n := len(out); n > 0 && r[0] <= out[n-1][1]+1 {
			out[n-1][1] = max(out[n-1][1], r[1])
			continue
		}
		out = append(out, r)
	}
	return out
}

// complement is all characters that s lacks.
func (s runeSet) complement() runeSet {
	var out runeSet
	next := rune(0)
	for _, r := range s.sorted() {
		if r[0] > next {
			out = append(out, [2]rune{next, r[0] - 1})
		}
		next = r[1] + 1
	}
	if next <= utf8.MaxRune {
		out = append(out, [2]rune{next, utf8.MaxRune})
	}
	return out
}

// both is the characters that s and other share.
func (s runeSet) both(other runeSet) runeSet {
	return append(s.complement(), other.complement()...).complement()
}

// tableSet is the set of one of Go's tables.
func tableSet(table *unicode.RangeTable) runeSet {
	var out runeSet
	add := func(first, last, stride rune) {
		if stride == 1 {
			out = append(out, [2]rune{first, last})
			return
		}
		for r := first; r <= last; r += stride {
			out = append(out, [2]rune{r, r})
		}
	}
	for _, r := range table.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range table.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	return out
}

// categorySet is a general category as the reference's patterns see it.
func categorySet(name string) runeSet {
	return append(tableSet(unicode.Categories[name]), additionSet(name)...)
}

// additionSet is what [additions] puts into a category.
func additionSet(category string) runeSet {
	var out runeSet
	for _, a := range additions {
		if len(a.category) >= len(category) && a.category[:len(category)] == category {
			out = append(out, [2]rune{a.first, a.last})
		}
	}
	return out
}

// literalSet reads characters and ranges with a -, none of them special.
func literalSet(text string) runeSet {
	var out runeSet
	list := []rune(text)
	for i := 0; i < len(list); i++ {
		r := [2]rune{list[i], list[i]}
		if i+2 < len(list) && list[i+1] == '-' {
			r[1] = list[i+2]
			i += 2
		}
		out = append(out, r)
	}
	return out
}

// charClass is a runeSet made fast to ask.
type charClass struct {
	ascii  [2]uint64
	plane  *[1 << 10]uint64 // the first plane; nil if only ASCII is in the set
	beyond runeSet          // sorted
}

func newCharClass(s runeSet) *charClass {
	c := &charClass{}
	for _, r := range s.sorted() {
		if r[1] >= utf8.RuneSelf && c.plane == nil {
			c.plane = new([1 << 10]uint64)
		}
		for at := r[0]; at <= min(r[1], 0xFFFF); at++ {
			if at < utf8.RuneSelf {
				c.ascii[at>>6] |= 1 << (at & 63)
			}
			if c.plane != nil {
				c.plane[at>>6] |= 1 << (at & 63)
			}
		}
		if r[1] > 0xFFFF {
			c.beyond = append(c.beyond, [2]rune{max(r[0], 0x10000), r[1]})
		}
	}
	return c
}

// size returns the length of the character at text[i:] if it is in c, else 0.
func (c *charClass) size(text string, i int) int {
	if i >= len(text) {
		return 0
	}
	b := text[i]
	if b < utf8.RuneSelf {
		return int(c.ascii[b>>6] >> (b & 63) & 1)
	}
	if c.plane == nil {
		return 0
	}
	r, size := utf8.DecodeRuneInString(text[i:])
	if r <= 0xFFFF {
		return size * int(c.plane[r>>6]>>(r&63)&1)
	}
	if isWithin(c.beyond, r) {
		return size
	}
	return 0
}
