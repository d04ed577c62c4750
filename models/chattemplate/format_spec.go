package chattemplate

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatSpec is Python's format(v, spec).
func (r *render) formatSpec(v value, spec string) (string, error) {
	if spec == "" {
		return r.text(v)
	}
	s, isText := textOf(v)
	if !isText && !isNumber(v) {
		return "", fail(typeError, "unsupported format string passed to %s.__format__", typeName(v))
	}
	l, err := parseSpec(spec)
	if err != nil {
		return "", err
	}
	out := r.meter.text()
	switch {
	case isText:
		err = r.writeTextSpec(out, s, l)
	case typeName(v) == "float" || l.verb != 0 && strings.IndexByte("eEfFgG%", l.verb) >= 0:
		err = r.writeFloatSpec(out, v, l)
	default:
		b, _ := whole(v)
		err = r.writeIntSpec(out, b, l)
	}
	return out.String(), err
}

// parseSpec reads [[fill]align][sign][z][#][0][width][grouping][.precision][type].
func parseSpec(spec string) (layout, error) {
	l := layout{fill: " ", precision: -1}
	isAlign := func(s string) bool { return s != "" && strings.IndexByte("<>^=", s[0]) >= 0 }
	if _, n := utf8.DecodeRuneInString(spec); isAlign(spec[n:]) {
		l.fill, l.align, spec = spec[:n], spec[n], spec[n+1:]
		l.filled = true
	} else if isAlign(spec) {
		l.align, spec = spec[0], spec[1:]
	}
	if spec != "" && strings.IndexByte("+- ", spec[0]) >= 0 {
		l.signed = true
		if spec[0] != '-' {
			l.sign = spec[0]
		}
		spec = spec[1:]
	}
	l.noMinusZero, spec = cutPrefix(spec, "z")
	l.alternate, spec = cutPrefix(spec, "#")
	if zero, rest := cutPrefix(spec, "0"); zero && !l.filled {
		spec, l.fill = rest, "0"
		l.zero = l.align == 0
	}
	var err error
	if l.width, spec, err = specNumber(spec); err != nil {
		return l, err
	}
	for _, g := range [...]byte{',', '_'} {
		if spec != "" && spec[0] == g {
			if l.group != 0 {
				return l, fail(valueError, "Cannot specify both ',' and '_'.")
			}
			l.group, spec = g, spec[1:]
		}
	}
	if strings.HasPrefix(spec, ".") {
		digits := len(spec) - 1
		var p int64
		if p, spec, err = specNumber(spec[1:]); err != nil {
			return l, err
		}
		if len(spec) == digits {
			return l, fail(valueError, "Format specifier missing precision")
		}
		l.precision = int(p)
	}
	if len(spec) > 1 {
		return l, fail(valueError, "Invalid format specifier")
	}
	if spec != "" {
		l.verb = spec[0]
	}
	return l, nil
}

func cutPrefix(s, prefix string) (bool, string) {
	rest, ok := strings.CutPrefix(s, prefix)
	return ok, rest
}

func specNumber(s string) (int64, string, error) {
	n := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if n == 0 {
		return 0, s, nil
	}
	v, err := strconv.ParseInt(s[:n], 10, 32)
	if err != nil {
		return 0, "", fail(valueError, "Too many decimal digits in format string")
	}
	return v, s[n:], nil
}

func unknownVerb(l layout, kind string) error {
	return fail(valueError, "Unknown format code '%c' for object of type '%s'", l.verb, kind)
}

