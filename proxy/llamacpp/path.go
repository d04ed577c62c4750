package llamacpp

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// forcing says which tokens a grammar can force. It is safe for concurrent use.
//
// Invariant: refused only grows, and only by tokens of a grammar that the server
// failed at.
type forcing struct {
	vocabulary *eft.Vocabulary // nil forces nothing
	ids        int             // that the server scores
	works      bool            // whether grammars do what they should here
	mu         sync.Mutex
	refused    map[eft.Token]bool
}

// span returns the leading tokens of path that one grammar can force.
func (f *forcing) span(path []eft.Token) []eft.Token {
	if !f.works {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(path, func(id eft.Token) bool { return f.refused[id] || !f.forceable(id) }); i >= 0 {
		return path[:i]
	}
	return path
}

// forceable: the server's grammars know tokens by their text. They match none that is
// empty, begins with NUL or is not whole UTF-8, and none that ends the text; which ones
// those are it does not tell, so whatever is written like a mark is taken for one.
func (f *forcing) forceable(id eft.Token) bool {
	if f.vocabulary == nil || id < 0 || int(id) >= f.ids {
		return false
	}
	piece := f.vocabulary.Piece(id)
	return len(piece) > 0 && piece[0] != 0 && utf8.Valid(piece) && !mark(piece)
}

// mark says whether a piece looks like <|im_end|>, </s>, [INST] or _<EOT>.
func mark(piece []byte) bool {
	p := bytes.Trim(piece, " _")
	if len(p) < 3 {
		return false
	}
	return p[0] == '<' && p[len(p)-1] == '>' || p[0] == '[' && p[len(p)-1] == ']'
}

// refuse keeps tokens out of further grammars.
func (f *forcing) refuse(tokens []eft.Token) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range tokens {
		f.refused[id] = true
	}
}

// grammar matches tokens by id, one after the other.
func grammar(tokens []eft.Token) string {
	var s strings.Builder
	s.WriteString("root ::=")
	for _, id := range tokens {
		s.WriteString(" <[" + strconv.Itoa(int(id)) + "]>")
	}
	return s.String()
}

// letters returns up to limit ids that stand for one ASCII letter: whatever is before
// them, they leave no character open behind them.
func letters(vocabulary *eft.Vocabulary, ids, limit int) []eft.Token {
	var out []eft.Token
	for id := eft.Token(0); int(id) < min(ids, vocabulary.Size()) && len(out) < limit; id++ {
		if p := vocabulary.Piece(id); len(p) == 1 && (p[0]|0x20) >= 'a' && (p[0]|0x20) <= 'z' {
			out = append(out, id)
		}
	}
	return out
}
