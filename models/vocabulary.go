package models

import (
	"fmt"

	"github.com/graft-gateway/graft/eft"
)

// CheckVocabularies fails if two models do not share a vocabulary, and names the
// first ids that differ. Rows may be padded to other sizes: what counts is which
// bytes each id of the tokenizer stands for.
func CheckVocabularies(a, b *Model) error {
	va, vb := a.Vocabulary(), b.Vocabulary()
	if va.Fingerprint() == vb.Fingerprint() {
		return nil
	}
	text := ""
	for _, id := range va.Differences(vb, 3) {
		text += fmt.Sprintf("; id %d is %s and %s", id, piece(va, id), piece(vb, id))
	}
	return fmt.Errorf("models %s (%d ids) and %s (%d ids) have different vocabularies and cannot be mixed%s", a.name, va.Size(), b.name, vb.Size(), text)
}

// piece is an id's token as errors show it.
func piece(v *eft.Vocabulary, id eft.Token) string {
	if p := v.Piece(id); p != nil {
		return fmt.Sprintf("%q", p)
	}
	return "no token"
}
