package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// The scanners do by hand what the patterns of three families say, which is
// many times faster than a regular expression engine. Each alternative of a
// pattern is tried in order at every place; together they match every
// character, so that there are no gaps between matches.

// gpt2Pattern is what ByteLevel cuts by.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// gpt2Words matches [gpt2Pattern].
type gpt2Words struct{}

func (gpt2Words) match(dst []span, text string) []span {
	for i := 0; i < len(text); {
		end := gpt2Word(text, i)
		dst = append(dst, span{i, end})
		i = end
	}
	return dst
}

// gpt2Word returns the end of the match that starts at i.
func gpt2Word(text string, i int) int {
	if n := contraction(text[i:], false); n > 0 {
		return i + n
	}
	start := i
	kind, size := classAt(text, i)
	if text[i] == ' ' && i+1 < len(text) {
		start++
		kind, size = classAt(text, start)
	}
	if kind == space {
		return spaceEnd(text, i)
	}
	return runEnd(text, start+size, kind)
}

// llamaPattern is what Llama 3 (with {1,3} digits) and Qwen 2 (with one digit)
// cut by, with the digits' part in place of %s.
const llamaPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// llamaWords matches [llamaPattern] with up to digits numbers in a match.
type llamaWords struct{ digits int }

func (w llamaWords) match(dst []span, text string) []span {
	for i := 0; i < len(text); {
		end := w.word(text, i)
		dst = append(dst, span{i, end})
		i = end
	}
	return dst
}

// word returns the end of the match that starts at i.
func (w llamaWords) word(text string, i int) int {
	if n := contraction(text[i:], true); n > 0 {
		return i + n
	}
	kind, size := classAt(text, i)
	after := i + size
	nextKind, nextSize := other, 0
	if after < len(text) {
		nextKind, nextSize = classAt(text, after)
	}
	newline := text[i] == '\r' || text[i] == '\n'
	switch {
	case kind == letter:
		return runEnd(text, after, letter)
	case kind == number:
		for n := 1; n < w.digits && after < len(text); n++ {
			kind, size := classAt(text, after)
			if kind != number {
				break
			}
			after += size
		}
		return after
	case nextKind == letter && !newline:
		return runEnd(text, after+nextSize, letter)
	case kind == other:
		return newlinesEnd(text, runEnd(text, after, other))
	case text[i] == ' ' && nextSize > 0 && nextKind == other:
		return newlinesEnd(text, runEnd(text, after+nextSize, other))
	}
	// \s*[\r\n]+ reaches just behind the last line break of the run.
	end := runEnd(text, after, space)
	if last := strings.LastIndexAny(text[i:end], "\r\n"); last >= 0 {
		return i + last + 1
	}
	return spaceEnd(text, i)
}

// spaceEnd is \s+(?!\S)|\s+ for the run of spaces at i: the whole run at the
// end of the text, or all but its last character, which begins the next match,
// unless it is the only one.
func spaceEnd(text string, i int) int {
	end := runEnd(text, i, space)
	if end == len(text) {
		return end
	}
	_, size := utf8.DecodeLastRuneInString(text[i:end])
	if end-size == i {
		return end
	}
	return end - size
}

// runEnd returns the end of the run of kind at i.
func runEnd(text string, i int, kind class) int {
	for i < len(text) {
		k, size := classAt(text, i)
		if k != kind {
			break
		}
		i += size
	}
	return i
}

func newlinesEnd(text string, i int) int {
	for i < len(text) && (text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// contraction returns the length of an English one at the start of text, 0 if
// there is none. With fold, upper case counts too, and so does ſ (U+017F),
// which folds to s.
func contraction(text string, fold bool) int {
	if len(text) < 2 || text[0] != '\'' {
		return 0
	}
	a := text[1]
	if fold {
		if strings.HasPrefix(text[1:], "ſ") {
			return 1 + len("ſ")
		}
		a = lower(a)
	}
	if a == 's' || a == 't' || a == 'm' || a == 'd' {
		return 2
	}
	if len(text) < 3 {
		return 0
	}
	b := text[2]
	if fold {
		b = lower(b)
	}
	if (a == 'r' || a == 'v') && b == 'e' || a == 'l' && b == 'l' {
		return 3
	}
	return 0
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}
