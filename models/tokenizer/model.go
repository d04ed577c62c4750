package tokenizer

import (
	"bytes"
	"encoding/json"

	"github.com/graft-gateway/graft/eft"
)

// model turns a piece into ids.
type model interface {
	// tokenize appends the ids of piece to dst. It is safe for concurrent use.
	tokenize(dst []eft.Token, piece string) []eft.Token
}

// none is the id of what has no token.
const none eft.Token = -1

// loadedModel is what the field model says.
type loadedModel struct {
	model model
	ids   vocab
	// tokens has the content of every id of a model that lists its tokens; nil
	// where ids says it all.
	tokens   []string
	rawBytes bool // the model takes the bytes of texts
}

// newModel reads the field model. A model that can take the bytes of texts
// does so if bytewise is set.
func newModel(raw json.RawMessage, bytewise bool) (loadedModel, error) {
	if absent(raw) {
		return loadedModel{}, refuse("model", "", "missing")
	}
	kind, err := modelType(raw)
	if err != nil {
		return loadedModel{}, err
	}
	c := component{field: "model", kind: kind, raw: raw}
	switch kind {
	case "BPE":
		return c.bpe(bytewise)
	case "Unigram":
		return c.unigram()
	case "WordPiece":
		return c.wordPiece()
	case "WordLevel":
		return c.wordLevel()
	}
	return loadedModel{}, c.unsupported()
}

// modelType finds the type without reading the vocabulary, before which it
// stands in all files but old ones. Those leave it out; what else they have
// tells the models apart.
func modelType(raw json.RawMessage) (string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return "", refuse("model", "", "not an object")
	}
	keys := map[string]bool{}
	var vocab json.RawMessage
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", refuse("model", "", "%v", err)
		}
		name, _ := key.(string)
		if name == "type" {
			var kind string
			if err := d.Decode(&kind); err != nil {
				return "", refuse("model", "", "the type is not a string")
			}
			return kind, nil
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return "", refuse("model", "", "%v", err)
		}
		keys[name] = true
		if name == "vocab" {
			vocab = value
		}
	}
	switch {
	case keys["merges"]:
		return "BPE", nil
	case keys["max_input_chars_per_word"] && keys["continuing_subword_prefix"]:
		return "WordPiece", nil
	case bytes.HasPrefix(vocab, []byte("[")):
		return "Unigram", nil
	case keys["unk_token"]:
		return "WordLevel", nil
	}
	return "", nil
}
