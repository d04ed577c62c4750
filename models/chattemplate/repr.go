package chattemplate

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text is what printing v writes: Python's str(v).
func (r *render) text(v value) (string, error) {
	switch v := v.(type) {
	case str:
		return string(v), nil
	case markup:
		return string(v), nil
	case *undefined:
		return "", nil
	}
	return r.repr(v)
}

// repr is Python's repr(v).
func (r *render) repr(v value) (string, error) {
	b := r.meter.text()
	if err := r.writeRepr(b, v); err != nil {
		return "", err
	}
	return b.String(), nil
}

// ascii is Python's ascii(v): its repr with escapes for all but ASCII.
func (r *render) ascii(v value) (string, error) {
	s, err := r.repr(v)
	if err != nil || isASCII(s) {
		return s, err
	}
	out := r.meter.text()
	var sb strings.Builder
	for _, c := range s {
		if err := out.flush(&sb); err != nil {
			return "", err
		}
		if c < utf8.RuneSelf {
			sb.WriteRune(c)
		} else {
			writeEscape(&sb, c)
		}
	}
	err = out.write(sb.String())
	return out.String(), err
}

func (r *render) writeRepr(b *builder, v value) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case none:
		return b.write("None")
	case boolean:
		if v {
			return b.write("True")
		}
		return b.write("False")
	case integer:
		return b.write(strconv.FormatInt(int64(v), 10))
	case *big.Int:
		s, err := intText(v)
		if err != nil {
			return err
		}
		return b.write(s)
	case float:
		return b.write(floatText(float64(v)))
	case str:
		return writeQuoted(b, string(v))
	case *undefined:
		return b.write("Undefined")
	}
	return r.writeReprObject(b, v)
}

// writeReprObject writes what has parts.
func (r *render) writeReprObject(b *builder, v value) error {
	switch v := v.(type) {
	case markup:
		return wrapped(b, "Markup(", ")", func() error { return writeQuoted(b, string(v)) })
	case *list:
		return wrapped(b, "[", "]", func() error { return r.writeItems(b, v.items) })
	case tuple:
		end := ")"
		if len(v) == 1 {
			end = ",)"
		}
		return wrapped(b, "(", end, func() error { return r.writeItems(b, v) })
	case *group:
		return r.writeReprObject(b, v.pair())
	case *dict:
		return r.writeReprDict(b, v)
	case *namespace:
		return wrapped(b, "<Namespace ", ">", func() error { return r.writeReprDict(b, v.attrs) })
	case *intRange:
		if v.step == 1 {
			return b.write(fmt.Sprintf("range(%d, %d)", v.start, v.stop))
		}
		return b.write(fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step))
	case *view:
		items := make([]value, v.of.len())
		for i := range items {
			items[i] = v.at(i)
		}
		return wrapped(b, v.kind+"([", "])", func() error { return r.writeItems(b, items) })
	case *loop:
		n, err := v.length()
		if err != nil {
			return err
		}
		return b.write(fmt.Sprintf("<LoopContext %d/%d>", v.index0+1, n))
	case *macro:
		return wrapped(b, "<Macro ", ">", func() error {
			if v.name == "" {
				return b.write("anonymous")
			}
			return writeQuoted(b, v.name)
		})
	}
	// The reference prints a memory address here, which no prompt can mean.
	return fail(notSupported, "printing a %s (use the filter list, or call it)", typeName(v))
}

func wrapped(b *builder, open, end string, body func() error) error {
	if err := b.write(open); err != nil {
		return err
	}
	if err := body(); err != nil {
		return err
	}
	return b.write(end)
}

func (r *render) writeItems(b *builder, items []value) error {
	for i, item := range items {
		if i > 0 {
			if err := b.write(", "); err != nil {
				return err
			}
		}
		if err := r.writeRepr(b, item); err != nil {
			return err
		}
	}
	return nil
}

func (r *render) writeReprDict(b *builder, d *dict) error {
	return wrapped(b, "{", "}", func() error {
		for i, e := range d.entries {
			if i > 0 {
				if err := b.write(", "); err != nil {
					return err
				}
			}
			if err := r.writeRepr(b, e.key); err != nil {
				return err
			}
			if err := b.write(": "); err != nil {
				return err
			}
			if err := r.writeRepr(b, e.value); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeQuoted writes s as a Python string literal: single quotes unless only
// they would need escaping, and escapes for what cannot be printed.
func writeQuoted(b *builder, s string) error {
	quote := '\''
	if strings.ContainsRune(s, '\'') && !strings.ContainsRune(s, '"') {
		quote = '"'
	}
	var sb strings.Builder
	sb.WriteRune(quote)
	for _, c := range s {
		if err := b.flush(&sb); err != nil {
			return err
		}
		switch {
		case c == quote || c == '\\':
			sb.WriteRune('\\')
			sb.WriteRune(c)
		case c == '\n':
			sb.WriteString(`\n`)
		case c == '\r':
			sb.WriteString(`\r`)
		case c == '\t':
			sb.WriteString(`\t`)
		case unicode.IsPrint(c):
			sb.WriteRune(c)
		default:
			writeEscape(&sb, c)
		}
	}
	sb.WriteRune(quote)
	return b.write(sb.String())
}

func writeEscape(sb *strings.Builder, c rune) {
	switch {
	case c < 0x100:
		fmt.Fprintf(sb, `\x%02x`, c)
	case c < 0x10000:
		fmt.Fprintf(sb, `\u%04x`, c)
	default:
		fmt.Fprintf(sb, `\U%08x`, c)
	}
}
