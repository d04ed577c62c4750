package chattemplate

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// layout is how one value is formatted, by a % directive or a {:spec}.
type layout struct {
	fill        string
	filled      bool // fill was given
	align       byte // < > ^ = or 0 for the type's own
	sign        byte // + or blank for positive numbers, else 0
	signed      bool // a sign was given, be it the minus that changes nothing
	noMinusZero bool // z: a number that rounds to zero has no minus
	alternate   bool // #
	zero        bool // fill with zeros between sign and digits
	group       byte // , or _ between groups of digits, or 0
	width       int64
	precision   int // -1 if there is none
	verb        byte
}

// percent is Python's text % arguments: a tuple gives them in turn, a mapping by
// name, anything else is the only one. With escape it is that of escaped text,
// which escapes every argument.
func (r *render) percent(s string, with value, escape bool) (string, error) {
	args, isTuple := with.(tuple)
	if !isTuple {
		args = tuple{with}
	}
	d, isDict := with.(*dict)
	out, used, named := r.meter.text(), 0, false
	take := func() (value, error) {
		if used >= len(args) {
			return nil, fail(typeError, "not enough arguments for format string")
		}
		used++
		return args[used-1], nil
	}
	for s != "" {
		plain, rest, found := strings.Cut(s, "%")
		if err := out.write(plain); err != nil {
			return "", err
		}
		if !found {
			break
		}
		name, l, rest, err := percentLayout(rest, take)
		if err != nil {
			return "", err
		}
		s = rest
		if l.verb == '%' {
			if err := out.write("%"); err != nil {
				return "", err
			}
			continue
		}
		var v value
		if name == nil {
			v, err = take()
		} else {
			named = true
			v, err = namedArgument(d, isDict, *name)
		}
		if err != nil {
			return "", err
		}
		if err := r.writePercent(out, v, l, escape); err != nil {
			return "", err
		}
	}
	if used < len(args) && !named && !isDict {
		// What could be indexed passes for a mapping, which may hold too much.
		switch with.(type) {
		case *list, *intRange, *undefined:
		default:
			return "", fail(typeError, "not all arguments converted during string formatting")
		}
	}
	return out.String(), nil
}

func namedArgument(d *dict, ok bool, name string) (value, error) {
	if !ok {
		return nil, fail(typeError, "format requires a mapping")
	}
	v, ok := d.lookup(name)
	if !ok {
		return nil, fail(keyError, "%s", quoted(name))
	}
	return v, nil
}

// percentLayout reads what follows a %: (name), flags, width, .precision, verb.
func percentLayout(s string, take func() (value, error)) (name *string, l layout, rest string, err error) {
	l = layout{fill: " ", align: '>', precision: -1}
	if strings.HasPrefix(s, "(") {
		n, after, ok := strings.Cut(s[1:], ")")
		if !ok || strings.Contains(n, "(") {
			return nil, l, "", fail(valueError, "incomplete format key")
		}
		name, s = &n, after
	}
	for s != "" && strings.IndexByte("-+ #0", s[0]) >= 0 {
		switch c := s[0]; c {
		case '-':
			l.align = '<'
		case '0':
			l.zero = true
		case '#':
			l.alternate = true
		case '+':
			l.sign = c
		default:
			if l.sign == 0 {
				l.sign = c
			}
		}
		s = s[1:]
	}
	if l.width, s, err = percentNumber(s, take); err != nil {
		return nil, l, "", err
	}
	if l.width < 0 {
		l.align, l.width = '<', -l.width
	}
	if strings.HasPrefix(s, ".") {
		var p int64
		if p, s, err = percentNumber(s[1:], take); err != nil {
			return nil, l, "", err
		}
		l.precision = int(max(0, p))
	}
	if s == "" {
		return nil, l, "", fail(valueError, "incomplete format")
	}
	l.verb = s[0]
	return name, l, s[1:], nil
}

// percentNumber reads digits, or the next argument for a star.
func percentNumber(s string, take func() (value, error)) (n int64, rest string, err error) {
	if rest, ok := strings.CutPrefix(s, "*"); ok {
		v, err := take()
		if err != nil {
			return 0, "", err
		}
		n, err := needInt(v, 0)
		return n, rest, err
	}
	size := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if size == 0 {
		return 0, s, nil
	}
	if n, err = strconv.ParseInt(s[:size], 10, 32); err != nil {
		return 0, "", fail(valueError, "width too big")
	}
	return n, s[size:], nil
}

