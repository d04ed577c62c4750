package chattemplate

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// layout is how one value is formatted, by a % directive or a {:spec}.
type layout struct {
	fill      string
	align     byte // < > ^ = or 0 for the type's own
	sign      byte // + or blank for positive numbers, else 0
	alternate bool
	comma     bool
	width     int64
	precision int // -1 if there is none
	verb      byte
}

// percent is Python's text % arguments: a tuple gives them in turn, a mapping by
// name, anything else is the only one.
func (r *render) percent(s string, with value) (string, error) {
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
		if err := r.writePercent(out, v, l); err != nil {
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
			l.fill = "0"
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

func (r *render) writePercent(out *builder, v value, l layout) error {
	var text string
	var err error
	switch l.verb {
	case 's', 'r':
		if l.verb == 's' {
			text, err = r.text(v)
		} else {
			text, err = r.repr(v)
		}
		if err != nil {
			return err
		}
		if _, ok := v.(markup); ok && l.verb == 's' {
			return fail(notSupported, "%% with escaped text")
		}
		if l.precision >= 0 && l.precision < runeCount(text) {
			text = text[:runeOffset(text, l.precision)]
		}
		l.fill = " "
	case 'd', 'i', 'u', 'x', 'X', 'o':
		if f, ok := v.(float); ok && strings.IndexByte("diu", l.verb) >= 0 {
			if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
				return fail(overflowError, "cannot convert float %s to integer", floatText(float64(f)))
			}
			if v, err = truncated(float64(f), none{}); err != nil {
				return err
			}
		}
		b, ok := whole(v)
		if !ok {
			return fail(typeError, "%%%c format: a number is required, not %s", l.verb, typeName(v))
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
	default:
		return fail(notSupported, "the format directive %%%c", l.verb)
	}
	return r.writePadded(out, "", text, l)
}

func (r *render) writeInt(out *builder, b *big.Int, l layout) error {
	base, prefix := 10, ""
	switch l.verb {
	case 'x', 'X':
		base, prefix = 16, "0x"
	case 'o':
		base, prefix = 8, "0o"
	case 'b':
		base, prefix = 2, "0b"
	}
	if base == 10 {
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
	if l.comma {
		digits = grouped(digits)
	}
	if !l.alternate {
		prefix = ""
	}
	if l.verb == 'X' {
		digits, prefix = strings.ToUpper(digits), strings.ToUpper(prefix)
	}
	return r.writePadded(out, signOf(b.Sign() < 0, l.sign)+prefix, digits, l)
}

// maxPrecision bounds the digits after a float's point.
const maxPrecision = 1000

func (r *render) writeFloat(out *builder, f float64, l layout) error {
	if l.alternate || l.precision > maxPrecision {
		return fail(notSupported, "formatting a float with # or more than %d digits", maxPrecision)
	}
	precision := 6
	if l.precision >= 0 {
		precision = l.precision
	}
	verb := l.verb | 0x20
	a := math.Abs(f)
	var digits string
	switch {
	case math.IsInf(f, 0):
		digits = "inf"
	case math.IsNaN(f):
		digits = "nan"
	case verb == '%':
		digits = strconv.FormatFloat(a*100, 'f', precision, 64) + "%"
	case verb == 'g':
		digits = generalFloat(a, precision)
	default:
		digits = strconv.FormatFloat(a, verb, precision, 64)
	}
	if l.verb != verb && l.verb != '%' {
		digits = strings.ToUpper(digits)
	}
	if l.comma {
		digits = grouped(digits)
	}
	return r.writePadded(out, signOf(math.Signbit(f), l.sign), digits, l)
}

// generalFloat is C's %g: precision significant digits without zeros at the
// end, and an exponent where it is below −4 or not below the precision.
func generalFloat(a float64, precision int) string {
	precision = max(precision, 1)
	e := strconv.FormatFloat(a, 'e', precision-1, 64)
	mantissa, exponent, _ := strings.Cut(e, "e")
	exp, _ := strconv.Atoi(exponent)
	trim := func(s string) string {
		if !strings.Contains(s, ".") {
			return s
		}
		return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	if exp < -4 || exp >= precision {
		return trim(mantissa) + "e" + exponent
	}
	return trim(strconv.FormatFloat(a, 'f', precision-1-exp, 64))
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

// grouped puts a comma between thousands.
func grouped(digits string) string {
	n := len(digits) - len(strings.TrimLeft(digits, "0123456789"))
	var sb strings.Builder
	for i := range n {
		if i > 0 && (n-i)%3 == 0 {
			sb.WriteByte(',')
		}
		sb.WriteByte(digits[i])
	}
	return sb.String() + digits[n:]
}

// writePadded writes sign and text, filled up to the layout's width. Zeros go
// between them.
func (r *render) writePadded(out *builder, sign, text string, l layout) error {
	if l.align == '=' || l.fill == "0" && l.align == '>' {
		padded, err := r.pad(text, l.width-int64(runeCount(sign)), l.fill, '>')
		if err != nil {
			return err
		}
		return out.write(sign + padded)
	}
	fill := l.fill
	if l.align == '<' && fill == "0" {
		fill = " " // %-05d is not filled with zeros
	}
	padded, err := r.pad(sign+text, l.width, fill, l.align)
	if err != nil {
		return err
	}
	return out.write(padded)
}
