package chattemplate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textMethod returns a method of str, nil if there is none of that name.
func textMethod(name string) method[string] {
	switch name {
	case "strip", "lstrip", "rstrip":
		return stripMethod(name)
	case "split", "rsplit":
		return splitMethod(name)
	case "splitlines":
		return textSplitLines
	case "partition", "rpartition":
		return partitionMethod(name)
	case "startswith", "endswith":
		return affixMethod(name)
	case "removeprefix", "removesuffix":
		return removeMethod(name)
	case "find", "rfind", "index", "rindex", "count":
		return findMethod(name)
	case "replace":
		return textReplace
	case "join":
		return textJoin
	case "ljust", "rjust", "center":
		return padMethod(name)
	case "zfill":
		return textZFill
	case "expandtabs":
		return textExpandTabs
	case "format":
		return textFormat
	case "format_map":
		return textFormatMap
	case "translate":
		return textTranslate
	case "striptags", "unescape":
		return htmlMethod(name)
	}
	if f := caseFunc(name); f != nil {
		return changeMethod(name, f)
	}
	if f := asks(name); f != nil {
		return askMethod(name, f)
	}
	return nil
}

// caseFunc are the methods that change case.
func caseFunc(name string) func(string) string {
	switch name {
	case "upper":
		return upperText
	case "lower":
		return lowerText
	case "title":
		return titleText
	case "capitalize":
		return capitalText
	case "swapcase":
		return swapText
	case "casefold":
		return foldText
	}
	return nil
}

func changeMethod(name string, f func(string) string) method[string] {
	return func(r *render, s string, a arguments) (value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		if err := r.alloc(3 * len(s)); err != nil {
			return nil, err
		}
		return str(f(s)), nil
	}
}

// asks are the methods that say what a text consists of.
func asks(name string) func(string) bool {
	every := func(is func(rune) bool) func(string) bool {
		return func(s string) bool { return s != "" && strings.IndexFunc(s, func(c rune) bool { return !is(c) }) < 0 }
	}
	switch name {
	case "isspace":
		return every(isSpace)
	case "isalpha":
		return every(unicode.IsLetter)
	case "isdecimal":
		return every(func(c rune) bool { return unicode.Is(unicode.Nd, c) })
	case "isdigit":
		return every(isDigitRune)
	case "isnumeric":
		return every(func(c rune) bool { return unicode.IsNumber(c) || isNumericLetter(c) })
	case "isascii":
		return isASCII
	case "isupper":
		return func(s string) bool { return caseTest(s, true) }
	case "islower":
		return func(s string) bool { return caseTest(s, false) }
	case "istitle":
		return isTitled
	case "isidentifier":
		return isIdentifier
	case "isprintable":
		return func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) < 0 }
	case "isalnum":
		return every(func(c rune) bool { return unicode.In(c, unicode.L, unicode.N) })
	}
	return nil
}

func askMethod(name string, f func(string) bool) method[string] {
	return func(_ *render, s string, a arguments) (value, error) {
		_, err := a.bind(name, 0)
		return boolean(f(s)), err
	}
}

func stripMethod(name string) method[string] {
	return func(_ *render, s string, a arguments) (value, error) {
		bound, err := a.bind(name, 0, "chars")
		if err != nil {
			return nil, err
		}
		chars, err := cutset(name, bound[0])
		if err != nil {
			return nil, err
		}
		cut := inSet(chars)
		if name != "rstrip" {
			s = strings.TrimLeftFunc(s, cut)
		}
		if name != "lstrip" {
			s = strings.TrimRightFunc(s, cut)
		}
		return str(s), nil
	}
}

// needText is an argument that must be text.
func needText(fn string, v value) (string, error) {
	s, ok := textOf(v)
	if !ok {
		return "", fail(typeError, "%s() argument must be str, not %s", fn, typeName(v))
	}
	return s, nil
}

