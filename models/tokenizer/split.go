package tokenizer

import (
	"encoding/json"
	"unicode/utf8"
)

// span is a part of a text: bytes [start, end).
type span struct{ start, end int }

// matcher finds the places that a pattern matches, in order, without overlap.
type matcher interface {
	match(dst []span, text string) []span
}

// behavior says what becomes of a match.
type behavior int

const (
	isolated   behavior = iota // a piece of its own
	removed                    // dropped
	contiguous                 // neighbouring matches are one piece
	withPrevious
	withNext
)

// splitter cuts a text at the matches of a pattern.
type splitter struct {
	matcher  matcher
	behavior behavior
	invert   bool // the text between the matches is what matches
}

// section is a part of the text that matched or lies between matches.
type section struct {
	span
	matched bool
}

func (s splitter) split(dst []piece, p piece) []piece {
	if s.behavior == isolated {
		// Matches and gaps are pieces alike, whichever way invert turns them.
		at := 0
		for _, m := range s.matcher.match(nil, p.text) {
			dst = p.appendPart(dst, at, m.start)
			dst = p.appendPart(dst, m.start, m.end)
			at = m.end
		}
		return p.appendPart(dst, at, len(p.text))
	}
	if s.behavior == removed {
		return s.remove(dst, p)
	}
	for _, c := range s.combine(s.sections(p.text)) {
		dst = p.appendPart(dst, c.start, c.end)
	}
	return dst
}

// remove drops the matches, or with invert what lies between them.
func (s splitter) remove(dst []piece, p piece) []piece {
	at := 0
	for _, m := range s.matcher.match(nil, p.text) {
		if s.invert {
			dst = p.appendPart(dst, m.start, m.end)
		} else {
			dst = p.appendPart(dst, at, m.start)
		}
		at = m.end
	}
	if s.invert {
		return dst
	}
	return p.appendPart(dst, at, len(p.text))
}

// sections covers text with matches and the gaps between them.
func (s splitter) sections(text string) []section {
	var out []section
	at := 0
	for _, m := range s.matcher.match(nil, text) {
		if at != m.start {
			out = append(out, section{span{at, m.start}, s.invert})
		}
		out = append(out, section{m, !s.invert})
		at = m.end
	}
	if at != len(text) {
		out = append(out, section{span{at, len(text)}, s.invert})
	}
	return out
}

// combine joins neighbours as the behaviour asks: contiguous joins what is
// alike; the merging ones give a match to the neighbour on its side, unless
// that is a match itself.
func (s splitter) combine(list []section) []section {
	var out []section
	previous := false
	for i := range list {
		c := list[i]
		if s.behavior == withNext {
			c = list[len(list)-1-i]
		}
		joins := c.matched && !previous
		if s.behavior == contiguous {
			joins = c.matched == previous
		}
		previous = c.matched
		if !joins || len(out) == 0 {
			out = append(out, c)
			continue
		}
		last := &out[len(out)-1]
		last.start, last.end = min(last.start, c.start), max(last.end, c.end)
	}
	if s.behavior == withNext {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// split reads the component Split.
func (c component) split() (preTokenizer, error) {
	var f struct {
		Type     string
		Pattern  json.RawMessage
		Behavior *string
		Invert   *bool
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	m, err := c.pattern(f.Pattern)
	if err != nil {
		return nil, err
	}
	if f.Behavior == nil || f.Invert == nil {
		return nil, c.refuse("behavior or invert are missing")
	}
	b, err := c.behavior(*f.Behavior)
	return splitter{matcher: m, behavior: b, invert: *f.Invert}, err
}

func (c component) behavior(name string) (behavior, error) {
	switch name {
	case "Isolated":
		return isolated, nil
	case "Removed":
		return removed, nil
	case "Contiguous":
		return contiguous, nil
	case "MergedWithPrevious":
		return withPrevious, nil
	case "MergedWithNext":
		return withNext, nil
	}
	return 0, c.refuse("unknown behavior %q", name)
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
