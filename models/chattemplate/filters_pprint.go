package chattemplate

import (
	"slices"
	"strings"
)

// pprintWidth is how wide the reference's pretty printer lets lines be.
const pprintWidth = 80

// filterPPrint is Python's pprint.pformat: keys in order, and values that do
// not fit in a line over several.
func filterPPrint(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("pprint", 0); err != nil {
		return nil, err
	}
	p := &prettyPrinter{r: r, out: r.meter.text()}
	v, err := p.ordered(of)
	if err != nil {
		return nil, err
	}
	if err := p.print(v, 0, 0, 0); err != nil {
		return nil, err
	}
	return str(p.out.String()), nil
}

// prettyPrinter writes values. indent is the column where a value starts, and
// allowance the characters that must fit behind it.
type prettyPrinter struct {
	r   *render
	out *builder
}

func (p *prettyPrinter) print(v value, indent, allowance, level int) error {
	if err := p.r.enter(); err != nil {
		return err
	}
	defer p.r.leave()
	flat, err := p.r.repr(v)
	if err != nil {
		return err
	}
	if runeCount(flat) <= pprintWidth-indent-allowance {
		return p.out.write(flat)
	}
	switch v := v.(type) {
	case *dict:
		return p.dict(v, indent, allowance+1, level+1)
	case *list:
		return p.items("[", v.items, "]", indent, allowance, level+1)
	case tuple:
		if len(v) == 1 {
			return p.items("(", v, ",)", indent, allowance, level+1)
		}
		return p.items("(", v, ")", indent, allowance, level+1)
	case str:
		return p.text(string(v), indent, allowance, level+1)
	}
	return p.out.write(flat)
}

// ordered sorts the keys of v's dicts.
func (p *prettyPrinter) ordered(v value) (value, error) {
	if err := p.r.enter(); err != nil {
		return nil, err
	}
	defer p.r.leave()
	all := func(items []value) ([]value, error) {
		out := make([]value, len(items))
		for i, item := range items {
			var err error
			if out[i], err = p.ordered(item); err != nil {
				return nil, err
			}
		}
		return out, p.r.alloc(valueSize * len(items))
	}
	switch v := v.(type) {
	case *list:
		items, err := all(v.items)
		return &list{items}, err
	case tuple:
		items, err := all(v)
		return tuple(items), err
	case *dict:
		var failed error
		entries := slices.Clone(v.entries)
		slices.SortStableFunc(entries, func(a, b entry) int {
			c, err := p.compare(a.key, b.key)
			if err != nil {
				failed = err
			}
			return c
		})
		d := newDict(len(entries))
		for _, e := range entries {
			item, err := p.ordered(e.value)
			if err != nil {
				return nil, err
			}
			if err := d.put(e.key, item); err != nil {
				return nil, err
			}
		}
		if failed == nil {
			failed = p.r.alloc(entrySize * len(entries))
		}
		return d, failed
	}
	return v, p.r.step(1)
}

// compare orders keys, and those that have no order by their types' names.
func (p *prettyPrinter) compare(a, b value) (int, error) {
	less, err := p.r.order("<", a, b)
	if err == nil && less {
		return -1, nil
	}
	if err == nil {
		less, err = p.r.order("<", b, a)
		if less {
			return 1, err
		}
	}
	if failed, ok := err.(*RenderError); ok && failed.Kind == typeError {
		return strings.Compare(typeName(a), typeName(b)), nil
	}
	return 0, err
}

func (p *prettyPrinter) newLine(indent int) error {
	return p.out.write("\n" + strings.Repeat(" ", indent))
}

func (p *prettyPrinter) dict(d *dict, indent, allowance, level int) error {
	return wrapped(p.out, "{", "}", func() error {
		for i, e := range d.entries {
			key, err := p.r.repr(e.key)
			if err != nil {
				return err
			}
			if err := p.out.write(key + ": "); err != nil {
				return err
			}
			if err := p.item(e.value, i, len(d.entries), indent+1, indent+1+runeCount(key)+2, allowance, level); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *prettyPrinter) items(open string, items []value, end string, indent, allowance, level int) error {
	return wrapped(p.out, open, end, func() error {
		for i, v := range items {
			if err := p.item(v, i, len(items), indent+1, indent+1, allowance+len(end), level); err != nil {
				return err
			}
		}
		return nil
	})
}

// item writes item i of n and what separates it from the next, which starts at
// column margin.
func (p *prettyPrinter) item(v value, i, n, margin, indent, allowance, level int) error {
	if i == n-1 {
		return p.print(v, indent, allowance, level)
	}
	if err := p.print(v, indent, 1, level); err != nil {
		return err
	}
	if err := p.out.write(","); err != nil {
		return err
	}
	return p.newLine(margin)
}

// text writes a long text as several literals, broken at ends of lines and
// after blanks.
func (p *prettyPrinter) text(s string, indent, allowance, level int) error {
	if level == 1 {
		indent++
		allowance++
	}
	chunks, err := p.chunks(s, pprintWidth-indent, allowance)
	if err != nil {
		return err
	}
	write := func() error {
		for i, chunk := range chunks {
			if i > 0 {
				if err := p.newLine(indent); err != nil {
					return err
				}
			}
			if err := p.out.write(chunk); err != nil {
				return err
			}
		}
		return nil
	}
	if level > 1 || len(chunks) == 1 {
		return write()
	}
	return wrapped(p.out, "(", ")", write)
}

func (p *prettyPrinter) chunks(s string, width, allowance int) ([]string, error) {
	var chunks []string
	lines := splitLines(s, true)
	for i, line := range lines {
		last := i == len(lines)-1
		quoted, err := p.r.repr(str(line))
		if err != nil {
			return nil, err
		}
		most := width
		if last {
			most -= allowance
		}
		if runeCount(quoted) <= most {
			chunks = append(chunks, quoted)
			continue
		}
		current, held := "", ""
		for line != "" {
			// A part is a word with the blanks behind it.
			end := len(line) - len(strings.TrimLeftFunc(strings.TrimLeftFunc(line, func(c rune) bool { return !isSpace(c) }), isSpace))
			part := line[:end]
			line = line[end:]
			most = width
			if last && line == "" {
				most -= allowance
			}
			candidate, err := p.r.repr(str(current + part))
			if err != nil {
				return nil, err
			}
			if runeCount(candidate) <= most {
				current, held = current+part, candidate
				continue
			}
			if current != "" {
				chunks = append(chunks, held)
			}
			current = part
			if held, err = p.r.repr(str(part)); err != nil {
				return nil, err
			}
		}
		if current != "" {
			chunks = append(chunks, held)
		}
	}
	return chunks, nil
}
