package tokenizer

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// wordPiece takes the longest token that the piece begins with, then the
// longest that the rest begins with, and so on; a piece for which this fails is
// unknown as a whole.
type wordPiece struct {
	trie *trie
	// rest is where tokens begin that continue a word, behind their prefix; −1
	// if there are none.
	rest    int32
	unknown eft.Token
	longest int // characters; longer pieces are unknown
}

func (m *wordPiece) tokenize(dst []eft.Token, piece string) []eft.Token {
	if len(piece) > m.longest && utf8.RuneCountInString(piece) > m.longest {
		return append(dst, m.unknown)
	}
	begin := len(dst)
	for at, node := 0, rootNode; at < len(piece); node = m.rest {
		id, end := none, at
		for i := at; i < len(piece) && node >= 0; i++ {
			next, ok := m.trie.child(node, piece[i])
			if !ok {
				break
			}
			node = next
			if value := m.trie.nodes[node].value; value != none {
				id, end = value, i+1
			}
		}
		if id == none {
			return append(dst[:begin], m.unknown)
		}
		dst = append(dst, id)
		at = end
	}
	return dst
}

// wordPiece reads the model WordPiece.
func (c component) wordPiece() (loadedModel, error) {
	var f struct {
		Type    string
		Unknown *string `json:"unk_token"`
		Prefix  *string `json:"continuing_subword_prefix"`
		Longest *int    `json:"max_input_chars_per_word"`
		Vocab   vocab   `json:"-"`
	}
	if err := c.readLarge(&f, map[string]json.Unmarshaler{"vocab": &f.Vocab}); err != nil {
		return loadedModel{}, err
	}
	if f.Unknown == nil || f.Prefix == nil || f.Longest == nil || f.Vocab == nil {
		return loadedModel{}, c.refuse("unk_token, continuing_subword_prefix, max_input_chars_per_word or vocab are missing")
	}
	unknown, ok := f.Vocab[*f.Unknown]
	if !ok {
		return loadedModel{}, c.refuse("unk_token %q is not in the vocabulary", *f.Unknown)
	}
	m := &wordPiece{trie: newTrie(f.Vocab), rest: -1, unknown: unknown, longest: *f.Longest}
	if node, ok := m.trie.walk(*f.Prefix); ok {
		m.rest = node
	}
	return loadedModel{model: m, ids: f.Vocab}, nil
}
