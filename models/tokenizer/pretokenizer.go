package tokenizer

import "encoding/json"

// preTokenizer cuts a text into the pieces that the model sees one by one.
type preTokenizer interface {
	// split appends the pieces of p, none of them empty, to dst.
	split(dst []piece, p piece) []piece
}

// preTokenizerStages lists the components of the field pre_tokenizer in order, nested
// Sequences taken apart.
func preTokenizerStages(raw json.RawMessage) ([]component, error) {
	if absent(raw) {
		return nil, nil
	}
	c, err := newComponent("pre_tokenizer", raw, 0)
	if err != nil {
		return nil, err
	}
	return c.flatten("pretokenizers")
}

// oneByteLevel says whether ByteLevel is exactly one of the stages, and nothing
// behind it adds characters. Then a model of bytes can take the bytes of the
// text instead of the characters that ByteLevel writes for them.
func oneByteLevel(stages []component) bool {
	seen := false
	for _, c := range stages {
		switch {
		case c.kind == "ByteLevel" && seen, c.kind == "Metaspace" && seen:
			return false
		case c.kind == "ByteLevel":
			seen = true
		}
	}
	return seen
}

// newPreTokenizer interprets stages, and says whether one of them looks at
// piece.head. With rawBytes ByteLevel leaves the bytes as they are.
func newPreTokenizer(list []component, rawBytes bool) (p preTokenizer, asksForHead bool, err error) {
	var before, after preTokenizers
	stages := &before
	for _, c := range list {
		p, err := c.preTokenizer()
		if err != nil {
			return nil, false, err
		}
		if m, ok := p.(metaspace); ok && m.scheme == prependFirst {
			asksForHead = true
		}
		b, ok := p.(byteLevel)
		if !ok {
			*stages = append(*stages, p)
			continue
		}
		if !b.isIdle() {
			*stages = append(*stages, b.cutter())
		}
		if rawBytes {
			stages = &after
		} else {
			*stages = append(*stages, byteWriter{newAlphabet()})
		}
	}
	if len(after) > 0 {
		before = append(before, written{newAlphabet(), after})
	}
	if len(before) == 1 {
		return before[0], asksForHead, nil
	}
	return before, asksForHead, nil
}

// preTokenizer interprets one stage.
func (c component) preTokenizer() (preTokenizer, error) {
	switch c.kind {
	case "ByteLevel":
		return c.byteLevel()
	case "Metaspace":
		return c.metaspace()
	case "Split":
		return c.split()
	case "CharDelimiterSplit":
		var f struct {
			Type      string
			Delimiter singleRune
		}
		if err := c.read(&f); err != nil {
			return nil, err
		}
		return splitter{matcher: literal(f.Delimiter.string()), behavior: removed}, f.Delimiter.check(c, "delimiter")
	case "Digits":
		var f struct {
			Type       string
			Individual bool `json:"individual_digits"`
		}
		if err := c.read(&f); err != nil {
			return nil, err
		}
		if f.Individual {
			return splitter{matcher: runes(isDigit), behavior: isolated}, nil
		}
		return splitter{matcher: runes(isDigit), behavior: contiguous}, nil
	case "Punctuation":
		f := struct {
			Type     string
			Behavior string
		}{Behavior: "Isolated"}
		if err := c.read(&f); err != nil {
			return nil, err
		}
		b, err := c.behavior(f.Behavior)
		return splitter{matcher: runes(isPunctuation), behavior: b}, err
	case "FixedLength":
		return c.fixedLength()
	}
	return c.fixedPreTokenizer()
}

// fixedPreTokenizer interprets the stages without options.
func (c component) fixedPreTokenizer() (p preTokenizer, err error) {
	switch c.kind {
	case "Whitespace":
		p = splitter{matcher: newWordRuns(), behavior: removed, invert: true}
	case "WhitespaceSplit":
		p = splitter{matcher: runes(isSpace), behavior: removed}
	case "BertPreTokenizer":
		p = preTokenizers{
			splitter{matcher: runes(isSpace), behavior: removed},
			splitter{matcher: runes(isPunctuation), behavior: isolated},
		}
	case "UnicodeScripts":
		p = scriptSplitter{}
	default:
		return nil, c.unsupported()
	}
	return p, c.read(&struct{ Type string }{})
}

// preTokenizers applies stages in order, each to every piece of the one
// before; none leaves the text whole.
type preTokenizers []preTokenizer

func (s preTokenizers) split(dst []piece, p piece) []piece {
	if p.text == "" {
		return dst
	}
	if len(s) == 0 {
		return append(dst, p)
	}
	pieces := []piece{p}
	for _, stage := range s[:len(s)-1] {
		next := make([]piece, 0, len(pieces)+8)
		for _, p := range pieces {
			next = stage.split(next, p)
		}
		pieces = next
	}
	for _, p := range pieces {
		dst = s[len(s)-1].split(dst, p)
	}
	return dst
}
