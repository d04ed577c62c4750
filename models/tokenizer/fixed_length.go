package tokenizer

import "unicode/utf8"

// fixedLength cuts after every so many characters.
type fixedLength int

func (n fixedLength) split(dst []piece, p piece) []piece {
	start, count := 0, 0
	for i, r := range p.text {
		if count++; count == int(n) {
			end := i + utf8.RuneLen(r)
			dst = append(dst, p.part(start, end))
			start, count = end, 0
		}
	}
	return p.appendPart(dst, start, len(p.text))
}

func (c component) fixedLength() (preTokenizer, error) {
	f := struct {
		Type   string
		Length int
	}{Length: 5}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if f.Length < 1 {
		return nil, c.refuse("a length of %d", f.Length)
	}
	return fixedLength(f.Length), nil
}
