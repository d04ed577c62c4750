package openai

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// naming turns what a server calls a token into its id. It does not change once the
// server was recognised.
type naming struct {
	pieces *proxy.Pieces
	// lossy holds what is left of tokens that hold parts of characters when those are
	// left out, as some servers do.
	lossy map[string]bool
	asIDs bool // "token_id:N" was asked for
	exact bool // the server writes bytes where text would not do
	// spaced says that the server was seen to keep the spaces that begin tokens.
	spaced bool
}

func newNaming(vocabulary *eft.Vocabulary) naming {
	n := naming{pieces: proxy.NewPieces(vocabulary), lossy: map[string]bool{}}
	for id := eft.Token(0); int(id) < vocabulary.Size(); id++ {
		piece := vocabulary.Piece(id)
		if rest := strings.ToValidUTF8(string(piece), ""); rest != "" && len(rest) < len(piece) {
			n.lossy[rest] = true
		}
	}
	return n
}

// form says how an entry names its token.
func (n *naming) form(e entry) proxy.TokenForm {
	switch {
	case e.id >= 0, n.asIDs && strings.HasPrefix(e.text, idPrefix):
		return proxy.TokenIDs
	case e.bytes != nil, strings.HasPrefix(e.text, bytesPrefix):
		return proxy.TokenBytes
	}
	return proxy.TokenText
}

const (
	idPrefix    = "token_id:"
	bytesPrefix = "bytes:"
)

// id is the only token that an entry can mean. An error that wraps
// [proxy.ErrNotOneToken] says that there is none, or more.
func (n *naming) id(e entry) (eft.Token, error) {
	if e.id >= 0 {
		return e.id, nil
	}
	if digits, ok := strings.CutPrefix(e.text, idPrefix); ok && n.asIDs {
		id, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || id < 0 {
			return 0, fmt.Errorf("%w: %q", proxy.ErrNotOneToken, e.text)
		}
		return eft.Token(id), nil
	}
	if e.bytes != nil {
		return n.pieces.ID(e.bytes)
	}
	if escaped, ok := strings.CutPrefix(e.text, bytesPrefix); ok {
		return n.escaped(e.text, escaped)
	}
	if !n.exact && n.lossy[e.text] {
		return 0, fmt.Errorf("%w: %q may be what is left of one that holds a part of a character", proxy.ErrNotOneToken, e.text)
	}
	if n.exact && utf8.ValidString(e.text) {
		return n.pieces.ID([]byte(e.text))
	}
	return n.pieces.Text(e.text)
}

// escaped reads bytes:\xe2\x80, where what is not escaped stands for itself.
func (n *naming) escaped(whole, escaped string) (eft.Token, error) {
	if _, err := n.pieces.Text(whole); err == nil {
		return 0, fmt.Errorf("%w: %q is the text of one and the bytes of another", proxy.ErrNotOneToken, whole)
	}
	var piece []byte
	for rest := escaped; rest != ""; {
		digits, ok := strings.CutPrefix(rest, `\x`)
		if !ok {
			piece, rest = append(piece, rest[0]), rest[1:]
			continue
		}
		if len(digits) < 2 {
			return 0, fmt.Errorf("%w: %q is not bytes", proxy.ErrNotOneToken, whole)
		}
		b, err := strconv.ParseUint(digits[:2], 16, 8)
		if err != nil {
			return 0, fmt.Errorf("%w: %q is not bytes", proxy.ErrNotOneToken, whole)
		}
		piece, rest = append(piece, byte(b)), digits[2:]
	}
	return n.pieces.ID(piece)
}

// learn notes what entries show of how the server writes tokens.
func (n *naming) learn(listed []entry) {
	for _, e := range listed {
		if strings.HasPrefix(e.text, bytesPrefix+`\x`) && e.bytes == nil {
			n.exact = true
		}
		if strings.HasPrefix(e.text, " ") {
			if _, err := n.id(e); err == nil {
				n.spaced = true
			}
		}
	}
}

// strippable says whether some token is another one behind a space, so that a server
// that strips spaces would name the wrong one.
func strippable(vocabulary *eft.Vocabulary, pieces *proxy.Pieces) bool {
	for id := eft.Token(0); int(id) < vocabulary.Size(); id++ {
		if rest, ok := strings.CutPrefix(string(vocabulary.Piece(id)), " "); ok {
			if _, err := pieces.ID([]byte(rest)); err == nil {
				return true
			}
		}
	}
	return false
}
