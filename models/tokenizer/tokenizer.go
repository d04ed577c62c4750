package tokenizer

import (
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// Tokenizer turns text into ids and back. It never changes after [Load] and is
// safe for concurrent use.
type Tokenizer struct {
	raw, normalized *addedMatcher // for the raw and for the normalised text
	normalizer      normalizers
	preTokenizer    preTokenizer
	asksForHead     bool // the pre-tokenizer looks at piece.head
	model           model
	postProcessor   postProcessor
	decoder         *decoder

	ids        vocab                // the model's, by content
	added      map[string]eft.Token // added tokens, by content
	special    map[string]bool      // contents
	tokens     []entry              // by id
	vocabulary *eft.Vocabulary
}

// entry is one id's token.
type entry struct {
	content string // as the file writes it
	// text is what the decoder gets: the content, or for an added token that is
	// found in normalised text what normalisation makes of it.
	text string
	used bool // false: the id has no token
}

// Encode returns the ids of text. Added tokens are recognised wherever they
// stand in it. With special the post-processor puts its tokens round the text,
// as the beginning token; a rendered chat prompt has its own and wants false.
func (t *Tokenizer) Encode(text string, special bool) []eft.Token {
	return t.encode(text, special, false)
}

// EncodePlain is [Tokenizer.Encode] for text that may not be trusted: special
// tokens in it are ordinary text, so that nobody can forge the end of a turn.
// Added tokens that are not special are still recognised.
func (t *Tokenizer) EncodePlain(text string, special bool) []eft.Token {
	return t.encode(text, special, true)
}

func (t *Tokenizer) encode(text string, special, plain bool) []eft.Token {
	text = repair(text)
	ids := make([]eft.Token, 0, len(text)/3+4)
	var pieces []piece
	for _, outer := range t.raw.split(text, plain) {
		if outer.token != nil {
			ids = append(ids, outer.token.ID)
			continue
		}
		whole := t.normalize(outer)
		for _, inner := range t.normalized.split(whole.text, plain) {
			if inner.token != nil {
				ids = append(ids, inner.token.ID)
				continue
			}
			pieces = t.preTokenizer.split(pieces[:0], whole.part(inner.start, inner.start+len(inner.text)))
			for _, p := range pieces {
				ids = t.model.tokenize(ids, p.text)
			}
		}
	}
	return t.postProcessor.process(ids, special)
}

// normalize returns the normalised text of a segment.
func (t *Tokenizer) normalize(s segment) piece {
	if !t.asksForHead || s.start > 0 {
		return piece{text: t.normalizer.normalize(s.text)}
	}
	_, first := utf8.DecodeRuneInString(s.text)
	text, head := t.normalizer.both(s.text, first)
	return piece{text, head}
}

// Decode returns the text of ids; skipSpecial leaves special tokens out. Bytes
// that are not UTF-8 become U+FFFD; ids without a token give nothing.
func (t *Tokenizer) Decode(ids []eft.Token, skipSpecial bool) string {
	s := t.Stream(skipSpecial)
	out := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		out = s.push(out, id)
	}
	return string(s.decoding.flush(out))
}

// Vocabulary gives the bytes of every id as decoding joins them within a text:
// " the" for "▁the", one byte for "<0x0A>". An added token's are its content,
// normalised or not.
func (t *Tokenizer) Vocabulary() *eft.Vocabulary { return t.vocabulary }

// Special says whether id is a special token.
func (t *Tokenizer) Special(id eft.Token) bool {
	return id >= 0 && int(id) < len(t.tokens) && t.special[t.tokens[id].content]
}

// ID finds a token by its content as the file writes it, as "<|im_end|>".
func (t *Tokenizer) ID(content string) (eft.Token, bool) {
	id, ok := t.added[content]
	if !ok {
		id, ok = t.ids[content]
	}
	return id, ok
}

// token returns what the decoder gets for id.
func (t *Tokenizer) token(id eft.Token) (string, bool) {
	if id < 0 || int(id) >= len(t.tokens) || !t.tokens[id].used {
		return "", false
	}
	return t.tokens[id].text, true
}
