package tokenizer

import (
	"encoding/json"
	"strings"
)

// replace puts content in the place of every match.
type replace struct {
	matcher matcher
	content string
}

func (r replace) normalize(text string) string {
	if l, ok := r.matcher.(literal); ok {
		return strings.ReplaceAll(text, string(l), r.content)
	}
	matches := r.matcher.match(nil, text)
	if len(matches) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, m := range matches {
		b.WriteString(text[at:m.start])
		b.WriteString(r.content)
		at = m.end
	}
	b.WriteString(text[at:])
	return b.String()
}

// head: what is put in comes from the last character that it stands for.
func (r replace) head(text string, n int) int {
	out := n
	for _, m := range r.matcher.match(nil, text) {
		switch {
		case m.end <= n:
			out += len(r.content) - (m.end - m.start)
		case m.start < n:
			out -= n - m.start
		}
	}
	return out
}

// growth is how many times longer a text can become.
func (r replace) growth() int {
	least := 1
	if l, ok := r.matcher.(literal); ok {
		least = len(l)
	}
	return max(1, (len(r.content)+least-1)/least)
}

// mostGrowth bounds what the Replaces of a file can make of a text together:
// each could double what the one before has made.
const mostGrowth = 1 << 10

// checkGrowth refuses c if factors multiply to more than mostGrowth.
func (c component) checkGrowth(factors []int) error {
	product := 1
	for _, f := range factors {
		if product *= min(f, mostGrowth+1); product > mostGrowth {
			return c.refuse("its Replaces together can make a text more than %d times longer", mostGrowth)
		}
	}
	return nil
}

// replacement reads the component Replace.
func (c component) replacement() (matcher, string, error) {
	var f struct {
		Type    string
		Pattern json.RawMessage
		Content *string
	}
	if err := c.read(&f); err != nil {
		return nil, "", err
	}
	if f.Content == nil {
		return nil, "", c.refuse("content is missing")
	}
	m, err := c.pattern(f.Pattern)
	if err != nil {
		return nil, "", err
	}
	if r, ok := m.(regex); ok && r.empty {
		return nil, "", c.refuse("a pattern that can match no characters is not supported here")
	}
	return m, *f.Content, nil
}
