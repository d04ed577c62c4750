package tokenizer

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/graft-gateway/graft/eft"
)

// model turns a piece into ids.
type model interface {
	// tokenize appends the ids of piece to dst. It is safe for concurrent use.
	tokenize(dst []eft.Token, piece string) []eft.Token
}

// none is the id of what has no token.
const none eft.Token = -1

// pair is two neighbouring tokens in one word, which maps look up fastest.
type pair uint64

func newPair(left, right eft.Token) pair { return pair(left)<<32 | pair(uint32(right)) }

// rule is what a merge makes of a pair: lower ranks go first.
type rule struct {
	rank int32
	id   eft.Token
}

// byteBPE is byte-pair encoding over the bytes of a piece. All fields but cache
// and scratch stay as they were loaded.
type byteBPE struct {
	symbols [256]eft.Token // by byte; none if the vocabulary lacks it
	rules   map[pair]rule
	// whole has the id of every token by its bytes if a piece that is a token
	// is taken as it stands (ignore_merges), and is nil otherwise.
	whole map[string]eft.Token
	// unknown stands for bytes without a symbol; none drops them. fuseUnknown
	// puts one for a run of them.
	unknown     eft.Token
	fuseUnknown bool

	cache   *cache
	scratch sync.Pool // of *word
}

// largestScratch bounds the words kept for reuse.
const largestScratch = 1 << 12

func (m *byteBPE) tokenize(dst []eft.Token, piece string) []eft.Token {
	slot := m.cache.slot(piece)
	if ids, ok := m.cache.get(slot, piece); ok {
		return append(dst, ids...)
	}
	start := len(dst)
	if id, ok := m.whole[piece]; ok {
		dst = append(dst, id)
	} else {
		dst = m.merged(dst, piece)
	}
	m.cache.put(slot, piece, dst[start:])
	return dst
}

// merged appends the ids that merging makes of piece.
func (m *byteBPE) merged(dst []eft.Token, piece string) []eft.Token {
	w := m.scratch.Get().(*word)
	m.fill(w, piece)
	w.merge(m.rules)
	for i := int32(0); i >= 0 && len(w.symbols) > 0; i = w.symbols[i].next {
		dst = append(dst, w.symbols[i].id)
	}
	if cap(w.symbols) <= largestScratch {
		w.reset()
		m.scratch.Put(w)
	}
	return dst
}

// fill puts a symbol for each byte of piece into w.
func (m *byteBPE) fill(w *word, piece string) {
	inUnknown := false
	for i := range len(piece) {
		id := m.symbols[piece[i]]
		if id != none {
			w.add(id)
			inUnknown = false
			continue
		}
		if m.unknown != none && !(inUnknown && m.fuseUnknown) {
			w.add(m.unknown)
		}
		inUnknown = true
	}
}

// bpeFields are the fields of the model BPE.
type bpeFields struct {
	Type         string
	Dropout      *float64
	Unknown      *string `json:"unk_token"`
	Prefix       *string `json:"continuing_subword_prefix"`
	Suffix       *string `json:"end_of_word_suffix"`
	FuseUnknown  bool    `json:"fuse_unk"`
	ByteFallback bool    `json:"byte_fallback"`
	IgnoreMerges bool    `json:"ignore_merges"`
	Vocab        vocab
	Merges       merges
}

// newModel reads the field model and returns the vocabulary beside it.
func newModel(raw json.RawMessage) (model, vocab, error) {
	if absent(raw) {
		return nil, nil, refuse("model", "", "missing")
	}
	kind, err := modelType(raw)
	if err != nil {
		return nil, nil, err
	}
	c := component{field: "model", kind: kind, raw: raw}
	if kind != "BPE" {
		return nil, nil, c.unsupported()
	}
	var f bpeFields
	if err := c.read(&f); err != nil {
		return nil, nil, err
	}
	if f.Vocab == nil || f.Merges == nil {
		return nil, nil, c.refuse("vocab or merges are missing")
	}
	m, err := c.byteBPE(&f)
	return m, f.Vocab, err
}

// modelType finds the type without reading the vocabulary, before which it
// stands in all files but old ones. Those leave it out; with merges they are BPE.
func modelType(raw json.RawMessage) (string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return "", refuse("model", "", "not an object")
	}
	kind := ""
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", refuse("model", "", "%v", err)
		}
		if key == "type" {
			if err := d.Decode(&kind); err != nil {
				return "", refuse("model", "", "the type is not a string")
			}
			return kind, nil
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return "", refuse("model", "", "%v", err)
		}
		if key == "merges" {
			kind = "BPE"
		}
	}
	return kind, nil
}

// byteBPE checks f and builds the model.
func (c component) byteBPE(f *bpeFields) (*byteBPE, error) {
	if f.Dropout != nil && *f.Dropout != 0 {
		return nil, c.refuse("dropout %v makes ids random; only null and 0 are supported", *f.Dropout)
	}
	if f.Prefix != nil && *f.Prefix != "" {
		return nil, c.refuse("continuing_subword_prefix %q is not supported", *f.Prefix)
	}
	if f.Suffix != nil && *f.Suffix != "" {
		return nil, c.refuse("end_of_word_suffix %q is not supported", *f.Suffix)
	}
	m := &byteBPE{unknown: none, fuseUnknown: f.FuseUnknown, cache: newCache()}
	m.scratch.New = func() any { return new(word) }
	letters := newAlphabet()
	complete := true
	for b, r := range letters.runes {
		id, ok := f.Vocab[string(r)]
		if !ok {
			id, complete = none, false
		}
		m.symbols[b] = id
	}
	if f.ByteFallback && !complete {
		return nil, c.refuse("byte_fallback is not supported, and the vocabulary lacks some of the 256 byte symbols")
	}
	if f.Unknown != nil && !complete {
		id, ok := f.Vocab[*f.Unknown]
		if !ok {
			return nil, c.refuse("unk_token %q is not in the vocabulary", *f.Unknown)
		}
		m.unknown = id
	}
	if f.IgnoreMerges {
		m.whole = make(map[string]eft.Token, len(f.Vocab))
		var buf []byte
		for token, id := range f.Vocab {
			var ok bool
			if buf, ok = letters.decode(buf[:0], token); ok {
				m.whole[string(buf)] = id
			}
		}
	}
	return m, c.rules(m, f)
}

// rules resolves the merges. Of a pair listed twice the later rank counts.
func (c component) rules(m *byteBPE, f *bpeFields) error {
	m.rules = make(map[pair]rule, len(f.Merges))
	var joined []byte
	for rank, merge := range f.Merges {
		left, ok := f.Vocab[merge[0]]
		if !ok {
			return c.refuse("merges[%d]: %q is not in the vocabulary", rank, merge[0])
		}
		right, ok := f.Vocab[merge[1]]
		if !ok {
			return c.refuse("merges[%d]: %q is not in the vocabulary", rank, merge[1])
		}
		joined = append(append(joined[:0], merge[0]...), merge[1]...)
		id, ok := f.Vocab[string(joined)]
		if !ok {
			return c.refuse("merges[%d]: the merged token %q is not in the vocabulary", rank, joined)
		}
		m.rules[newPair(left, right)] = rule{int32(rank), id}
	}
	return nil
}
