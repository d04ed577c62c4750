package tokenizer

import "strings"

// strip removes white space from the ends of a text.
type strip struct{ left, right bool }

func (s strip) normalize(text string) string {
	if s.left {
		text = strings.TrimLeftFunc(text, isSpace)
	}
	if s.right {
		text = strings.TrimRightFunc(text, isSpace)
	}
	return text
}

func (s strip) head(text string, n int) int {
	kept := s.normalize(text)
	if s.left {
		n -= len(text) - len(strings.TrimLeftFunc(text, isSpace))
	}
	return max(0, min(n, len(kept)))
}

func (c component) strip() (normalizer, error) {
	var f struct {
		Type  string
		Left  *bool `json:"strip_left"`
		Right *bool `json:"strip_right"`
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if f.Left == nil || f.Right == nil {
		return nil, c.refuse("strip_left or strip_right are missing")
	}
	return strip{*f.Left, *f.Right}, nil
}
