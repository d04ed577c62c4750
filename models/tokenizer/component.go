package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// maxDepth bounds how deep Sequences may be nested in a file.
const maxDepth = 8

// component is one `{"type": …}` object of the file, not yet interpreted.
type component struct {
	field string // where it stands, as pre_tokenizer.pretokenizers[1]
	kind  string // its type
	raw   json.RawMessage
	depth int
}

// newComponent reads the type of the object at field.
func newComponent(field string, raw json.RawMessage, depth int) (component, error) {
	c := component{field: field, raw: raw, depth: depth}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return c, refuse(field, "", "not an object with a type: %v", err)
	}
	if head.Type == "" {
		return c, refuse(field, "", "the type is missing")
	}
	if depth > maxDepth {
		return c, refuse(field, head.Type, "nested deeper than %d", maxDepth)
	}
	c.kind = head.Type
	return c, nil
}

// strays are fields of ByteLevel that families of files have in other
// components too, where the reference does not look at them.
var strays = []string{"add_prefix_space", "trim_offsets", "use_regex"}

// read fills the struct v, which must have a field for every key of c.
func (c component) read(v any) error {
	err := strictly(c.raw, v)
	if err == nil {
		return nil
	}
	for _, name := range strays {
		if !strings.Contains(err.Error(), `unknown field "`+name+`"`) {
			continue
		}
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(c.raw, &fields); err != nil {
			return c.refuse("%v", err)
		}
		for _, name := range strays {
			delete(fields, name)
		}
		rest, err := json.Marshal(fields)
		if err != nil {
			return c.refuse("%v", err)
		}
		if err := strictly(rest, v); err != nil {
			return c.refuse("%v", err)
		}
		return nil
	}
	return c.refuse("%v", err)
}

// readLarge is read for a model: the fields in large, which are most of the
// file, are taken out and read on their own instead of being looked through once
// more for each of the layers of encoding/json.
func (c component) readLarge(v any, large map[string]json.Unmarshaler) error {
	scan := cursor{text: string(c.raw)}
	fields, err := scan.fields()
	if err != nil {
		return c.refuse("%v", err)
	}
	for name, target := range large {
		raw, ok := fields[name]
		if !ok {
			continue
		}
		if err := target.UnmarshalJSON(raw); err != nil {
			return c.refuse("%v", err)
		}
		delete(fields, name)
	}
	rest, err := json.Marshal(fields)
	if err != nil {
		return c.refuse("%v", err)
	}
	c.raw = rest
	return c.read(v)
}

// strictly decodes raw into v, which must have a field for every key.
func strictly(raw json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// children reads the components of a Sequence from the list named key.
func (c component) children(key string, list []json.RawMessage) ([]component, error) {
	var out []component
	for i, raw := range list {
		child, err := newComponent(fmt.Sprintf("%s.%s[%d]", c.field, key, i), raw, c.depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, child)
	}
	return out, nil
}

// flatten lists the stages of nested Sequences, which name them in the field
// key, in order.
func (c component) flatten(key string) ([]component, error) {
	if c.kind != "Sequence" {
		return []component{c}, nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(c.raw, &fields); err != nil {
		return nil, c.refuse("%v", err)
	}
	var stages []json.RawMessage
	for name, raw := range fields {
		if name == "type" {
			continue
		}
		if name != key {
			return nil, c.refuse("json: unknown field %q", name)
		}
		if err := json.Unmarshal(raw, &stages); err != nil {
			return nil, c.refuse("%v", err)
		}
	}
	if fields[key] == nil {
		return nil, c.refuse("%s are missing", key)
	}
	children, err := c.children(key, stages)
	if err != nil {
		return nil, err
	}
	var list []component
	for _, child := range children {
		inner, err := child.flatten(key)
		if err != nil {
			return nil, err
		}
		list = append(list, inner...)
	}
	return list, nil
}

// refuse says why c is not understood.
func (c component) refuse(format string, args ...any) error {
	return refuse(c.field, c.kind, format, args...)
}

// unsupported refuses c as a whole.
func (c component) unsupported() error { return c.refuse("this type is not supported") }

// LoadError says which part of a tokenizer.json was refused.
type LoadError struct {
	Field  string // the JSON path
	Type   string // the component's type; empty if there is none
	Reason string
}

func (e *LoadError) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("tokenizer.json: %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("tokenizer.json: %s (%s): %s", e.Field, e.Type, e.Reason)
}

func refuse(field, kind, format string, args ...any) error {
	return &LoadError{Field: field, Type: kind, Reason: fmt.Sprintf(format, args...)}
}

// absent says whether an optional field is missing or null.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
