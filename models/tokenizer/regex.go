package tokenizer

import (
	"fmt"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// regex matches a pattern that has no scanner.
type regex struct {
	compiled *regexp2.Regexp
	fast     *program // nil if the pattern is beyond it
	empty    bool     // it can match no characters
}

// newRegex compiles a pattern in the reference's syntax.
func newRegex(pattern string) (regex, error) {
	translated, err := translate(pattern)
	if err != nil {
		return regex{}, err
	}
	compiled, err := regexp2.Compile(translated.text, regexp2.None)
	if err != nil {
		return regex{}, fmt.Errorf("the pattern does not compile: %w", err)
	}
	r := regex{compiled: compiled, empty: translated.empty}
	if translated.tree != nil {
		r.fast = newProgram(translated.tree)
	}
	return r, nil
}

func (r regex) match(dst []span, text string) []span {
	if r.fast != nil {
		if out, ok := r.fast.match(dst, text); ok {
			return out
		}
	}
	return r.search(dst, text)
}

// search is match by the general engine. It searches on from the end of each match. An empty match right behind
// the last one does not count, and the search goes on a character further.
func (r regex) search(dst []span, text string) []span {
	runes := []rune(text)
	offset, counted := 0, 0 // the byte at which runes[counted] begins
	bytesAt := func(n int) int {
		for ; counted < n; counted++ {
			offset += utf8.RuneLen(runes[counted])
		}
		return offset
	}
	last := -1 // where the last match ended
	for at := 0; at <= len(runes); {
		m, err := r.compiled.FindRunesMatchStartingAt(runes, at)
		if err != nil {
			panic("tokenizer: a pattern without a time limit failed: " + err.Error())
		}
		if m == nil {
			break
		}
		end := m.Index + m.Length
		if m.Length == 0 && end == last {
			at++
			continue
		}
		start := bytesAt(m.Index)
		dst = append(dst, span{start, bytesAt(end)})
		at, last = end, end
	}
	return dst
}
