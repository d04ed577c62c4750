package simulated

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

// refusal is a request's fault.
type refusal struct {
	status  int
	param   string // the field at fault, empty for none
	message string
}

func (r *refusal) Error() string { return r.message }

func refuse(param, format string, args ...any) error {
	return &refusal{http.StatusBadRequest, param, fmt.Sprintf(format, args...)}
}

// members decodes a JSON object into the places that fields names. It refuses members
// that are not named: what they ask for would not be done. A null is as if absent.
func members(data []byte, fields map[string]any) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return refuse("", "the body is no JSON object: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		to, known := fields[name]
		if !known {
			return refuse(name, "%q is not known to the simulated base", name)
		}
		if raw := object[name]; string(raw) != "null" {
			if err := json.Unmarshal(raw, to); err != nil {
				return refuse(name, "%s: %v", name, err)
			}
		}
	}
	return nil
}

// tokenIDs is a list of ids. A null in it is no id, unlike in a plain slice.
type tokenIDs []eft.Token

// UnmarshalJSON reads valid JSON.
func (l *tokenIDs) UnmarshalJSON(data []byte) error {
	inner, ok := bytes.CutPrefix(bytes.TrimSpace(data), []byte("["))
	if !ok {
		return fmt.Errorf("want a list of token ids")
	}
	inner = bytes.TrimSpace(bytes.TrimSuffix(inner, []byte("]")))
	*l = tokenIDs{}
	if len(inner) == 0 {
		return nil
	}
	for part := range bytes.SplitSeq(inner, []byte(",")) {
		id, err := strconv.ParseInt(string(bytes.TrimSpace(part)), 10, 32)
		if err != nil || id < 0 {
			return fmt.Errorf("%.20q is no token id", bytes.TrimSpace(part))
		}
		*l = append(*l, eft.Token(id))
	}
	return nil
}

// prompts are texts or lists of ids, one or several.
type prompts struct {
	texts []string
	ids   []tokenIDs
	list  bool // written as a list, if of one
}

// UnmarshalJSON tells the four forms apart by how they begin.
func (p *prompts) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if data[0] == '"' {
		p.texts = make([]string, 1)
		return json.Unmarshal(data, &p.texts[0])
	}
	var items []json.RawMessage
	if data[0] != '[' || json.Unmarshal(data, &items) != nil || len(items) == 0 {
		return fmt.Errorf("want a text, a list of token ids, or a list of either")
	}
	switch items[0][0] {
	case '[':
		p.list = true
		return json.Unmarshal(data, &p.ids)
	case '"':
		p.list = true
		return p.readTexts(items)
	}
	p.ids = make([]tokenIDs, 1)
	return json.Unmarshal(data, &p.ids[0])
}

func (p *prompts) readTexts(items []json.RawMessage) error {
	p.texts = make([]string, len(items))
	for i, item := range items {
		if item[0] != '"' {
			return fmt.Errorf("item %d is no text, unlike the first", i)
		}
		if err := json.Unmarshal(item, &p.texts[i]); err != nil {
			return err
		}
	}
	return nil
}

// words is a string or a list of them.
type words []string

// UnmarshalJSON takes both.
func (w *words) UnmarshalJSON(data []byte) error {
	var p prompts
	if err := p.UnmarshalJSON(data); err != nil || p.ids != nil {
		return fmt.Errorf("want a text or a list of texts")
	}
	*w = p.texts
	return nil
}
