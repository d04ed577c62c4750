package openai

import (
	"fmt"
	"strings"
)

// step is one part of a path: a key, or an index where key is not used.
type step struct {
	key     string
	index   int
	isIndex bool
}

func (r *reader) push(s step) { r.path = append(r.path, s) }

func (r *reader) pop() { r.path = r.path[:len(r.path)-1] }

// param is the path in OpenAI's dotted style, empty at the top.
func (r *reader) param() string {
	var b strings.Builder
	for i, s := range r.path {
		switch {
		case s.isIndex:
			fmt.Fprintf(&b, "[%d]", s.index)
		case i > 0:
			b.WriteString("." + keyName(s.key))
		default:
			b.WriteString(keyName(s.key))
		}
	}
	return b.String()
}

// where is param for messages.
func (r *reader) where() string {
	if len(r.path) == 0 {
		return "the body"
	}
	return r.param()
}
