package tokenizer

import (
	"fmt"
	"strings"
)

// merges are the pairs to join, best first. Files write one as "a b", which
// cannot hold a token with a space, or as ["a", "b"].
type merges [][2]string

// UnmarshalJSON takes what encoding/json found valid.
func (m *merges) UnmarshalJSON(raw []byte) error {
	c := cursor{text: string(raw)}
	if !c.accept('[') {
		return fmt.Errorf("merges are %s, want a list", c.rest())
	}
	*m = merges{}
	lines := c.next() == '"'
	for !c.accept(']') {
		one, ok, err := c.merge(lines)
		if err != nil {
			return fmt.Errorf("merges[%d]: %w", len(*m), err)
		}
		if ok {
			*m = append(*m, one)
		}
	}
	return nil
}

// merge reads one merge; ok is false for a line that is none.
func (c *cursor) merge(line bool) (one [2]string, ok bool, err error) {
	if line {
		text, err := c.str()
		if err != nil || strings.HasPrefix(text, "#version") {
			return one, false, err // the head of the text format that the file was made from
		}
		left, right, ok := strings.Cut(text, " ")
		if !ok || strings.Contains(right, " ") {
			return one, false, fmt.Errorf("%q, want two tokens with a space between", text)
		}
		return [2]string{left, right}, true, nil
	}
	if !c.accept('[') {
		return one, false, fmt.Errorf("%s where a pair should be", c.rest())
	}
	for i := range one {
		if one[i], err = c.str(); err != nil {
			return one, false, err
		}
	}
	if !c.accept(']') {
		return one, false, fmt.Errorf("%s where a pair should end", c.rest())
	}
	return one, true, nil
}
