package openai

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds how deep values nest; far below it lies all that is supported.
const maxDepth = 64

// reader reads one JSON document from left to right, value by value.
//
// Invariants: pos is the first byte not yet read; path leads to the value being
// read, so that whatever is wrong with it can be named; no byte is looked at more
// than a constant number of times. After an error the reader is not used again.
type reader struct {
	data []byte
	pos  int
	path []step
}

// kind is what a value turns out to be by its first byte.
type kind int

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// document reads a whole body, which must be one object and nothing after it.
func document(body []byte, member func(r *reader, key string) error) error {
	r := &reader{data: body}
	if r.space(); r.pos == len(r.data) {
		return r.fail(CodeInvalidJSON, "the body is empty; send a JSON object")
	}
	if err := r.object(func(key string) error { return member(r, key) }); err != nil {
		return err
	}
	if r.space(); r.pos < len(r.data) {
		return r.syntax(r.pos, "more data follows the object")
	}
	return nil
}

// kind looks at the value that comes next without reading it.
func (r *reader) kind() (kind, error) {
	r.space()
	if r.pos == len(r.data) {
		return 0, r.syntax(r.pos, "it ends where a value should be")
	}
	switch c := r.data[r.pos]; {
	case c == '"':
		return kindString, nil
	case c == '{':
		return kindObject, nil
	case c == '[':
		return kindArray, nil
	case c == 't' || c == 'f':
		return kindBool, nil
	case c == 'n':
		return kindNull, nil
	case c == '-' || c >= '0' && c <= '9':
		return kindNumber, nil
	}
	return 0, r.syntax(r.pos, "%s where a value should be", r.found())
}

// expect is kind for a place where only one will do.
func (r *reader) expect(want kind) error {
	got, err := r.kind()
	if err != nil {
		return err
	}
	if got != want {
		return r.wrongType(want.String(), got)
	}
	return nil
}

// object reads an object. member is called once for each key, in order, and
// must read the value.
func (r *reader) object(member func(key string) error) error {
	if err := r.open(kindObject); err != nil {
		return err
	}
	if r.space(); r.take('}') {
		return nil
	}
	var seen keySet
	for {
		if r.space(); r.pos == len(r.data) || r.data[r.pos] != '"' {
			return r.syntax(r.pos, "%s where a key in double quotes should be", r.found())
		}
		key, err := r.quoted()
		if err != nil {
			return err
		}
		r.push(step{key: key})
		if !seen.add(key) {
			return r.fail(CodeDuplicate, "%s is given twice", r.where())
		}
		if r.space(); !r.take(':') {
			return r.syntax(r.pos, "%s where ':' should be", r.found())
		}
		if err := member(key); err != nil {
			return err
		}
		r.pop()
		if done, err := r.separator('}'); done || err != nil {
			return err
		}
	}
}

// array reads a list. element is called once for each index and must read the value.
func (r *reader) array(element func(i int) error) error {
	if err := r.open(kindArray); err != nil {
		return err
	}
	if r.space(); r.take(']') {
		return nil
	}
	r.push(step{isIndex: true})
	for i := 0; ; i++ {
		r.path[len(r.path)-1].index = i
		if err := element(i); err != nil {
			return err
		}
		if done, err := r.separator(']'); err != nil {
			return err
		} else if done {
			r.pop()
			return nil
		}
	}
}

// open reads the bracket that starts a list or an object.
func (r *reader) open(want kind) error {
	if err := r.expect(want); err != nil {
		return err
	}
	// Each enclosing list or object has one step on the path.
	if len(r.path) == maxDepth {
		return r.fail(CodeInvalidValue, "%s is nested deeper than %d", r.where(), maxDepth)
	}
	r.pos++
	return nil
}

// separator reads a comma, or end and says so.
func (r *reader) separator(end byte) (done bool, err error) {
	r.space()
	if r.take(end) {
		return true, nil
	}
	if !r.take(',') {
		return false, r.syntax(r.pos, "%s where ',' or '%c' should be", r.found(), end)
	}
	return false, nil
}

// boolean reads true or false.
func (r *reader) boolean() (bool, error) {
	if err := r.expect(kindBool); err != nil {
		return false, err
	}
	if r.data[r.pos] == 't' {
		return true, r.literal("true")
	}
	return false, r.literal("false")
}

// null reads a null if one comes next, and says whether it did.
func (r *reader) null() (bool, error) {
	if k, err := r.kind(); err != nil || k != kindNull {
		return false, err
	}
	return true, r.literal("null")
}

// skip reads any value and keeps nothing of it.
func (r *reader) skip() error {
	k, err := r.kind()
	if err != nil {
		return err
	}
	switch k {
	case kindNull:
		return r.literal("null")
	case kindBool:
		_, err = r.boolean()
	case kindNumber:
		_, err = r.numeral()
	case kindString:
		_, err = r.quoted()
	case kindArray:
		err = r.array(func(int) error { return r.skip() })
	case kindObject:
		err = r.object(func(string) error { return r.skip() })
	}
	return err
}

func (r *reader) literal(word string) error {
	if !bytes.HasPrefix(r.data[r.pos:], []byte(word)) {
		return r.syntax(r.pos, "%s where %s should be", r.found(), word)
	}
	r.pos += len(word)
	return nil
}

func (r *reader) space() {
	for r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

func (r *reader) take(c byte) bool {
	if r.pos < len(r.data) && r.data[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

// found describes what comes next in place of what should.
func (r *reader) found() string {
	rest := r.data[r.pos:]
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(rest, []byte(word)) {
			return word + " (which JSON does not have)"
		}
	}
	if len(rest) == 0 {
		return "the end"
	}
	c, n := utf8.DecodeRune(rest)
	if c == utf8.RuneError && n == 1 {
		return fmt.Sprintf("byte 0x%02x", rest[0])
	}
	return fmt.Sprintf("%q", c)
}

// fail is a 400 about the value being read.
func (r *reader) fail(code, format string, args ...any) error {
	return BadRequest(r.param(), code, format, args...)
}

// syntax is a 400 about the byte at pos.
func (r *reader) syntax(pos int, format string, args ...any) error {
	before := r.data[:pos]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := pos - bytes.LastIndexByte(before, '\n')
	return r.fail(CodeInvalidJSON, "the body is not valid JSON at line %d, column %d (byte %d): %s",
		line, column, pos, fmt.Sprintf(format, args...))
}

func (r *reader) wrongType(want string, got kind) error {
	return r.fail(CodeInvalidType, "%s must be %s, got %s", r.where(), want, got)
}