func (r *render) writePercent(out *builder, v value, l layout, escape bool) error {
	switch l.verb {
	case 's', 'r', 'a', 'c':
		text, err := r.percentText(v, l.verb, escape)
		if err != nil {
			return err
		}
		if l.precision >= 0 && l.precision < runeCount(text) && l.verb != 'c' {
			text = text[:runeOffset(text, l.precision)]
		}
		l.zero = false
		return r.writeNumber(out, "", text, l)
	case 'd', 'i', 'u', 'x', 'X', 'o':
		if f, ok := v.(float); ok && strings.IndexByte("diu", l.verb) >= 0 {
			if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
				return fail(overflowError, "cannot convert float %s to integer", floatText(float64(f)))
			}
			var err error
			if v, err = truncated(float64(f), none{}); err != nil {
				return err
			}
		}
		b, ok := whole(v)
		if !ok {
			return fail(typeError, "%%%c format: a real number is required, not %s", l.verb, typeName(v))
		}
		return r.writeInt(out, b, l)
	case 'f', 'F', 'e', 'E', 'g', 'G':
		f, ok, err := real(v)
		if err != nil {
			return err
		}
		if !ok {
			return fail(typeError, "must be real number, not %s", typeName(v))
		}
		return r.writeFloat(out, f, l)
	}
	return fail(valueError, "unsupported format character '%c'", l.verb)
}

// percentText is what %s, %r, %a and %c write.
func (r *render) percentText(v value, verb byte, escape bool) (text string, err error) {
	switch verb {
	case 's':
		if m, ok := v.(markup); ok {
			return string(m), nil
		}
		text, err = r.text(v)
	case 'r':
		text, err = r.repr(v)
	case 'a':
		text, err = r.ascii(v)
	default:
		return percentChar(v)
	}
	if err == nil && escape {
		text, err = r.escaped(text)
	}
	return text, err
}

func percentChar(v value) (string, error) {
	if s, ok := textOf(v); ok && runeCount(s) == 1 {
		return s, nil
	}
	b, ok := whole(v)
	if !ok {
		return "", fail(typeError, "%%c requires int or char")
	}
	if !b.IsInt64() || b.Int64() < 0 || b.Int64() > utf8.MaxRune {
		return "", fail(overflowError, "%%c arg not in range(0x110000)")
	}
	return string(rune(b.Int64())), nil
}

func (r *render) writeInt(out *builder, b *big.Int, l layout) error {
	base, prefix, size := 10, "", 4
	switch l.verb {
	case 'x', 'X':
		base, prefix = 16, "0x"
	case 'o':
		base, prefix = 8, "0o"
	case 'b':
		base, prefix = 2, "0b"
	default:
		size = 3
		if _, err := intText(b); err != nil {
			return err
		}
	}
	digits := new(big.Int).Abs(b).Text(base)
	if missing := l.precision - len(digits); missing > 0 {
		zeros, err := r.repeatText("0", missing)
		if err != nil {
			return err
		}
		digits = zeros + digits
	}
	if !l.alternate {
		prefix = ""
	}
	if l.verb == 'X' {
		digits, prefix = strings.ToUpper(digits), strings.ToUpper(prefix)
	}
	return r.writeGrouped(out, signOf(b.Sign() < 0, l.sign)+prefix, digits, size, l)
}

// maxPrecision bounds the digits after a float's point.
const maxPrecision = 1000

func (r *render) writeFloat(out *builder, f float64, l layout) error {
	if l.precision > maxPrecision {
		return &LimitError{What: "digits after a point", Max: maxPrecision}
	}
	digits := floatDigits(f, l)
	negative := math.Signbit(f) && !math.IsNaN(f)
	if l.noMinusZero && strings.Trim(digits, "0.%eE+-") == "" {
		negative = false
	}
	return r.writeGrouped(out, signOf(negative, l.sign), digits, 3, l)
}

func signOf(negative bool, positive byte) string {
	switch {
	case negative:
		return "-"
	case positive != 0:
		return string(rune(positive))
	}
	return ""
}

// writeGrouped puts separators into digits. Zeros that fill up to the width
// come before that, so that they get separators too.
func (r *render) writeGrouped(out *builder, head, digits string, size int, l layout) error {
	if l.group == 0 {
		return r.writeNumber(out, head, digits, l)
	}
	text := grouped(digits, l.group, size)
	if l.zero || l.align == '=' && l.fill == "0" {
		missing := l.width - int64(len(head)+len(text))
		if missing > 0 {
			// Of size+1 characters one is a separator.
			whole := digits
			for int64(len(head)+len(text)) < l.width {
				zeros, err := r.repeatText("0", int(max(1, min(missing, 1<<31)*int64(size)/int64(size+1))))
				if err != nil {
					return err
				}
				whole = zeros + whole
				text = grouped(whole, l.group, size)
				missing = l.width - int64(len(head)+len(text))
			}
		}
		l.width = 0
	}
	return r.writeNumber(out, head, text, l)
}

// writeNumber writes head, which is a sign and a prefix, and text, filled up to
// the layout's width. Numbers stand at the right, and zeros between the two.
func (r *render) writeNumber(out *builder, head, text string, l layout) error {
	if l.zero && l.align != '<' || l.align == '=' {
		fill := l.fill
		if l.zero {
			fill = "0"
		}
		padded, err := r.pad(text, l.width-int64(runeCount(head)), fill, '>')
		if err != nil {
			return err
		}
		return out.write(head + padded)
	}
	align := l.align
	if align == 0 {
		align = '>'
	}
	padded, err := r.pad(head+text, l.width, l.fill, align)
	if err != nil {
		return err
	}
	return out.write(padded)
}
