package tokenizer

import "github.com/graft-gateway/graft/eft"

// byteSymbols takes one symbol for each byte.
type byteSymbols struct {
	ids [256]eft.Token // none if the vocabulary lacks it
	// unknown stands for bytes without a symbol; none drops them. fuseUnknown
	// puts one for a run of them.
	unknown     eft.Token
	fuseUnknown bool
}

func (s *byteSymbols) append(dst []eft.Token, piece string) []eft.Token {
	inUnknown := false
	for i := range len(piece) {
		id := s.ids[piece[i]]
		if id != none {
			dst = append(dst, id)
			inUnknown = false
			continue
		}
		if s.unknown != none && !(inUnknown && s.fuseUnknown) {
			dst = append(dst, s.unknown)
		}
		inUnknown = true
	}
	return dst
}

// byteSymbols finds the tokens of the single bytes.
func (c component) byteSymbols(f *bpeFields) (*byteSymbols, error) {
	s := &byteSymbols{unknown: none, fuseUnknown: isTrue(f.FuseUnknown)}
	complete := true
	for b, r := range newAlphabet().runes {
		id, ok := f.Vocab[string(r)]
		if !ok {
			id, complete = none, false
		}
		s.ids[b] = id
	}
	if complete {
		return s, nil
	}
	var err error
	s.unknown, err = c.unknownID(f)
	return s, err
}
