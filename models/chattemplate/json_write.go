package chattemplate

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// jsonStyle is how tojson lays text out.
type jsonStyle struct {
	ascii     bool
	indent    *string // nil for one line
	item, key string  // the separators
	sorted    bool
}

// filterToJSON is Python's json.dumps(value, ensure_ascii=False), which is what
// transformers puts in the place of Jinja's HTML-escaping filter.
func filterToJSON(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	style := jsonStyle{item: ", ", key: ": "}
	style.ascii = bound[0] != nil && truth(bound[0])
	style.sorted = bound[3] != nil && truth(bound[3])
	if err := r.jsonIndent(&style, bound[1]); err != nil {
		return nil, err
	}
	switch sep := bound[2].(type) {
	case nil, none:
	default:
		parts, err := r.unpack(sep, 2)
		if err != nil {
			return nil, err
		}
		item, okItem := textOf(parts[0])
		key, okKey := textOf(parts[1])
		if !okItem || !okKey {
			return nil, fail(typeError, "tojson: separators must be two strings")
		}
		style.item, style.key = item, key
	}
	out := r.meter.text()
	if err := r.writeJSON(out, of, style, 0); err != nil {
		return nil, err
	}
	return str(out.String()), nil
}

func (r *render) jsonIndent(style *jsonStyle, v value) error {
	switch v.(type) {
	case nil, none:
		return nil
	}
	margin, ok := textOf(v)
	if !ok {
		n, ok := index(v)
		if !ok {
			return fail(typeError, "tojson: indent must be a number or a string, not %s", typeName(v))
		}
		var err error
		if margin, err = r.repeatText(" ", int(max(0, min(n, 1<<31)))); err != nil {
			return err
		}
	}
	style.indent, style.item = &margin, ","
	return nil
}

func (r *render) writeJSON(out *builder, v value, style jsonStyle, level int) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case *list:
		return r.writeJSONItems(out, v.items, style, level)
	case tuple:
		return r.writeJSONItems(out, v, style, level)
	case *group:
		return r.writeJSONItems(out, v.pair(), style, level)
	case *dict:
		return r.writeJSONDict(out, v, style, level)
	case str, markup:
		s, _ := textOf(v)
		return writeJSONText(out, s, style.ascii)
	}
	s, err := jsonScalar(v)
	if err != nil {
		return err
	}
	return out.write(s)
}

func jsonScalar(v value) (string, error) {
	switch v := v.(type) {
	case none:
		return "null", nil
	case boolean:
		return strconv.FormatBool(bool(v)), nil
	case integer:
		return integerText(int64(v)), nil
	case *big.Int:
		return intText(v)
	case float:
		switch f := float64(v); {
		case math.IsNaN(f):
			return "NaN", nil
		case math.IsInf(f, 1):
			return "Infinity", nil
		case math.IsInf(f, -1):
			return "-Infinity", nil
		default:
			return floatText(f), nil
		}
	}
	return "", fail(typeError, "Object of type %s is not JSON serializable", typeName(v))
}

func (r *render) writeJSONItems(out *builder, items []value, style jsonStyle, level int) error {
	if len(items) == 0 {
		return out.write("[]")
	}
	return wrapped(out, "[", "]", func() error {
		for i, item := range items {
			if err := style.separate(out, i, level+1); err != nil {
				return err
			}
			if err := r.writeJSON(out, item, style, level+1); err != nil {
				return err
			}
		}
		return style.newline(out, level)
	})
}

// separate writes what comes before item i.
func (style jsonStyle) separate(out *builder, i, level int) error {
	if i > 0 {
		if err := out.write(style.item); err != nil {
			return err
		}
	}
	return style.newline(out, level)
}

func (style jsonStyle) newline(out *builder, level int) error {
	if style.indent == nil {
		return nil
	}
	if err := out.write("\n"); err != nil {
		return err
	}
	for range level {
		if err := out.write(*style.indent); err != nil {
			return err
		}
	}
	return nil
}

func (r *render) writeJSONDict(out *builder, d *dict, style jsonStyle, level int) error {
	if d.len() == 0 {
		return out.write("{}")
	}
	order := make([]value, d.len())
	pairs := make([]keyed, d.len())
	for i, e := range d.entries {
		order[i] = integer(i)
		pairs[i] = keyed{e.key, integer(i)}
	}
	if style.sorted {
		var err error
		if order, err = r.sorted(pairs, false); err != nil {
			return err
		}
	}
	return wrapped(out, "{", "}", func() error {
		for i, at := range order {
			e := d.entries[at.(integer)]
			if err := style.separate(out, i, level+1); err != nil {
				return err
			}
			key, ok := textOf(e.key)
			if !ok {
				var err error
				if key, err = jsonScalar(e.key); err != nil {
					return fail(typeError, "keys must be str, int, float, bool or None, not %s", typeName(e.key))
				}
			}
			if err := writeJSONText(out, key, style.ascii); err != nil {
				return err
			}
			if err := out.write(style.key); err != nil {
				return err
			}
			if err := r.writeJSON(out, e.value, style, level+1); err != nil {
				return err
			}
		}
		return style.newline(out, level)
	})
}

func writeJSONText(out *builder, s string, ascii bool) error {
	var sb strings.Builder
	sb.WriteByte('"')
	for _, c := range s {
		if err := out.flush(&sb); err != nil {
			return err
		}
		switch {
		case c == '"' || c == '\\':
			sb.WriteByte('\\')
			sb.WriteRune(c)
		case c == '\n':
			sb.WriteString(`\n`)
		case c == '\r':
			sb.WriteString(`\r`)
		case c == '\t':
			sb.WriteString(`\t`)
		case c == '\b':
			sb.WriteString(`\b`)
		case c == '\f':
			sb.WriteString(`\f`)
		case c < 0x20 || ascii && c > 0x7e && c < 0x10000:
			fmt.Fprintf(&sb, `\u%04x`, c)
		case ascii && c >= 0x10000:
			fmt.Fprintf(&sb, `\u%04x\u%04x`, 0xd800+(c-0x10000)>>10, 0xdc00+(c-0x10000)&0x3ff)
		default:
			sb.WriteRune(c)
		}
	}
	sb.WriteByte('"')
	return out.write(sb.String())
}