// needInt is an argument that must be a whole number.
func needInt(v value, missing int64) (int64, error) {
	if v == nil {
		return missing, nil
	}
	n, ok := index(v)
	if !ok {
		return 0, fail(typeError, "'%s' object cannot be interpreted as an integer", typeName(v))
	}
	return n, nil
}

// window cuts s to characters start to end, as find(x, start, end) does; from is
// the number of characters cut in front, and ok is false if start is past s.
func window(s string, start, end value) (part string, from int, ok bool, err error) {
	n := int64(runeCount(s))
	bounds := [2]int64{0, n}
	for i, v := range []value{start, end} {
		switch v.(type) {
		case nil, none:
			continue
		}
		if bounds[i], err = needInt(v, 0); err != nil {
			return "", 0, false, err
		}
		if bounds[i] < 0 {
			bounds[i] = max(0, bounds[i]+n)
		}
	}
	if bounds[0] > n || bounds[0] > bounds[1] {
		return "", 0, false, nil
	}
	from = int(bounds[0])
	return s[runeOffset(s, from):runeOffset(s, int(min(bounds[1], n)))], from, true, nil
}

func affixMethod(name string) method[string] {
	return func(_ *render, s string, a arguments) (value, error) {
		bound, err := a.bind(name, 1, "affix", "start", "end")
		if err != nil {
			return nil, err
		}
		affixes, isTuple := bound[0].(tuple)
		if !isTuple {
			affixes = tuple{bound[0]}
		}
		part, _, ok, err := window(s, bound[1], bound[2])
		if err != nil {
			return nil, err
		}
		for _, v := range affixes {
			affix, isText := textOf(v)
			if !isText {
				return nil, fail(typeError, "%s first arg must be str or a tuple of str, not %s", name, typeName(bound[0]))
			}
			if ok && (name == "startswith" && strings.HasPrefix(part, affix) || name == "endswith" && strings.HasSuffix(part, affix)) {
				return boolean(true), nil
			}
		}
		return boolean(false), nil
	}
}

func removeMethod(name string) method[string] {
	return func(_ *render, s string, a arguments) (value, error) {
		bound, err := a.bind(name, 1, "affix")
		if err != nil {
			return nil, err
		}
		affix, err := needText(name, bound[0])
		if err != nil {
			return nil, err
		}
		if name == "removeprefix" {
			return str(strings.TrimPrefix(s, affix)), nil
		}
		return str(strings.TrimSuffix(s, affix)), nil
	}
}

func findMethod(name string) method[string] {
	return func(_ *render, s string, a arguments) (value, error) {
		bound, err := a.bind(name, 1, "sub", "start", "end")
		if err != nil {
			return nil, err
		}
		sub, err := needText(name, bound[0])
		if err != nil {
			return nil, err
		}
		part, from, ok, err := window(s, bound[1], bound[2])
		if err != nil {
			return nil, err
		}
		at := -1
		switch {
		case name == "count":
			if !ok {
				return integer(0), nil
			}
			return integer(strings.Count(part, sub)), nil
		case !ok:
		case name[0] == 'r':
			at = strings.LastIndex(part, sub)
		default:
			at = strings.Index(part, sub)
		}
		if at >= 0 {
			return integer(from + runeCount(part[:at])), nil
		}
		if strings.HasSuffix(name, "index") {
			return nil, fail(valueError, "substring not found")
		}
		return integer(-1), nil
	}
}

