package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// preTokenizer cuts a text into the pieces that the model sees one by one.
type preTokenizer interface {
	// split appends the pieces of text, none of them empty, to dst.
	split(dst []string, text string) []string
}

// byteLevelFields are the fields of every component of type ByteLevel.
type byteLevelFields struct {
	Type           string
	AddPrefixSpace *bool `json:"add_prefix_space"`
	TrimOffsets    *bool `json:"trim_offsets"` // offsets are not computed here
	UseRegex       *bool `json:"use_regex"`    // absent: true
}

// newPreTokenizer reads the field pre_tokenizer. One of its stages must be
// ByteLevel: that is how a byte-level tokenizer is known. The model takes the
// bytes of the pieces as they are, instead of as the characters that ByteLevel
// writes for them.
func newPreTokenizer(raw json.RawMessage) (preTokenizer, error) {
	const only = "only byte-level tokenizers are supported, which have one ByteLevel here"
	if absent(raw) {
		return nil, refuse("pre_tokenizer", "", "missing: %s", only)
	}
	c, err := newComponent("pre_tokenizer", raw, 0)
	if err != nil {
		return nil, err
	}
	list, err := flattenPreTokenizers(c)
	if err != nil {
		return nil, err
	}
	var before, after preTokenizers
	stages := &before
	for _, stage := range list {
		p, err := stage.preTokenizer()
		if err != nil {
			return nil, err
		}
		*stages = append(*stages, p)
		if stage.kind != "ByteLevel" {
			continue
		}
		if stages == &after {
			return nil, stage.refuse("a second one: %s", only)
		}
		stages = &after
	}
	if stages == &before {
		return nil, c.refuse("no ByteLevel: %s", only)
	}
	if len(after) > 0 {
		before = append(before, written{newAlphabet(), after})
	}
	return before, nil
}

// flattenPreTokenizers lists the stages of nested Sequences in order.
func flattenPreTokenizers(c component) ([]component, error) {
	if c.kind != "Sequence" {
		return []component{c}, nil
	}
	var f struct {
		Type          string
		Pretokenizers []json.RawMessage
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	children, err := c.children("pretokenizers", f.Pretokenizers)
	if err != nil {
		return nil, err
	}
	var list []component
	for _, child := range children {
		inner, err := flattenPreTokenizers(child)
		if err != nil {
			return nil, err
		}
		list = append(list, inner...)
	}
	return list, nil
}

// preTokenizer interprets one stage.
func (c component) preTokenizer() (preTokenizer, error) {
	switch c.kind {
	case "ByteLevel":
		var f byteLevelFields
		if err := c.read(&f); err != nil {
			return nil, err
		}
		if f.AddPrefixSpace == nil {
			return nil, c.refuse("add_prefix_space is missing")
		}
		p := byteLevel{prefixSpace: *f.AddPrefixSpace}
		if f.UseRegex == nil || *f.UseRegex {
			p.words = splitter{matcher: gpt2Words{}, behavior: isolated}
		}
		return p, nil
	case "Split":
		return c.split()
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
	case "WhitespaceSplit":
		err := c.read(&struct{ Type string }{})
		return splitter{matcher: runes(isSpace), behavior: removed}, err
	}
	return nil, c.unsupported()
}

// preTokenizers applies stages in order, each to every piece of the one before.
type preTokenizers []preTokenizer

func (s preTokenizers) split(dst []string, text string) []string {
	if len(s) == 1 {
		return s[0].split(dst, text)
	}
	pieces := []string{text}
	for _, stage := range s[:len(s)-1] {
		var next []string
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

// byteLevel puts a space before every text that does not begin with one, if
// the file asks for it, and cuts by GPT-2's pattern, if the file asks for it.
type byteLevel struct {
	prefixSpace bool
	words       preTokenizer // nil: no cutting
}

func (b byteLevel) split(dst []string, text string) []string {
	if b.prefixSpace && !strings.HasPrefix(text, " ") {
		text = " " + text
	}
	if b.words == nil {
		return append(dst, text)
	}
	return b.words.split(dst, text)
}

// written applies the stages behind ByteLevel, which see the characters that it
// writes for bytes.
type written struct {
	alphabet *alphabet
	stages   preTokenizers
}

func (w written) split(dst []string, text string) []string {
	letters := make([]rune, len(text))
	for i := range len(text) {
		letters[i] = w.alphabet.runes[text[i]]
	}
	var buf []byte
	for _, piece := range w.stages.split(nil, string(letters)) {
		buf, _ = w.alphabet.decode(buf[:0], piece) // all of it is from the alphabet
		dst = append(dst, string(buf))
	}
	return dst
}

// runes matches every single character of a class.
type runes func(rune) bool

func (in runes) match(dst []span, text string) []span {
	for i, r := range text {
		if in(r) {
			dst = append(dst, span{i, i + utf8.RuneLen(r)})
		}
	}
	return dst
}
