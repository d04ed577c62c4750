package tokenizer

import "github.com/graft-gateway/graft/eft"

// Stream decodes a growing list of ids. What Push and Flush return, joined, is
// what [Tokenizer.Decode] gives for all the ids at once. A Stream belongs to
// one goroutine.
type Stream struct {
	tokenizer   *Tokenizer
	skipSpecial bool
	decoding    *decoding
	out         []byte // reused between calls
}

// Stream starts a text; skipSpecial leaves special tokens out of it.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	return &Stream{tokenizer: t, skipSpecial: skipSpecial, decoding: t.decoder.begin()}
}

// Push takes the next id and returns the text that became certain: later ids
// cannot change it. What may be held back is an unfinished character, a run of
// byte tokens, and what the decoder treats otherwise at the end of a text.
func (s *Stream) Push(id eft.Token) string {
	s.out = s.push(s.out[:0], id)
	return string(s.out)
}

func (s *Stream) push(dst []byte, id eft.Token) []byte {
	token, ok := s.tokenizer.token(id)
	// The reference asks for the token as the decoder gets it: a special token
	// that normalisation changes is not left out.
	if !ok || s.skipSpecial && s.tokenizer.special[token] {
		return dst
	}
	return s.decoding.push(dst, token)
}

// Flush ends the text and returns what was held back, with U+FFFD for an
// unfinished character. A Push after it starts the next text.
func (s *Stream) Flush() string {
	s.out = s.decoding.flush(s.out[:0])
	return string(s.out)
}
