package tokenizer

import "unicode/utf8"

// wordRuns matches \w+|[^\w\s]+, which leaves white space between the matches.
type wordRuns struct {
	words [1 << 10]uint64 // bits of the characters of the first plane that are \w
}

func newWordRuns() *wordRuns {
	w := &wordRuns{}
	for r := range rune(1 << 16) {
		if isWord(r) {
			w.words[r/64] |= 1 << (r % 64)
		}
	}
	return w
}

// wordClass tells what wordRuns tells apart: letter is \w here.
func (w *wordRuns) wordClass(r rune) class {
	switch {
	case r < 1<<16 && w.words[r/64]&(1<<(r%64)) != 0, r >= 1<<16 && isWord(r):
		return letter
	case isSpace(r):
		return space
	}
	return other
}

func (w *wordRuns) match(dst []span, text string) []span {
	start, run := 0, space
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		if class := w.wordClass(r); class != run {
			if run != space {
				dst = append(dst, span{start, i})
			}
			start, run = i, class
		}
		i += size
	}
	if run != space {
		dst = append(dst, span{start, len(text)})
	}
	return dst
}
