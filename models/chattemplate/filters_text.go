package chattemplate

import (
	"strings"
	"unicode/utf8"
)

// soft is the text of v, which keeps a markup what it is.
func (r *render) soft(v value) (value, string, error) {
	if s, ok := textOf(v); ok {
		return v, s, nil
	}
	s, err := r.text(v)
	return str(s), s, err
}

func filterString(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("string", 0); err != nil {
		return nil, err
	}
	v, _, err := r.soft(of)
	return v, err
}

// mapText makes a filter without arguments out of a function on text.
func mapText(f func(string) string) filterCall {
	return func(r *render, of value, a arguments) (value, error) {
		if _, err := a.bind("filter", 0); err != nil {
			return nil, err
		}
		v, s, err := r.soft(of)
		if err != nil {
			return nil, err
		}
		// Changing case can make text up to three times as long.
		if err := r.alloc(3 * len(s)); err != nil {
			return nil, err
		}
		return likeText(v, f(s)), nil
	}
}

// filterTitle is title, which unlike its like does not keep text marked as safe.
func filterTitle(r *render, of value, a arguments) (value, error) {
	v, err := mapText(titleFilterText)(r, of, a)
	s, _ := textOf(v)
	return str(s), err
}

// titleFilterText is the filter title, which unlike the method of that name
// breaks words only at blanks, hyphens and opening brackets.
func titleFilterText(s string) string {
	var sb strings.Builder
	for s != "" {
		end := strings.IndexFunc(s, breaksWord)
		if end == 0 {
			_, end = utf8.DecodeRuneInString(s)
		} else if end < 0 {
			end = len(s)
		}
		_, n := utf8.DecodeRuneInString(s)
		sb.WriteString(upperText(s[:n]) + lowerText(s[n:end]))
		s = s[end:]
	}
	return sb.String()
}

func breaksWord(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) }

func filterTrim(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("trim", 0, "chars")
	if err != nil {
		return nil, err
	}
	v, s, err := r.soft(of)
	if err != nil {
		return nil, err
	}
	cut, err := cutset("strip", bound[0])
	if err != nil {
		return nil, err
	}
	return likeText(v, strip(s, cut)), r.read(len(s))
}

// cutset reads the argument of strip and its like; nil and none are blank space.
func cutset(fn string, v value) (*string, error) {
	switch v.(type) {
	case nil, none:
		return nil, nil
	}
	s, ok := textOf(v)
	if !ok {
		return nil, fail(typeError, "%s arg must be None or str", fn)
	}
	return &s, nil
}

