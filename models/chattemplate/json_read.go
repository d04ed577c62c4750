package chattemplate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// readJSON turns JSON into values as Python's json.loads does: keys keep their
// order, the last of equal ones wins, 1 is an integer and 1.0 a float.
func readJSON(data []byte) (value, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the data is not valid UTF-8")
	}
	if half, found := loneSurrogate(data); found {
		return nil, fmt.Errorf("the data has half a surrogate pair (%s), which is no character", half)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("the data goes on after its JSON value")
	}
	return v, nil
}

// maxDataDepth bounds how deep data nests, as the reference's recursion does.
const maxDataDepth = 500

func readValue(d *json.Decoder, depth int) (value, error) {
	if depth > maxDataDepth {
		return nil, fmt.Errorf("the data nests deeper than %d levels", maxDataDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return none{}, nil
	case bool:
		return boolean(t), nil
	case string:
		return str(t), nil
	case json.Number:
		return readNumber(string(t))
	case json.Delim:
		if t == '[' {
			return readList(d, depth)
		}
	}
	return readDict(d, depth)
}

func readNumber(s string) (value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, err
		}
		return float(f), nil // beyond the range it is an infinity, as in Python
	}
	if v, ok := parseInt(s, 10); ok {
		return v, nil
	}
	return nil, fmt.Errorf("the data has an integer of %d digits", len(s))
}

func readList(d *json.Decoder, depth int) (value, error) {
	l := &list{}
	for d.More() {
		v, err := readValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, v)
	}
	_, err := d.Token()
	return l, err
}

func readDict(d *json.Decoder, depth int) (value, error) {
	m := newDict(4)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := readValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		m.set(key.(string), v)
	}
	_, err := d.Token()
	return m, err
}

// loneSurrogate finds an escape such as \ud800 without its other half. Python
// keeps it and fails when the prompt is encoded; Go would replace it in silence.
func loneSurrogate(data []byte) (string, bool) {
	unit := func(at int) int64 {
		if at+6 > len(data) || data[at] != '\\' || data[at+1] != 'u' {
			return -1
		}
		code, err := strconv.ParseInt(string(data[at+2:at+6]), 16, 32)
		if err != nil {
			return -1
		}
		return code
	}
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		code := unit(i)
		switch {
		case code >= 0xd800 && code < 0xdc00:
			if low := unit(i + 6); low < 0xdc00 || low > 0xdfff {
				return string(data[i : i+6]), true
			}
			i += 11
		case code >= 0xdc00 && code <= 0xdfff:
			return string(data[i : i+6]), true
		default:
			i++ // past the escaped character, which may be a backslash
		}
	}
	return "", false
}
