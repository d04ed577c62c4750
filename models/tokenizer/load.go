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
	stages, err := preTokenizerStages(f.PreTokenizer)
	if err != nil {
		return nil, err
	}
	m, err := newModel(f.Model, oneByteLevel(stages))
	if err != nil {
		return nil, err
	}
	t.model, t.ids = m.model, m.ids
	if t.preTokenizer, t.asksForHead, err = newPreTokenizer(stages, m.rawBytes); err != nil {
		return nil, err
	}
	if t.decoder, err = newDecoder(f.Decoder); err != nil {
		return nil, err
	}
	if t.postProcessor, err = newPostProcessor(f.PostProcessor); err != nil {
		return nil, err
	}
	if err := t.index(m); err != nil {
		return nil, err
	}
	if err := t.addTokens(f.AddedTokens); err != nil {
		return nil, err
	}
	t.vocabulary = t.pieces()
	for _, id := range t.postProcessor.process(nil, true) {
		if _, ok := t.token(id); !ok {
			return nil, refuse("post_processor", "", "it adds the id %d, which has no token", id)
		}
	}
	return t, nil
}

// index makes the way from ids back to tokens of the model.
func (t *Tokenizer) index(m loadedModel) error {
	for _, content := range m.tokens {
		t.tokens = append(t.tokens, entry{content: content, text: content, used: true})
	}
	if m.tokens != nil {
		return nil
	}
	highest := none
	for content, id := range m.ids {
		if id < 0 {
			return refuse("model.vocab", "", "%q has the negative id %d", content, id)
		}
		highest = max(highest, id)
	}
	if int(highest) >= len(m.ids)+maxHoles {
		return refuse("model.vocab", "", "the highest id is %d for %d tokens", highest, len(m.ids))
	}
	t.tokens = make([]entry, highest+1)
	for content, id := range m.ids {
		if t.tokens[id].used {
			return refuse("model.vocab", "", "%q and %q share the id %d", t.tokens[id].content, content, id)
		}
		t.tokens[id] = entry{content: content, text: content, used: true}
	}
	return nil
}

// addTokens takes the entries of added_tokens into tokens and the matchers.
//
// The reference numbers unknown contents on from the model's size, whatever id
// the file says. Its warning is a refusal here: such a file means something
// else than it does.
func (t *Tokenizer) addTokens(list []addedToken) error {
	next := eft.Token(t.modelSize())
	seen := map[string]addedToken{}
	t.added = map[string]eft.Token{}
	t.special = map[string]bool{}
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
			id = next
			next++
		}
		if id != a.ID {
			return refuse(field, "", "%q has the id %d, but its place in the vocabulary gives it %d", a.Content, a.ID, id)
		}
		for int(id) >= len(t.tokens) {
			t.tokens = append(t.tokens, entry{})
		}
		if !known && t.tokens[id].used {
			return refuse(field, "", "%q and %q share the id %d", t.tokens[id].content, a.Content, id)
		}
		t.tokens[id] = entry{content: a.Content, text: a.Content, used: true}
		t.added[a.Content] = id
		if a.Special {
			t.special[a.Content] = true
		}
		if !a.Normalized {
			t.raw.add(a.Content, a)
			continue
		}
		content := t.normalizer.normalize(a.Content)
		if content == "" {
			return refuse(field, "", "nothing is left of %q after normalisation", a.Content)
		}
		t.tokens[id].text = content
		t.normalized.add(content, a)
	}
	return nil
}

// modelSize is how many tokens the model has.
func (t *Tokenizer) modelSize() int {
	size := 0
	for _, e := range t.tokens {
		if e.used {
			size++
		}
	}
	return size
}

// pieces makes the vocabulary.
func (t *Tokenizer) pieces() *eft.Vocabulary {
	pieces := make([][]byte, len(t.tokens))
	for id, e := range t.tokens {
		if e.used {
			pieces[id] = t.decoder.piece(e.content)
		}
	}
	return eft.NewVocabulary(pieces)
}
