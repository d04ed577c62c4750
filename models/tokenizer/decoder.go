package tokenizer

import (
	"bytes"
	"encoding/json"
)

// decoder turns tokens back into text.
type decoder interface {
	// piece gives the bytes that token stands for on its own.
	piece(token string) []byte
	// begin starts a text.
	begin() decoding
}

// decoding is one text on its way. It belongs to one goroutine.
type decoding interface {
	// push takes the next token and appends what became certain.
	push(dst []byte, token string) []byte
	// flush appends the rest; the text ends here.
	flush(dst []byte) []byte
}

func newDecoder(raw json.RawMessage) (decoder, error) {
	if absent(raw) {
		return nil, refuse("decoder", "", "missing: tokens joined by spaces are not supported")
	}
	c, err := newComponent("decoder", raw, 0)
	if err != nil {
		return nil, err
	}
	list, err := flattenDecoders(c)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].kind != "ByteLevel" {
		return nil, c.refuse("only ByteLevel is supported, alone or followed by Fuse")
	}
	for _, later := range list[1:] {
		// The bytes of all tokens are joined by ByteLevel already.
		if later.kind != "Fuse" {
			return nil, later.refuse("only Fuse is supported after ByteLevel")
		}
	}
	return &byteLevelDecoder{alphabet: newAlphabet()}, nil
}

// flattenDecoders lists the decoders of nested Sequences in order.
func flattenDecoders(c component) ([]component, error) {
	switch c.kind {
	case "ByteLevel":
		return []component{c}, c.read(&byteLevelFields{})
	case "Fuse":
		return []component{c}, c.read(&struct{ Type string }{})
	case "Sequence":
		var f struct {
			Type     string
			Decoders []json.RawMessage
		}
		if err := c.read(&f); err != nil {
			return nil, err
		}
		children, err := c.children("decoders", f.Decoders)
		if err != nil {
			return nil, err
		}
		var list []component
		for _, child := range children {
			inner, err := flattenDecoders(child)
			if err != nil {
				return nil, err
			}
			list = append(list, inner...)
		}
		return list, nil
	}
	return nil, c.unsupported()
}

// byteLevelDecoder reads tokens through the alphabet. A token with a character
// outside it, as an added one with a space, stands for its own UTF-8 bytes.
type byteLevelDecoder struct{ alphabet *alphabet }

func (d *byteLevelDecoder) piece(token string) []byte {
	return d.append(make([]byte, 0, len(token)), token)
}

func (d *byteLevelDecoder) append(dst []byte, token string) []byte {
	out, ok := d.alphabet.decode(dst, token)
	if !ok {
		return append(dst, token...)
	}
	return out
}

func (d *byteLevelDecoder) begin() decoding { return &byteLevelDecoding{decoder: d} }

// byteLevelDecoding holds back the start of a character whose other bytes have
// not come yet: at most 3 bytes, since no sequence is longer than 4.
type byteLevelDecoding struct {
	decoder *byteLevelDecoder
	held    []byte
}

func (s *byteLevelDecoding) push(dst []byte, token string) []byte {
	s.held = s.decoder.append(s.held, token)
	dst, tail := appendRepaired(dst, s.held)
	s.held = append(s.held[:0], bytes.Clone(tail)...)
	return dst
}

func (s *byteLevelDecoding) flush(dst []byte) []byte {
	if len(s.held) > 0 {
		s.held = s.held[:0]
		dst = append(dst, replacement...)
	}
	return dst
}
