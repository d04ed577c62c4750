package proxy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/graft-gateway/graft/eft"
)

// ErrNotOneToken is what [Pieces] says of bytes that do not name one id.
var ErrNotOneToken = errors.New("the bytes do not name one token")

// Pieces finds the id that some bytes stand for, where a server tells bytes or text
// instead of ids. It never guesses: bytes that several ids share name none of them. It
// never changes after it was made and is safe for concurrent use.
type Pieces struct {
	ids map[string]eft.Token
	// shared holds, by their bytes, the ids that share them with others, in order.
	shared    map[string][]eft.Token
	ambiguous int
}

// NewPieces turns a vocabulary round.
func NewPieces(v *eft.Vocabulary) *Pieces {
	p := &Pieces{ids: make(map[string]eft.Token, v.Size()), shared: map[string][]eft.Token{}}
	for id := eft.Token(0); int(id) < v.Size(); id++ {
		piece := string(v.Piece(id))
		if piece == "" {
			continue // a hole, or a token without bytes: nothing that is read names it
		}
		first, taken := p.ids[piece]
		switch {
		case !taken:
			p.ids[piece] = id
		case p.shared[piece] == nil:
			p.shared[piece] = []eft.Token{first, id}
			p.ambiguous += 2
		default:
			p.shared[piece] = append(p.shared[piece], id)
			p.ambiguous++
		}
	}
	return p
}

// ID returns the only id whose bytes are piece. The error wraps [ErrNotOneToken] and
// names the candidates where there are several. No bytes name no id, even if one
// token of the vocabulary has none: servers send nothing for other reasons, too.
func (p *Pieces) ID(piece []byte) (eft.Token, error) {
	if several := p.shared[string(piece)]; several != nil {
		return 0, fmt.Errorf("%w: %q is %s", ErrNotOneToken, piece, candidates(several))
	}
	id, known := p.ids[string(piece)]
	if !known {
		return 0, fmt.Errorf("%w: no token of the vocabulary is %q", ErrNotOneToken, piece)
	}
	return id, nil
}

// Text is [Pieces.ID] for servers that tell tokens as text. Text with U+FFFD in it
// names no id, even if a token is spelled so: it is also what every token becomes
// that holds a part of a character.
func (p *Pieces) Text(text string) (eft.Token, error) {
	if strings.ContainsRune(text, '\uFFFD') {
		return 0, fmt.Errorf("%w: %q may be any token that holds a part of a character", ErrNotOneToken, text)
	}
	return p.ID([]byte(text))
}

// Ambiguous counts the ids that cannot be told from others by their bytes.
func (p *Pieces) Ambiguous() int { return p.ambiguous }

// candidates words ids that share their bytes, the first few of them.
func candidates(ids []eft.Token) string {
	const most = 5
	var s strings.Builder
	for i, id := range ids[:min(most, len(ids))] {
		if i > 0 {
			s.WriteString(" or ")
		}
		fmt.Fprintf(&s, "id %d", id)
	}
	if more := len(ids) - most; more > 0 {
		fmt.Fprintf(&s, " or %d more", more)
	}
	return s.String()
}