func textReplace(r *render, s string, a arguments) (value, error) {
	bound, err := a.bind("replace", 2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	old, err := needText("replace", bound[0])
	if err != nil {
		return nil, err
	}
	with, err := needText("replace", bound[1])
	if err != nil {
		return nil, err
	}
	count, err := needInt(bound[2], -1)
	if err != nil {
		return nil, err
	}
	text, err := r.replaceText(s, old, with, int(max(-1, min(count, 1<<31))))
	return str(text), err
}

func textJoin(r *render, s string, a arguments) (value, error) {
	bound, err := a.bind("join", 1, "iterable")
	if err != nil {
		return nil, err
	}
	next, err := r.iterate(bound[0])
	if err != nil {
		return nil, err
	}
	out := r.meter.text()
	for i := 0; ; i++ {
		item, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return str(out.String()), nil
		}
		text, ok := textOf(item)
		if !ok {
			return nil, fail(typeError, "sequence item %d: expected str instance, %s found", i, typeName(item))
		}
		if i > 0 {
			if err := out.write(s); err != nil {
				return nil, err
			}
		}
		if err := out.write(text); err != nil {
			return nil, err
		}
	}
}

func padMethod(name string) method[string] {
	align := map[string]byte{"ljust": '<', "rjust": '>', "center": 'c'}[name]
	return func(r *render, s string, a arguments) (value, error) {
		bound, err := a.bind(name, 1, "width", "fillchar")
		if err != nil {
			return nil, err
		}
		width, err := needInt(bound[0], 0)
		if err != nil {
			return nil, err
		}
		fill := " "
		if bound[1] != nil {
			if fill, err = needText(name, bound[1]); err != nil {
				return nil, err
			}
		}
		if runeCount(fill) != 1 {
			return nil, fail(typeError, "The fill character must be exactly one character long")
		}
		text, err := r.pad(s, width, fill, align)
		return str(text), err
	}
}

func textZFill(r *render, s string, a arguments) (value, error) {
	bound, err := a.bind("zfill", 1, "width")
	if err != nil {
		return nil, err
	}
	width, err := needInt(bound[0], 0)
	if err != nil {
		return nil, err
	}
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
		width--
	}
	text, err := r.pad(s, width, "0", '>')
	return str(sign + text), err
}

func textExpandTabs(r *render, s string, a arguments) (value, error) {
	bound, err := a.bind("expandtabs", 0, "tabsize")
	if err != nil {
		return nil, err
	}
	size, err := needInt(bound[0], 8)
	if err != nil {
		return nil, err
	}
	out := r.meter.text()
	column := int64(0)
	for _, c := range s {
		text := string(c)
		switch c {
		case '\t':
			n := int64(0)
			if size > 0 {
				n = size - column%size
			}
			if text, err = r.repeatText(" ", int(min(n, 1<<31))); err != nil {
				return nil, err
			}
			column += n
		case '\n', '\r':
			column = 0
		default:
			column++
		}
		if err := out.write(text); err != nil {
			return nil, err
		}
	}
	return str(out.String()), nil
}

// textTranslate is translate(table): characters are looked up by their code
// points, and go, or become characters or text.
func textTranslate(r *render, s string, a arguments) (value, error) {
	bound, err := a.bind("translate", 1, "table")
	if err != nil {
		return nil, err
	}
	if _, at := sequence(bound[0]); at == nil {
		_, isDict := bound[0].(*dict)
		_, isText := textOf(bound[0])
		if !isDict && !isText && s != "" {
			return nil, fail(typeError, "'%s' object is not subscriptable", typeName(bound[0]))
		}
	}
	out := r.meter.text()
	for _, c := range s {
		v, found, err := r.itemOnly(bound[0], integer(c))
		if err != nil {
			return nil, err
		}
		text := string(c)
		if found {
			if text, err = translated(v); err != nil {
				return nil, err
			}
		}
		if err := out.write(text); err != nil {
			return nil, err
		}
	}
	return str(out.String()), nil
}

func translated(v value) (string, error) {
	if _, ok := v.(none); ok {
		return "", nil
	}
	if s, ok := textOf(v); ok {
		return s, nil
	}
	n, ok := small(v)
	if !ok {
		return "", fail(typeError, "character mapping must return integer, None or str")
	}
	if n < 0 || n > utf8.MaxRune {
		return "", fail(valueError, "character mapping must be in range(0x110000)")
	}
	return string(rune(n)), nil
}