func (r *render) writeTextSpec(out *builder, s string, l layout) error {
	switch {
	case l.verb != 0 && l.verb != 's':
		return unknownVerb(l, "str")
	case l.signed || l.alternate || l.noMinusZero || l.align == '=' || l.group != 0:
		return fail(valueError, "a sign, '=', '#', 'z' or grouping is not allowed in string format specifier")
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

func (r *render) writeIntSpec(out *builder, b *big.Int, l layout) error {
	if l.verb == 0 {
		l.verb = 'd'
	}
	switch {
	case strings.IndexByte("dnxXobc", l.verb) < 0:
		return unknownVerb(l, "int")
	case l.precision >= 0:
		return fail(valueError, "Precision not allowed in integer format specifier")
	case l.noMinusZero:
		return fail(valueError, "Negative zero coercion (z) not allowed in integer format specifier")
	case l.group != 0 && (strings.IndexByte("nc", l.verb) >= 0 || l.group == ',' && l.verb != 'd'):
		return fail(valueError, "Cannot specify '%c' with '%c'.", l.group, l.verb)
	}
	if l.verb == 'c' {
		if l.signed || l.alternate {
			return fail(valueError, "Sign or # not allowed with integer format specifier 'c'")
		}
		if !b.IsInt64() || b.Int64() < 0 || b.Int64() > utf8.MaxRune {
			return fail(overflowError, "%%c arg not in range(0x110000)")
		}
		return r.writeNumber(out, "", string(rune(b.Int64())), l)
	}
	return r.writeInt(out, b, l)
}

func (r *render) writeFloatSpec(out *builder, v value, l layout) error {
	f, _, err := real(v)
	if err != nil {
		return err
	}
	switch {
	case l.verb != 0 && strings.IndexByte("eEfFgGn%", l.verb) < 0:
		return unknownVerb(l, "float")
	case l.verb == 'n' && l.group != 0:
		return fail(valueError, "Cannot specify '%c' with 'n'.", l.group)
	case l.verb == 'n':
		l.verb = 'g'
	}
	return r.writeFloat(out, f, l)
}

// plainFloat is a float's text without a type: its repr, or with a precision
// %g with at least one digit after the point.
func plainFloat(a float64, precision int, keep bool) string {
	if precision < 0 {
		return floatText(a)
	}
	precision = max(precision, 1)
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(a, 'e', precision-1, 64), "e")
	exp, _ := strconv.Atoi(exponent)
	trim := trimZeros
	if keep {
		trim = func(s string) string { return s }
	}
	if exp < -4 || exp >= precision-1 {
		return trim(mantissa) + "e" + exponent
	}
	text := trim(strconv.FormatFloat(a, 'f', max(0, precision-1-exp), 64))
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// withPoint keeps the point that # asks for.
func withPoint(digits string) string {
	mantissa, exponent, found := strings.Cut(digits, "e")
	if strings.Contains(mantissa, ".") {
		return digits
	}
	if found {
		exponent = "e" + exponent
	}
	return mantissa + "." + exponent
}

// floatDigits is the text of |f| as l asks for it.
func floatDigits(f float64, l layout) string {
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
	case l.verb == 0:
		digits = plainFloat(a, l.precision, l.alternate)
	case l.verb == '%':
		digits = strconv.FormatFloat(a*100, 'f', precision, 64)
	case verb == 'g':
		digits = generalFloat(a, precision, l.alternate)
	default:
		digits = strconv.FormatFloat(a, verb, precision, 64)
	}
	if l.alternate && !math.IsInf(f, 0) && !math.IsNaN(f) {
		digits = withPoint(digits)
	}
	if l.verb == '%' {
		return digits + "%"
	}
	if l.verb != 0 && l.verb != verb {
		digits = strings.ToUpper(digits)
	}
	return digits
}

// generalFloat is C's %g: precision significant digits without zeros at the
// end unless they are kept, and an exponent where it is below −4 or not below
// the precision.
func generalFloat(a float64, precision int, keep bool) string {
	precision = max(precision, 1)
	trim := trimZeros
	if keep {
		trim = func(s string) string { return s }
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(a, 'e', precision-1, 64), "e")
	exp, _ := strconv.Atoi(exponent)
	if exp < -4 || exp >= precision {
		return trim(mantissa) + "e" + exponent
	}
	return trim(strconv.FormatFloat(a, 'f', precision-1-exp, 64))
}

// grouped puts a separator between every size digits of the whole part.
func grouped(digits string, sep byte, size int) string {
	n := len(digits) - len(strings.TrimLeft(digits, "0123456789abcdefABCDEF"))
	if size == 3 {
		n = len(digits) - len(strings.TrimLeft(digits, "0123456789"))
	}
	var sb strings.Builder
	for i := range n {
		if i > 0 && (n-i)%size == 0 {
			sb.WriteByte(sep)
		}
		sb.WriteByte(digits[i])
	}
	return sb.String() + digits[n:]
}