func filterReplace(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("replace", 2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	var parts [3]string
	for i, v := range []value{of, bound[0], bound[1]} {
		if parts[i], err = r.text(v); err != nil {
			return nil, err
		}
	}
	count := -1
	if bound[2] != nil {
		if _, isNone := bound[2].(none); !isNone {
			n, ok := index(bound[2])
			if !ok {
				return nil, fail(typeError, "'%s' object cannot be interpreted as an integer", typeName(bound[2]))
			}
			count = int(max(-1, min(n, 1<<31)))
		}
	}
	if r.autoescape {
		return r.replaceSafe(of, bound, parts, count)
	}
	s, err := r.replaceText(parts[0], parts[1], parts[2], count)
	return str(s), err
}

// replaceSafe is the filter replace where text is escaped.
func (r *render) replaceSafe(of value, bound []value, parts [3]string, count int) (value, error) {
	_, safe := of.(markup)
	_, oldSafe := bound[0].(markup)
	_, newSafe := bound[1].(markup)
	var err error
	if !safe && (oldSafe || newSafe) {
		safe = true
		if parts[0], err = r.escaped(parts[0]); err != nil {
			return nil, err
		}
	}
	if safe && !newSafe {
		if parts[2], err = r.escaped(parts[2]); err != nil {
			return nil, err
		}
	}
	s, err := r.replaceText(parts[0], parts[1], parts[2], count)
	if safe {
		return markup(s), err
	}
	return str(s), err
}

// replaceText replaces the first count places, all if it is negative.
func (r *render) replaceText(s, old, new string, count int) (string, error) {
	n := strings.Count(s, old)
	if count >= 0 {
		n = min(n, count)
	}
	if err := r.read(len(s)); err != nil {
		return "", err
	}
	if err := r.repeat(len(new), n); err != nil {
		return "", err
	}
	return strings.Replace(s, old, new, count), r.alloc(len(s))
}

func filterIndent(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("indent", 0, "width", "first", "blank")
	if err != nil {
		return nil, err
	}
	s, ok := textOf(of)
	if !ok {
		return nil, misfit(of, fail(typeError, "unsupported operand type(s) for +=: '%s' and 'str'", typeName(of)))
	}
	margin := "    "
	if w := bound[0]; w != nil {
		if text, ok := textOf(w); ok {
			margin = text
		} else if n, ok := index(w); ok {
			if margin, err = r.repeatText(" ", int(max(0, min(n, 1<<31)))); err != nil {
				return nil, err
			}
		} else {
			return nil, fail(typeError, "can't multiply sequence by non-int of type '%s'", typeName(w))
		}
	}
	first := bound[1] != nil && truth(bound[1])
	blank := bound[2] != nil && truth(bound[2])
	if err := r.parts(countLines(s)); err != nil {
		return nil, err
	}
	out := r.meter.text()
	for i, line := range splitLines(s+"\n", false) {
		if i > 0 {
			line = "\n" + margin + line
			if !blank && len(line) == 1+len(margin) {
				line = "\n"
			}
		} else if first {
			line = margin + line
		}
		if err := out.write(line); err != nil {
			return nil, err
		}
	}
	return likeText(of, out.String()), nil
}

func filterJoin(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("join", 0, "d", "attribute")
	if err != nil {
		return nil, err
	}
	sep := ""
	if bound[0] != nil {
		if sep, err = r.text(bound[0]); err != nil {
			return nil, err
		}
	}
	next, err := r.iterate(of)
	if err != nil {
		return nil, err
	}
	get := getter(bound[1], nil)
	if r.autoescape {
		return r.filterJoinSafe(next, get, bound[0])
	}
	out := r.meter.text()
	for first := true; ; first = false {
		item, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return str(out.String()), nil
		}
		if item, err = get(r, item); err != nil {
			return nil, err
		}
		text, err := r.text(item)
		if err != nil {
			return nil, err
		}
		if !first {
			if err := out.write(sep); err != nil {
				return nil, err
			}
		}
		if err := out.write(text); err != nil {
			return nil, err
		}
	}
}

// filterJoinSafe is join where text is escaped: safe parts make all of it safe.
func (r *render) filterJoinSafe(next iterator, get func(*render, value) (value, error), sep value) (value, error) {
	if sep == nil {
		sep = str("")
	}
	var parts []value
	for {
		item, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return r.joinSafe(parts)
		}
		if item, err = get(r, item); err != nil {
			return nil, err
		}
		if len(parts) > 0 {
			parts = append(parts, sep)
		}
		parts = append(parts, item)
		if err := r.alloc(2 * valueSize); err != nil {
			return nil, err
		}
	}
}

func filterSafe(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("safe", 0); err != nil {
		return nil, err
	}
	s, err := r.text(of)
	return markup(s), err
}

func filterEscape(r *render, of value, a arguments) (value, error) {
	if m, ok := of.(markup); ok {
		return m, nil
	}
	return filterForceEscape(r, of, a)
}

func filterForceEscape(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("escape", 0); err != nil {
		return nil, err
	}
	s, err := r.text(of)
	if err != nil {
		return nil, err
	}
	s, err = r.escaped(s)
	return markup(s), err
}

