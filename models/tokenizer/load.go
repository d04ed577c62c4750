package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// maxHoles bounds how many ids below the highest may be without a token, so
// that a file cannot ask for more memory than it brings.
const maxHoles = 1 << 20

// file is a tokenizer.json.
type file struct {
	Version       json.RawMessage
	Truncation    json.RawMessage
	Padding       json.RawMessage
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    json.RawMessage
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage
	Model         json.RawMessage
}

// Load interprets the contents of a tokenizer.json. What it does not
// understand is a [LoadError] that names the field and the type.
func Load(data []byte) (*Tokenizer, error) {
	if !utf8.Valid(data) {
		return nil, refuse("file", "", "not UTF-8")
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	t := &Tokenizer{raw: newAddedMatcher(), normalized: newAddedMatcher()}
	var err error
	if t.normalizer, err = newNormalizer(f.Normalizer); err != nil {
		return nil, err
	}
	if t.preTokenizer, err = newPreTokenizer(f.PreTokenizer); err != nil {
		return nil, err
	}
	if t.model, t.ids, err = newModel(f.Model); err != nil {
		return nil, err
	}
	if t.decoder, err = newDecoder(f.Decoder); err != nil {
		return nil, err
	}
	if t.postProcessor, err = newPostProcessor(f.PostProcessor); err != nil {
		return nil, err
	}
	if err := t.addTokens(f.AddedTokens); err != nil {
		return nil, err
	}
	if err := t.index(); err != nil {
		return nil, err
	}
	for _, id := range t.postProcessor.process(nil, true) {
		if _, ok := t.token(id); !ok {
			return nil, refuse("post_processor", "", "it adds the id %d, which has no token", id)
		}
	}
	return t, nil
}

// addTokens takes the entries of added_tokens into ids and the matchers.
//
// The reference gives an unknown content the id after the highest added one,
// or the model's size if that is more, whatever id the file says. Its warning
// is a refusal here: such a file means something else than it does.
func (t *Tokenizer) addTokens(list []addedToken) error {
	size := eft.Token(len(t.ids)) // of the model
	highest := none
	seen := map[string]addedToken{}
	t.special = map[eft.Token]bool{}
	for i := range list {
		a := &list[i]
		field := fmt.Sprintf("added_tokens[%d]", i)
		if a.Content == "" {
			continue // as the reference does
		}
		if first, ok := seen[a.Content]; ok {
			if first != *a {
				return refuse(field, "", "%q is listed twice with different settings", a.Content)
			}
			continue
		}
		seen[a.Content] = *a
		id, known := t.ids[a.Content]
		if !known {
			id = max(size, highest+1)
		}
		if id != a.ID {
			return refuse(field, "", "%q has the id %d, but its place in the vocabulary gives it %d", a.Content, a.ID, id)
		}
		highest = max(highest, id)
		t.ids[a.Content] = id
		if a.Special {
			t.special[id] = true
		}
		if !a.Normalized {
			t.raw.add(a.Content, a)
			continue
		}
		content := t.normalizer.normalize(a.Content)
		if content == "" {
			return refuse(field, "", "nothing is left of %q after normalisation", a.Content)
		}
		t.normalized.add(content, a)
	}
	return nil
}

// index makes the way from ids back to tokens.
func (t *Tokenizer) index() error {
	highest := none
	for content, id := range t.ids {
		if id < 0 {
			return refuse("model.vocab", "", "%q has the negative id %d", content, id)
		}
		highest = max(highest, id)
	}
	if int(highest) >= len(t.ids)+maxHoles {
		return refuse("model.vocab", "", "the highest id is %d for %d tokens", highest, len(t.ids))
	}
	t.tokens = make([]entry, highest+1)
	for content, id := range t.ids {
		if t.tokens[id].used {
			return refuse("model.vocab", "", "%q and %q share the id %d", t.tokens[id].content, content, id)
		}
		t.tokens[id] = entry{content, true}
	}
	pieces := make([][]byte, len(t.tokens))
	for id, e := range t.tokens {
		if e.used {
			pieces[id] = t.decoder.piece(e.content)
		}
	}
	t.vocabulary = eft.NewVocabulary(pieces)
	return nil
}
