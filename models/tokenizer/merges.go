package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// merges are the pairs to join, best first. Files write one as "a b", which
// cannot hold a token with a space, or as ["a", "b"].
type merges [][2]string

func (m *merges) UnmarshalJSON(raw []byte) error {
	var pairs [][]string
	if json.Unmarshal(raw, &pairs) == nil {
		for i, p := range pairs {
			if len(p) != 2 {
				return fmt.Errorf("merges[%d] has %d tokens, want 2", i, len(p))
			}
			*m = append(*m, [2]string{p[0], p[1]})
		}
		return nil
	}
	var lines []string
	if err := json.Unmarshal(raw, &lines); err != nil {
		return fmt.Errorf("merges are neither all \"a b\" nor all [\"a\", \"b\"]")
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "#version") {
			continue // the head of the text format that the file was made from
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("merges[%d] is %q, want two tokens with a space between", i, line)
		}
		*m = append(*m, [2]string{left, right})
	}
	return nil
}
