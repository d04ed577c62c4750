package tokenizer

import (
	"fmt"

	"github.com/graft-gateway/graft/eft"
)

// vocab is the model's tokens as the file writes them, with their ids.
type vocab map[string]eft.Token

// hasBytes says whether every byte has a token as ByteLevel writes it.
func (v vocab) hasBytes() bool {
	for _, r := range newAlphabet().runes {
		if _, ok := v[string(r)]; !ok {
			return false
		}
	}
	return true
}

// spelled is v by the bytes that tokens stand for, without those that have a
// character outside the alphabet.
func (v vocab) spelled(letters *alphabet) vocab {
	out := make(vocab, len(v))
	var buf []byte
	for token, id := range v {
		var ok bool
		if buf, ok = letters.decode(buf[:0], token); ok {
			out[string(buf)] = id
		}
	}
	return out
}

// UnmarshalJSON takes what encoding/json found valid.
func (v *vocab) UnmarshalJSON(raw []byte) error {
	c := cursor{text: string(raw)}
	if !c.accept('{') {
		return fmt.Errorf("vocab is %s, want an object", c.rest())
	}
	// Few entries are shorter than 16 bytes: "Ġthe":1234, and so on.
	*v = make(vocab, len(raw)/16)
	for !c.accept('}') {
		token, err := c.str()
		if err != nil {
			return fmt.Errorf("vocab: %w", err)
		}
		if (*v)[token], err = c.id(); err != nil {
			return fmt.Errorf("vocab: %q: %w", token, err)
		}
	}
	return nil
}
