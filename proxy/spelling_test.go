package proxy

import (
	"strings"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// spelling is a tokenizer over a list of pieces: the longest piece that fits, else the
// id of unknown.
type spelling struct {
	pieces     [][]byte
	vocabulary *eft.Vocabulary
	encode     func(text string) []eft.Token
	decode     func(ids []eft.Token) (string, error)
}

func newSpelling(pieces ...string) *spelling {
	s := &spelling{}
	for _, p := range pieces {
		s.pieces = append(s.pieces, []byte(p))
	}
	s.vocabulary = eft.NewVocabulary(s.pieces)
	s.encode = func(text string) []eft.Token { return s.split(text, utf8.UTFMax*16) }
	s.decode = func(ids []eft.Token) (string, error) { return s.join(ids), nil }
	return s
}

// alphabet is a vocabulary of worldSize ids: letters, a special token, " a", and the
// three bytes of "€" one by one.
func alphabet() *spelling {
	pieces := []string{"<unk>", "a", " a", "\xE2", "\x82", "\xAC"}
	for c := 'b'; len(pieces) < worldSize; c++ {
		pieces = append(pieces, string(c))
	}
	return newSpelling(pieces...)
}

// everything is a vocabulary of all bytes and some pieces more.
func everything(more ...string) *spelling {
	var pieces []string
	for b := range 256 {
		pieces = append(pieces, string([]byte{byte(b)}))
	}
	return newSpelling(append(pieces, more...)...)
}

// split takes pieces of at most longest bytes.
func (s *spelling) split(text string, longest int) []eft.Token {
	var ids []eft.Token
	for len(text) > 0 {
		best, length := eft.Token(0), 1
		for id, piece := range s.pieces {
			if len(piece) <= longest && len(piece) > 0 && strings.HasPrefix(text, string(piece)) && (len(piece) > length || best == 0) {
				best, length = eft.Token(id), len(piece)
			}
		}
		ids = append(ids, best)
		text = text[length:]
	}
	return ids
}

func (s *spelling) join(ids []eft.Token) string {
	var text []byte
	for _, id := range ids {
		text = append(text, s.vocabulary.Piece(id)...)
	}
	return strings.ToValidUTF8(string(text), "\uFFFD")
}

func (s *spelling) Encode(text string, _ bool) []eft.Token { return s.split(text, 64) }

func (s *spelling) Decode(ids []eft.Token) string { return s.join(ids) }
