package enginetest

import (
	"strings"

	"github.com/graft-gateway/graft/eft"
)

// Longest is the id whose piece is the longest that begins text, and what is left of
// the text behind it; false if none does. Cutting so is enough of a tokenizer for tests.
func Longest(pieces [][]byte, text string) (id eft.Token, rest string, ok bool) {
	longest := 0
	for i, piece := range pieces {
		if len(piece) > longest && strings.HasPrefix(text, string(piece)) {
			id, longest = eft.Token(i), len(piece)
		}
	}
	return id, text[longest:], longest > 0
}

// Common is how many tokens a and b begin with alike.
func Common(a, b []eft.Token) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
