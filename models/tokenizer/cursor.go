package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/graft-gateway/graft/eft"
)

// cursor walks JSON text that is known to be valid. A vocabulary has hundreds
// of thousands of strings, most of them without an escape: those are parts of
// the text and not copies.
type cursor struct {
	text string
	at   int
}

// next steps over white space and separators and returns the byte there, 0 at the end.
func (c *cursor) next() byte {
	for c.at < len(c.text) && strings.IndexByte(" \t\r\n,:", c.text[c.at]) >= 0 {
		c.at++
	}
	if c.at == len(c.text) {
		return 0
	}
	return c.text[c.at]
}

// accept steps over b if it comes next.
func (c *cursor) accept(b byte) bool {
	if c.next() != b {
		return false
	}
	c.at++
	return true
}

// str reads a string.
func (c *cursor) str() (string, error) {
	if !c.accept('"') {
		return "", fmt.Errorf("%s where a string should be", c.rest())
	}
	start := c.at
	escaped := false
	for c.text[c.at] != '"' {
		if c.text[c.at] == '\\' {
			escaped = true
			c.at++
		}
		c.at++
	}
	plain := c.text[start:c.at]
	c.at++
	if !escaped {
		return plain, nil
	}
	var s string
	err := json.Unmarshal([]byte(c.text[start-1:c.at]), &s)
	return s, err
}

// id reads a token id.
func (c *cursor) id() (eft.Token, error) {
	c.next()
	start := c.at
	for c.at < len(c.text) && strings.IndexByte("-+.eE0123456789", c.text[c.at]) >= 0 {
		c.at++
	}
	n, err := strconv.ParseInt(c.text[start:c.at], 10, 32)
	if err != nil || n < 0 {
		c.at = start
		return none, fmt.Errorf("%s where an id should be", c.rest())
	}
	return eft.Token(n), nil
}

// value steps over a value of any kind and returns its text.
func (c *cursor) value() string {
	first := c.next()
	start := c.at
	for depth := 0; c.at < len(c.text); c.at++ {
		switch c.text[c.at] {
		case '"':
			for c.at++; c.text[c.at] != '"'; c.at++ {
				if c.text[c.at] == '\\' {
					c.at++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			// A number or a word ends where something else begins.
			if first != '"' && depth == 0 && strings.IndexByte(" \t\r\n,", c.text[c.at]) >= 0 {
				return c.text[start:c.at]
			}
			continue
		}
		if depth < 0 {
			return c.text[start:c.at] // the end of what the value stands in
		}
		if depth == 0 {
			c.at++
			return c.text[start:c.at]
		}
	}
	return c.text[start:]
}

// fields lists the texts of an object's values by key.
func (c *cursor) fields() (map[string]json.RawMessage, error) {
	if !c.accept('{') {
		return nil, fmt.Errorf("%s where an object should be", c.rest())
	}
	out := map[string]json.RawMessage{}
	for !c.accept('}') {
		key, err := c.str()
		if err != nil {
			return nil, err
		}
		out[key] = json.RawMessage(c.value())
	}
	return out, nil
}

// rest is the beginning of what comes next, for messages.
func (c *cursor) rest() string {
	return strconv.Quote(c.text[c.at:min(c.at+20, len(c.text))])
}