func filterFormat(r *render, of value, a arguments) (value, error) {
	if len(a.positional) > 0 && len(a.names) > 0 {
		return nil, fail(filterArgument, "can't handle positional and keyword arguments at the same time")
	}
	v, s, err := r.soft(of)
	if err != nil {
		return nil, err
	}
	var with value = tuple(a.positional)
	if len(a.names) > 0 {
		d := newDict(len(a.names))
		for i, n := range a.names {
			d.set(n, a.named[i])
		}
		with = d
	}
	_, escape := v.(markup)
	text, err := r.percent(s, with, escape)
	return likeText(v, text), err
}

func filterCenter(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("center", 0, "width")
	if err != nil {
		return nil, err
	}
	v, s, err := r.soft(of)
	if err != nil {
		return nil, err
	}
	width := int64(80)
	if bound[0] != nil {
		var ok bool
		if width, ok = index(bound[0]); !ok {
			return nil, fail(typeError, "'%s' object cannot be interpreted as an integer", typeName(bound[0]))
		}
	}
	text, err := r.pad(s, width, " ", 'c')
	return likeText(v, text), err
}

// pad fills s up to width characters; align is < for text at the left, > or ^.
// The odd character of ^ goes to the right, but that of c, which is the method
// and the filter center, to the left if the width is odd.
func (r *render) pad(s string, width int64, fill string, align byte) (string, error) {
	n := int64(runeCount(s))
	if width <= n {
		return s, r.read(len(s))
	}
	missing := int(min(width-n, 1<<40))
	if err := r.repeat(len(fill), missing); err != nil {
		return "", err
	}
	left := 0
	switch align {
	case '>':
		left = missing
	case '^':
		left = missing / 2
	case 'c':
		left = missing/2 + missing&int(width)&1
	}
	return strings.Repeat(fill, left) + s + strings.Repeat(fill, missing-left), r.alloc(len(s))
}

func filterTruncate(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("truncate", 0, "length", "killwords", "end", "leeway")
	if err != nil {
		return nil, err
	}
	length, leeway, end := int64(255), int64(5), "..."
	for i, dst := range map[int]*int64{0: &length, 3: &leeway} {
		if _, isNone := bound[i].(none); bound[i] == nil || i == 3 && isNone {
			continue
		}
		var ok bool
		if *dst, ok = index(bound[i]); !ok {
			return nil, fail(typeError, "truncate needs whole numbers, got a %s", typeName(bound[i]))
		}
	}
	if bound[2] != nil {
		var ok bool
		if end, ok = textOf(bound[2]); !ok {
			return nil, fail(typeError, "truncate needs a text for end, got a %s", typeName(bound[2]))
		}
	}
	keep := length - int64(runeCount(end))
	if keep < 0 || leeway < 0 {
		return nil, fail("AssertionError", "truncate: a length of %d and a leeway of %d", length, leeway)
	}
	n := sizeOf(of)
	if n < 0 {
		return nil, fail(typeError, "object of type '%s' has no len()", typeName(of))
	}
	if int64(n) <= length+leeway {
		return of, nil
	}
	s, ok := textOf(of)
	if !ok {
		return nil, fail(notSupported, "the filter truncate on a long %s", typeName(of))
	}
	if err := r.alloc(len(s) + len(end)); err != nil {
		return nil, err
	}
	cut := s[:runeOffset(s, int(keep))]
	if bound[1] == nil || !truth(bound[1]) {
		if i := strings.LastIndexByte(cut, ' '); i >= 0 {
			cut = cut[:i]
		}
	}
	sum, _, err := r.joinText(likeText(of, cut), likeText(bound[2], end))
	return sum, err
}

// filterWordCount counts runs of letters, digits and underscores.
func filterWordCount(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("wordcount", 0); err != nil {
		return nil, err
	}
	_, s, err := r.soft(of)
	if err != nil {
		return nil, err
	}
	return integer(countRuns(s, isWord)), r.read(len(s))
}
