package tokenizer

import "strings"

// byteLevelFields are the fields of every component of type ByteLevel.
type byteLevelFields struct {
	Type           string
	AddPrefixSpace *bool `json:"add_prefix_space"`
	TrimOffsets    *bool `json:"trim_offsets"` // offsets are not computed here
	UseRegex       *bool `json:"use_regex"`    // absent: true
}

// byteLevel puts a space before every text that does not begin with one, if
// the file asks for it, and cuts by GPT-2's pattern, if the file asks for it.
// The third thing that it does is [byteWriter].
type byteLevel struct {
	prefixSpace bool
	useRegex    bool
}

func (c component) byteLevel() (preTokenizer, error) {
	var f byteLevelFields
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if f.AddPrefixSpace == nil {
		return nil, c.refuse("add_prefix_space is missing")
	}
	return byteLevel{prefixSpace: *f.AddPrefixSpace, useRegex: f.UseRegex == nil || *f.UseRegex}, nil
}

// isIdle says whether b neither adds nor cuts anything.
func (b byteLevel) isIdle() bool { return !b.prefixSpace && !b.useRegex }

// cutter is b as one stage, the plainest that will do.
func (b byteLevel) cutter() preTokenizer {
	if !b.prefixSpace {
		return splitter{matcher: gpt2Words{}, behavior: isolated}
	}
	return b
}

func (b byteLevel) split(dst []piece, p piece) []piece {
	if p.text == "" {
		return dst
	}
	if b.prefixSpace && !strings.HasPrefix(p.text, " ") {
		p = p.prepend(" ")
	}
	if !b.useRegex {
		return append(dst, p)
	}
	return splitter{matcher: gpt2Words{}, behavior: isolated}.split(dst, p)
}

// prepend puts s before p; it counts as part of p's first character.
func (p piece) prepend(s string) piece {
	if p.head > 0 {
		p.head += len(s)
	}
	p.text = s + p.text
	return p
}

// byteWriter writes bytes as the characters of the alphabet.
type byteWriter struct{ alphabet *alphabet }

func (w byteWriter) split(dst []piece, p piece) []piece {
	return append(dst, piece{w.alphabet.encode(p.text), len(w.alphabet.encode(p.text[:p.head]))})
}

// written applies the stages behind ByteLevel, which see the characters that it
// writes for bytes, to pieces of which the bytes are wanted.
type written struct {
	alphabet *alphabet
	stages   preTokenizers
}

func (w written) split(dst []piece, p piece) []piece {
	var buf []byte
	for _, part := range w.stages.split(nil, piece{text: w.alphabet.encode(p.text)}) {
		buf, _ = w.alphabet.decode(buf[:0], part.text) // all of it is from the alphabet
		dst = append(dst, piece{text: string(buf)})    // no stage that asks for the head is left
	}
	return dst
}
