package tokenizer

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/graft-gateway/graft/eft"
)

// bpe is byte-pair encoding: a piece becomes symbols, one for each byte or
// character, and rules merge neighbours. All fields but cache and scratch stay
// as they were loaded.
type bpe struct {
	symbols symbols
	rules   *ruleTable
	// whole has the id of every token by its text if a piece that is a token
	// is taken as it stands (ignore_merges), and is nil otherwise.
	whole map[string]eft.Token
	// cuts finds the places within a piece that no rule merges across; nil
	// takes pieces whole.
	cuts *cuts

	cache   *cache
	scratch sync.Pool // of *word
}

// symbols knows what a piece is before anything is merged.
type symbols interface {
	// append puts the ids of the symbols of piece behind dst.
	append(dst []eft.Token, piece string) []eft.Token
}

// largestScratch bounds the words kept for reuse.
const largestScratch = 1 << 12

func (m *bpe) tokenize(dst []eft.Token, piece string) []eft.Token {
	if id, ok := m.whole[piece]; ok {
		return append(dst, id)
	}
	if m.cuts == nil {
		return m.part(dst, piece)
	}
	for start := 0; start < len(piece); {
		end := m.cuts.next(piece, start)
		dst = m.part(dst, piece[start:end])
		start = end
	}
	return dst
}

// part appends the ids of what is merged on its own.
func (m *bpe) part(dst []eft.Token, piece string) []eft.Token {
	slot := m.cache.slot(piece)
	if ids, ok := m.cache.get(slot, piece); ok {
		return append(dst, ids...)
	}
	start := len(dst)
	// The symbols are put where the ids belong and merged in place.
	dst = m.symbols.append(dst, piece)
	if n := len(dst) - start; n > 1 {
		dst = dst[:start+m.merge(dst[start:])]
	}
	m.cache.put(slot, piece, dst[start:])
	return dst
}

// merge merges the symbols in ids and returns how many tokens remain in front.
func (m *bpe) merge(ids []eft.Token) int {
	if len(ids) <= shortWord {
		return mergeShort(ids, m.rules)
	}
	w := m.scratch.Get().(*word)
	w.symbols = slices.Grow(w.symbols, len(ids))
	for _, id := range ids {
		w.add(id)
	}
	w.merge(m.rules)
	n := 0
	for i := int32(0); i >= 0; i = w.symbols[i].next {
		ids[n] = w.symbols[i].id
		n++
	}
	if cap(w.symbols) <= largestScratch {
		w.reset()
		m.scratch.Put(w)
	}
	return n
}

// bpeFields are the fields of the model BPE.
type bpeFields struct {
	Type         string
	Dropout      *float64
	Unknown      *string `json:"unk_token"`
	Prefix       *string `json:"continuing_subword_prefix"`
	Suffix       *string `json:"end_of_word_suffix"`
	FuseUnknown  *bool   `json:"fuse_unk"`
	ByteFallback *bool   `json:"byte_fallback"`
	IgnoreMerges *bool   `json:"ignore_merges"`
	Vocab        vocab   `json:"-"`
	Merges       merges  `json:"-"`
}

// bpe reads the model BPE.
func (c component) bpe(bytewise bool) (loadedModel, error) {
	var f bpeFields
	if err := c.readLarge(&f, map[string]json.Unmarshaler{"vocab": &f.Vocab, "merges": &f.Merges}); err != nil {
		return loadedModel{}, err
	}
	if f.Vocab == nil || f.Merges == nil {
		return loadedModel{}, c.refuse("vocab or merges are missing")
	}
	if f.Dropout != nil && *f.Dropout != 0 {
		return loadedModel{}, c.refuse("dropout %v makes ids random; only null and 0 are supported", *f.Dropout)
	}
	m := &bpe{cache: newCache()}
	m.scratch.New = func() any { return new(word) }
	rules, err := c.rules(&f)
	if err != nil {
		return loadedModel{}, err
	}
	m.rules = rules
	bytewise = bytewise && isEmpty(f.Prefix) && isEmpty(f.Suffix) && (!isTrue(f.ByteFallback) || f.Vocab.hasBytes())
	if bytewise {
		m.symbols, err = c.byteSymbols(&f)
	} else {
		m.symbols, m.cuts, err = c.charSymbols(&f)
	}
	if err != nil {
		return loadedModel{}, err
	}
	if isTrue(f.IgnoreMerges) {
		m.whole = f.Vocab
		if bytewise {
			m.whole = f.Vocab.spelled(newAlphabet())
		}
	}
	return loadedModel{model: m, ids: f.Vocab, rawBytes: bytewise}, nil
}

func isTrue(b *bool) bool { return b != nil && *b }

func isEmpty(s *string) bool { return s == nil || *s == "" }

// rules resolves the merges. Of a pair listed twice the later rank counts.
func (c component) rules(f *bpeFields) (*ruleTable, error) {
	prefix := 0
	if f.Prefix != nil {
		prefix = len(*f.Prefix)
	}
	table := newRuleTable(len(f.Merges))
	var joined []byte
	for rank, merge := range f.Merges {
		left, ok := f.Vocab[merge[0]]
		if !ok {
			return nil, c.refuse("merges[%d]: %q is not in the vocabulary", rank, merge[0])
		}
		right, ok := f.Vocab[merge[1]]
		if !ok {
			return nil, c.refuse("merges[%d]: %q is not in the vocabulary", rank, merge[1])
		}
		if len(merge[1]) < prefix {
			return nil, c.refuse("merges[%d]: %q is shorter than the continuing_subword_prefix", rank, merge[1])
		}
		joined = append(append(joined[:0], merge[0]...), merge[1][prefix:]...)
		id, ok := f.Vocab[string(joined)]
		if !ok {
			return nil, c.refuse("merges[%d]: the merged token %q is not in the vocabulary", rank, joined)
		}
		table.put(newPair(left, right), rule{int32(rank), id})
	}
	return table, nil
}

// unknownID gives the id of unk_token, none if the file names none.
func (c component) unknownID(f *bpeFields) (eft.Token, error) {
	if f.Unknown == nil {
		return none, nil
	}
	id, ok := f.Vocab[*f.Unknown]
	if !ok {
		return none, c.refuse("unk_token %q is not in the vocabulary", *f.Unknown)
	}
	return id, nil
}
