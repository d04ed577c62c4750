package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// unigram cuts a piece into the tokens whose scores have the greatest sum.
// All fields but cache and scratch stay as they were loaded.
type unigram struct {
	trie    *trie
	ids     vocab
	scores  []float64 // by id
	unknown eft.Token
	// unknownScore is what a character without a token of its own costs.
	unknownScore float64
	fallback     bool
	bytes        [256]eft.Token

	cache   *cache
	scratch sync.Pool // of *[]reached
}

// reached is a place in a piece with the best way to it.
type reached struct {
	score float64 // of the way
	start int32   // of its last token; −1: no way yet
	id    eft.Token
}

// unknownPenalty is added below the least score.
const unknownPenalty = 10

func (m *unigram) tokenize(dst []eft.Token, piece string) []eft.Token {
	slot := m.cache.slot(piece)
	if ids, ok := m.cache.get(slot, piece); ok {
		return append(dst, ids...)
	}
	scratch := m.scratch.Get().(*[]reached)
	ways := *scratch
	for len(ways) <= len(piece) {
		ways = append(ways, reached{})
	}
	m.search(ways[:len(piece)+1], piece)
	start := len(dst)
	dst = m.collect(dst, ways, piece)
	if cap(ways) <= largestScratch {
		*scratch = ways
	}
	m.scratch.Put(scratch)
	m.cache.put(slot, piece, dst[start:])
	return dst
}

// search fills ways, which has a place for each byte and the end. Of ways with
// equal scores the one found first stays: tokens are tried from left to right,
// the shorter first.
func (m *unigram) search(ways []reached, piece string) {
	for i := range ways {
		ways[i].start = -1
	}
	ways[0] = reached{}
	for at := 0; at < len(piece); {
		size := 1
		if piece[at] >= utf8.RuneSelf {
			_, size = utf8.DecodeRuneInString(piece[at:])
		}
		score := ways[at].score
		single := false
		for node, i := rootNode, at; i < len(piece); i++ {
			next, ok := m.trie.child(node, piece[i])
			if !ok {
				break
			}
			node = next
			id := m.trie.nodes[node].value
			if id == none {
				continue
			}
			ways[i+1].improve(score+m.scores[id], at, id)
			single = single || i+1-at == size
		}
		if !single {
			ways[at+size].improve(score+m.unknownScore, at, m.unknown)
		}
		at += size
	}
}

// improve takes the way over start if it is better.
func (r *reached) improve(score float64, start int, id eft.Token) {
	if r.start < 0 || score > r.score {
		*r = reached{score, int32(start), id}
	}
}

// collect appends the tokens of the best way. Neighbouring unknown ones are one.
func (m *unigram) collect(dst []eft.Token, ways []reached, piece string) []eft.Token {
	// The way is known from its end: its starts are turned into ends.
	end := int32(len(piece))
	for at := end; at > 0; {
		start := ways[at].start
		ways[at].start = end // start of the token behind it, once turned
		end, at = at, start
	}
	from := int32(0)
	for at := end; ; {
		next := ways[at].start
		if ways[at].id != m.unknown {
			dst = append(dst, ways[at].id)
			from = at
		} else if int(at) == len(piece) || ways[next].id != m.unknown {
			dst = m.appendUnknown(dst, piece[from:at])
			from = at
		}
		if int(at) == len(piece) {
			return dst
		}
		at = next
	}
}

// appendUnknown appends what stands for text: its bytes if all have a token.
func (m *unigram) appendUnknown(dst []eft.Token, text string) []eft.Token {
	if id, ok := m.ids[text]; ok {
		return append(dst, id)
	}
	if !m.fallback {
		return append(dst, m.unknown)
	}
	start := len(dst)
	for i := range len(text) {
		id := m.bytes[text[i]]
		if id == none {
			return append(dst[:start], m.unknown)
		}
		dst = append(dst, id)
	}
	return dst
}

// unigram reads the model Unigram.
func (c component) unigram() (loadedModel, error) {
	var f struct {
		Type         string
		Unknown      *int        `json:"unk_id"`
		Vocab        scoredVocab `json:"-"`
		ByteFallback bool        `json:"byte_fallback"`
	}
	if err := c.readLarge(&f, map[string]json.Unmarshaler{"vocab": &f.Vocab}); err != nil {
		return loadedModel{}, err
	}
	if len(f.Vocab.tokens) == 0 {
		return loadedModel{}, c.refuse("vocab is missing or empty")
	}
	if f.Unknown == nil {
		return loadedModel{}, c.refuse("unk_id is missing: characters that the vocabulary lacks would have no id")
	}
	if *f.Unknown < 0 || *f.Unknown >= len(f.Vocab.tokens) {
		return loadedModel{}, c.refuse("unk_id is %d, the vocabulary has %d tokens", *f.Unknown, len(f.Vocab.tokens))
	}
	ids := make(vocab, len(f.Vocab.tokens))
	least := math.Inf(1)
	for id, token := range f.Vocab.tokens {
		ids[token] = eft.Token(id)
		least = min(least, f.Vocab.scores[id])
	}
	m := &unigram{
		trie: newTrie(ids), ids: ids, scores: f.Vocab.scores, cache: newCache(), fallback: f.ByteFallback,
		unknown: eft.Token(*f.Unknown), unknownScore: least - unknownPenalty,
	}
	m.scratch.New = func() any { return new([]reached) }
	for b := range m.bytes {
		m.bytes[b] = none
		if id, ok := ids[byteToken(byte(b))]; ok {
			m.bytes[b] = id
		}
	}
	return loadedModel{model: m, ids: ids, tokens: f.Vocab.tokens}, nil
}

// scoredVocab is a list of tokens with their scores; the ids are the places.
type scoredVocab struct {
	tokens []string
	scores []float64
}

// UnmarshalJSON takes what encoding/json found valid.
func (v *scoredVocab) UnmarshalJSON(raw []byte) error {
	c := cursor{text: string(raw)}
	if !c.accept('[') {
		return fmt.Errorf("vocab is %s, want a list", c.rest())
	}
	for !c.accept(']') {
		if !c.accept('[') {
			return fmt.Errorf("vocab[%d]: %s where a token and its score should be", len(v.tokens), c.rest())
		}
		token, err := c.str()
		if err != nil {
			return fmt.Errorf("vocab[%d]: %w", len(v.tokens), err)
		}
		score, err := c.score()
		if err != nil {
			return fmt.Errorf("vocab[%d]: %w", len(v.tokens), err)
		}
		if !c.accept(']') {
			return fmt.Errorf("vocab[%d]: %s where the pair should end", len(v.tokens), c.rest())
		}
		v.tokens = append(v.tokens, token)
		v.scores = append(v.scores, score)
	}
	return nil
}
