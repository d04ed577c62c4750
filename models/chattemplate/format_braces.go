package chattemplate

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

func textFormat(r *render, s string, a arguments) (value, error) {
	named := newDict(len(a.names))
	for i, n := range a.names {
		named.set(n, a.named[i])
	}
	return r.braces(s, a.positional, named, false)
}

func textFormatMap(r *render, s string, a arguments) (value, error) {
	bound, err := a.bind("format_map", 1, "mapping")
	if err != nil {
		return nil, err
	}
	return r.braces(s, nil, bound[0], false)
}

// braces is Python's str.format: fields are {}, {0}, {name}, with members and
// items after the name, a conversion, and a specification that may itself have
// fields. With escape it is the formatting of escaped text, which escapes every
// field.
func (r *render) braces(s string, args []value, named value, escape bool) (value, error) {
	f := &fields{r: r, args: args, named: named, escape: escape}
	text, err := f.expand(s, 0)
	if escape {
		return markup(text), err
	}
	return str(text), err
}

// fields finds the values of a format string's fields.
type fields struct {
	r      *render
	args   []value
	named  value // a dict, or whatever format_map was given
	escape bool
	// auto counts the fields without a name, and is −1 once one had a number.
	auto int
}

// field is a {…} as written; the specification's own fields are not yet
// replaced.
type field struct {
	name, conversion, spec string
}

// maxFieldDepth is how deep the reference lets specifications nest.
const maxFieldDepth = 3

func (f *fields) expand(s string, depth int) (string, error) {
	if depth >= maxFieldDepth {
		return "", fail(valueError, "Max string recursion exceeded")
	}
	out := f.r.meter.text()
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			i = len(s)
		}
		if err := out.write(s[:i]); err != nil {
			return "", err
		}
		if s = s[i:]; s == "" {
			break
		}
		if len(s) > 1 && s[1] == s[0] {
			if err := out.write(s[:1]); err != nil {
				return "", err
			}
			s = s[2:]
			continue
		}
		if s[0] == '}' {
			return "", fail(valueError, "Single '}' encountered in format string")
		}
		fd, rest, err := readField(s[1:])
		if err != nil {
			return "", err
		}
		s = rest
		text, err := f.format(fd, depth)
		if err != nil {
			return "", err
		}
		if err := out.write(text); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// readField reads up to the brace that closes a field.
func readField(s string) (fd field, rest string, err error) {
	end := 0
	for bracket := false; end < len(s); end++ {
		c := s[end]
		if c == '{' {
			return fd, "", fail(valueError, "unexpected '{' in field name")
		}
		if c == '[' {
			bracket = true
		} else if c == ']' {
			bracket = false
		} else if !bracket && (c == '}' || c == ':' || c == '!') {
			break
		}
	}
	if end == len(s) {
		return fd, "", fail(valueError, "expected '}' before end of string")
	}
	fd.name, s = s[:end], s[end:]
	if s[0] == '!' {
		_, n := utf8.DecodeRuneInString(s[1:])
		if 1+n >= len(s) {
			return fd, "", fail(valueError, "unmatched '{' in format spec")
		}
		fd.conversion, s = s[1:1+n], s[1+n:]
		if s[0] != ':' && s[0] != '}' {
			return fd, "", fail(valueError, "expected ':' after conversion specifier")
		}
	}
	if s[0] == '}' {
		return fd, s[1:], nil
	}
	open := 1
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '{':
			open++
		case '}':
			open--
		}
		if open == 0 {
			fd.spec = s[1:i]
			return fd, s[i+1:], nil
		}
	}
	return fd, "", fail(valueError, "unmatched '{' in format spec")
}

// format writes one field's value.
func (f *fields) format(fd field, depth int) (string, error) {
	v, err := f.value(fd.name)
	if err != nil {
		return "", err
	}
	if v, err = f.r.converted(v, fd.conversion); err != nil {
		return "", err
	}
	spec, err := f.expand(fd.spec, depth+1)
	if err != nil {
		return "", err
	}
	m, safe := v.(markup)
	if !f.escape || depth > 0 {
		return f.r.formatSpec(v, spec)
	}
	if safe {
		if spec != "" {
			return "", fail(valueError, "Unsupported format specification for Markup.")
		}
		return string(m), nil
	}
	text, err := f.r.formatSpec(v, spec)
	if err != nil {
		return "", err
	}
	return f.r.escaped(text)
}

// converted applies !s, !r or !a.
func (r *render) converted(v value, conversion string) (value, error) {
	if conversion == "" {
		return v, nil
	}
	var text string
	var err error
	switch conversion {
	case "s":
		text, err = r.text(v)
	case "r":
		text, err = r.repr(v)
	case "a":
		text, err = r.ascii(v)
	default:
		err = fail(valueError, "Unknown conversion specifier %s", conversion)
	}
	return str(text), err
}

// value follows a field's name: an argument, then .member and [item].
func (f *fields) value(name string) (value, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	first, path := name[:end], name[end:]
	if name == "" {
		if f.auto < 0 {
			return nil, fail(valueError, "cannot switch from manual field specification to automatic field numbering")
		}
		first = strconv.Itoa(f.auto)
		f.auto++
	} else if isNumeral(name) {
		if f.auto > 0 {
			return nil, fail(valueError, "cannot switch from automatic field numbering to manual field specification")
		}
		f.auto = -1
	}
	v, err := f.argument(first)
	for err == nil && path != "" {
		v, path, err = f.r.fieldStep(v, path)
	}
	return v, err
}

func isNumeral(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func (f *fields) argument(name string) (value, error) {
	if isNumeral(name) {
		at, err := strconv.Atoi(name)
		if err != nil || at >= len(f.args) {
			return nil, fail(indexError, "Replacement index %s out of range for positional args tuple", name)
		}
		return f.args[at], nil
	}
	if d, ok := f.named.(*dict); ok {
		if v, ok := d.lookup(name); ok {
			return v, nil
		}
		return nil, fail(keyError, "%s", quoted(name))
	}
	if u, ok := f.named.(*undefined); ok {
		return nil, u.err()
	}
	return nil, fail(typeError, "'%s' object is not subscriptable by %s", typeName(f.named), quoted(name))
}

// fieldStep takes one .member or [item] off path.
func (r *render) fieldStep(v value, path string) (value, string, error) {
	if path[0] == '[' {
		key, rest, ok := strings.Cut(path[1:], "]")
		if !ok {
			return nil, "", fail(valueError, "Missing ']' in format string")
		}
		if key == "" {
			return nil, "", fail(valueError, "Empty attribute in format string")
		}
		if rest != "" && rest[0] != '.' && rest[0] != '[' {
			return nil, "", fail(valueError, "Only '.' or '[' may follow ']' in format field specifier")
		}
		var k value = str(key)
		if n, err := strconv.ParseInt(key, 10, 64); err == nil && isNumeral(key) {
			k = integer(n)
		}
		v, err := r.item(v, k)
		return v, rest, err
	}
	end := strings.IndexAny(path[1:], ".[") + 1
	if end == 0 {
		end = len(path)
	}
	if end == 1 {
		return nil, "", fail(valueError, "Empty attribute in format string")
	}
	v, err := r.attribute(v, path[1:end])
	return v, path[end:], err
}
