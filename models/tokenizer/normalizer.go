package tokenizer

import (
	"encoding/json"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a text before it is cut.
type normalizer interface {
	normalize(text string) string
	// head says how many bytes of normalize(text), from its start, come from
	// the first n bytes of text; see piece.
	head(text string, n int) int
}

func newNormalizer(raw json.RawMessage) (normalizers, error) {
	if absent(raw) {
		return nil, nil
	}
	c, err := newComponent("normalizer", raw, 0)
	if err != nil {
		return nil, err
	}
	stages, err := c.flatten("normalizers")
	if err != nil {
		return nil, err
	}
	var list normalizers
	var growth []int
	for _, stage := range stages {
		n, err := stage.normalizer()
		if err != nil {
			return nil, err
		}
		if r, ok := n.(replace); ok {
			growth = append(growth, r.growth())
		}
		list = append(list, n)
	}
	return list, c.checkGrowth(growth)
}

// normalizer interprets one stage.
func (c component) normalizer() (normalizer, error) {
	switch c.kind {
	case "Prepend":
		var f struct {
			Type    string
			Prepend *string
		}
		if err := c.read(&f); err != nil {
			return nil, err
		}
		if isEmpty(f.Prepend) {
			return nil, c.refuse("prepend is missing or empty")
		}
		return prepend(*f.Prepend), nil
	case "Replace":
		m, content, err := c.replacement()
		return replace{m, content}, err
	case "Strip":
		return c.strip()
	case "BertNormalizer":
		return c.bert()
	case "Precompiled":
		return c.precompiled()
	}
	return c.fixedNormalizer()
}

// fixedNormalizer interprets the stages without options.
func (c component) fixedNormalizer() (n normalizer, err error) {
	switch c.kind {
	case "NFC":
		n = newUnicodeForm(norm.NFC, norm.NFD)
	case "NFD":
		n = newUnicodeForm(norm.NFD, norm.NFD)
	case "NFKC":
		n = newUnicodeForm(norm.NFKC, norm.NFKD)
	case "NFKD":
		n = newUnicodeForm(norm.NFKD, norm.NFKD)
	case "Nmt":
		n = newMapping(nmt)
	case "Lowercase":
		n = newMapping(lowercase)
	case "StripAccents":
		n = newMapping(stripAccents)
	case "ByteLevel":
		n = bytesNormalizer{newAlphabet()}
	default:
		return nil, c.unsupported()
	}
	return n, c.read(&struct{ Type string }{})
}

// normalizers applies its members in order; none changes nothing.
type normalizers []normalizer

func (s normalizers) normalize(text string) string {
	for _, n := range s {
		text = n.normalize(text)
	}
	return text
}

func (s normalizers) head(text string, n int) int {
	_, n = s.both(text, n)
	return n
}

// both is normalize and head.
func (s normalizers) both(text string, n int) (string, int) {
	for _, stage := range s {
		head := stage.head(text, n)
		text = stage.normalize(text)
		n = min(head, len(text)) // composition may have joined it with what follows
	}
	return text, n
}

// prepend puts itself before every text that is not empty.
type prepend string

func (p prepend) normalize(text string) string {
	if text == "" {
		return text
	}
	return string(p) + text
}

func (p prepend) head(_ string, n int) int {
	if n == 0 {
		return 0
	}
	return len(p) + n
}

// bytesNormalizer writes bytes as the characters of the alphabet.
type bytesNormalizer struct{ alphabet *alphabet }

func (b bytesNormalizer) normalize(text string) string { return b.alphabet.encode(text) }

func (b bytesNormalizer) head(text string, n int) int { return len(b.alphabet.encode(text[:n])) }
