package eft

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Token is an id of a [Vocabulary].
type Token int32

// Vocabulary says which bytes each id stands for. It never changes after it
// was made and is safe for concurrent use.
type Vocabulary struct {
	pieces      [][]byte
	fingerprint string
}

// NewVocabulary keeps pieces, where pieces[id] are the bytes of that id. A nil
// piece is an id without a token (padding): it is never generated. An empty,
// non-nil piece is a token that stands for no bytes.
func NewVocabulary(pieces [][]byte) *Vocabulary {
	// Trailing padding is not part of the vocabulary: models pad to other sizes.
	end := len(pieces)
	for end > 0 && pieces[end-1] == nil {
		end--
	}
	pieces = pieces[:end]
	return &Vocabulary{pieces: pieces, fingerprint: fingerprint(pieces)}
}

// Size is one more than the highest id that has a token.
func (v *Vocabulary) Size() int { return len(v.pieces) }

// Piece returns the bytes of id, nil if id has no token. The caller must not
// change them.
func (v *Vocabulary) Piece(id Token) []byte {
	if id < 0 || int(id) >= len(v.pieces) {
		return nil
	}
	return v.pieces[id]
}

// Fingerprint is the hexadecimal SHA-256 over every id's length and bytes: two
// vocabularies are the same if and only if their fingerprints are.
func (v *Vocabulary) Fingerprint() string { return v.fingerprint }

// Differences returns the first ids, at most limit, whose bytes differ in other.
func (v *Vocabulary) Differences(other *Vocabulary, limit int) []Token {
	var ids []Token
	for id := Token(0); int(id) < max(v.Size(), other.Size()) && len(ids) < limit; id++ {
		a, b := v.Piece(id), other.Piece(id)
		if (a == nil) != (b == nil) || !bytes.Equal(a, b) {
			ids = append(ids, id)
		}
	}
	return ids
}

func fingerprint(pieces [][]byte) string {
	h := sha256.New()
	var size [binary.MaxVarintLen64]byte
	for _, p := range pieces {
		// 0 for a hole, length + 1 for a token: an empty token is not a hole.
		n := 0
		if p != nil {
			n = len(p) + 1
		}
		h.Write(size[:binary.PutUvarint(size[:], uint64(n))])
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
