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
	return r.braces(s, a.positional, named)
}

func textFormatMap(r *render, s string, a arguments) (value, error) {
	bound, err := a.bind("format_map", 1, "mapping")
	if err != nil {
		return nil, err
	}
	d, ok := bound[0].(*dict)
	if !ok {
		return nil, fail(typeError, "format_map() needs a mapping, not %s", typeName(bound[0]))
	}
	return r.braces(s, nil, d)
}

// braces is Python's str.format with fields {}, {0}, {name}, a conversion and a
// specification without fields in it.
func (r *render) braces(s string, args []value, named *dict) (value, error) {
	out, auto := r.meter.text(), 0
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			i = len(s)
		}
		if err := out.write(s[:i]); err != nil {
			return nil, err
		}
		if s = s[i:]; s == "" {
			break
		}
		if len(s) > 1 && s[1] == s[0] {
			if err := out.write(s[:1]); err != nil {
				return nil, err
			}
			s = s[2:]
			continue
		}
		if s[0] == '}' {
			return nil, fail(valueError, "Single '}' encountered in format string")
		}
		field, rest, ok := strings.Cut(s[1:], "}")
		if !ok {
			return nil, fail(valueError, "expected '}' before end of string")
		}
		if strings.ContainsAny(field, "{[.") && !plainSpec(field) {
			return nil, fail(notSupported, "the format field %s", quoted(field))
		}
		if err := r.writeField(out, field, args, named, &auto); err != nil {
			return nil, err
		}
		s = rest
	}
	return str(out.String()), nil
}

// plainSpec says that only the specification has dots, and no braces.
func plainSpec(field string) bool {
	name, spec, _ := strings.Cut(field, ":")
	return !strings.ContainsAny(name, "{[.") && !strings.ContainsAny(spec, "{[")
}

func (r *render) writeField(out *builder, field string, args []value, named *dict, auto *int) error {
	name, spec, _ := strings.Cut(field, ":")
	name, conversion, converted := strings.Cut(name, "!")
	v, err := fieldValue(name, args, named, auto)
	if err != nil {
		return err
	}
	if converted {
		var text string
		switch conversion {
		case "s":
			text, err = r.text(v)
		case "r":
			text, err = r.repr(v)
		default:
			err = fail(notSupported, "the conversion %s", quoted(conversion))
		}
		if err != nil {
			return err
		}
		v = str(text)
	}
	if spec == "" {
		text, err := r.text(v)
		if err != nil {
			return err
		}
		return out.write(text)
	}
	l, err := parseSpec(spec)
	if err != nil {
		return err
	}
	return r.writeSpec(out, v, l)
}

// fieldValue finds a field's argument; auto counts the fields without a name,
// and is −1 once one had a number.
func fieldValue(name string, args []value, named *dict, auto *int) (value, error) {
	at := 0
	switch n, err := strconv.Atoi(name); {
	case name == "":
		if *auto < 0 {
			return nil, fail(valueError, "cannot switch from manual field specification to automatic field numbering")
		}
		at = *auto
		*auto++
	case err == nil && isDigit(name[0]):
		if *auto > 0 {
			return nil, fail(valueError, "cannot switch from automatic field numbering to manual field specification")
		}
		*auto, at = -1, n
	default:
		v, ok := named.lookup(name)
		if !ok {
			return nil, fail(keyError, "%s", quoted(name))
		}
		return v, nil
	}
	if at >= len(args) {
		return nil, fail(indexError, "Replacement index %d out of range for positional args tuple", at)
	}
	return args[at], nil
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func parseSpec(spec string) (layout, error) {
	l := layout{fill: " ", precision: -1}
	whole := spec
	isAlign := func(s string) bool { return s != "" && strings.IndexByte("<>^=", s[0]) >= 0 }
	if _, n := utf8.DecodeRuneInString(spec); isAlign(spec[n:]) {
		l.fill, l.align, spec = spec[:n], spec[n], spec[n+1:]
	} else if isAlign(spec) {
		l.align, spec = spec[0], spec[1:]
	}
	if spec != "" && strings.IndexByte("+- ", spec[0]) >= 0 {
		if spec[0] != '-' {
			l.sign = spec[0]
		}
		spec = spec[1:]
	}
	if rest, ok := strings.CutPrefix(spec, "#"); ok {
		l.alternate, spec = true, rest
	}
	if rest, ok := strings.CutPrefix(spec, "0"); ok {
		spec = rest
		if l.align == 0 {
			l.fill, l.align = "0", '='
		}
	}
	number := func() int64 {
		n := len(spec) - len(strings.TrimLeft(spec, "0123456789"))
		v, err := strconv.ParseInt("0"+spec[:n], 10, 32)
		if err != nil {
			v = 1 << 40 // too wide for any limit
		}
		spec = spec[n:]
		return v
	}
	l.width = number()
	if rest, ok := strings.CutPrefix(spec, ","); ok {
		l.comma, spec = true, rest
	}
	if rest, ok := strings.CutPrefix(spec, "."); ok {
		spec = rest
		l.precision = int(number())
	}
	if len(spec) > 1 || spec != "" && strings.IndexByte("sdxXobfFeEgG%", spec[0]) < 0 {
		return l, fail(notSupported, "the format specification %s", quoted(whole))
	}
	if spec != "" {
		l.verb = spec[0]
	}
	return l, nil
}

func (r *render) writeSpec(out *builder, v value, l layout) error {
	if text, ok := v.(str); ok {
		s := string(text)
		if l.verb != 0 && l.verb != 's' {
			return fail(valueError, "Unknown format code '%c' for object of type 'str'", l.verb)
		}
		if l.align == '=' || l.comma || l.sign != 0 || l.alternate {
			return fail(notSupported, "a number's format specification for text")
		}
		if l.precision >= 0 && l.precision < runeCount(s) {
			s = s[:runeOffset(s, l.precision)]
		}
		if l.align == 0 {
			l.align = '<'
		}
		padded, err := r.pad(s, l.width, l.fill, l.align)
		if err != nil {
			return err
		}
		return out.write(padded)
	}
	if l.align == 0 {
		l.align = '>'
	}
	if l.comma && (l.fill == "0" || strings.IndexByte("xXob", l.verb) >= 0) {
		return fail(notSupported, "commas with zeros or bases in a format specification")
	}
	if b, ok := v.(boolean); ok && l.verb == 0 {
		return fail(notSupported, "a format specification for %v", b)
	}
	if b, ok := whole(v); ok && strings.IndexByte("\x00dxXob", l.verb) >= 0 {
		if l.precision >= 0 {
			return fail(valueError, "Precision not allowed in integer format specifier")
		}
		return r.writeInt(out, b, l)
	}
	f, ok, err := real(v)
	if err != nil {
		return err
	}
	if !ok {
		return fail(typeError, "unsupported format string passed to %s.__format__", typeName(v))
	}
	if l.verb == 0 || strings.IndexByte("fFeEgG%", l.verb) < 0 {
		return fail(notSupported, "such a format specification for a %s", typeName(v))
	}
	return r.writeFloat(out, f, l)
}
