package tokenizer

import "unicode/utf8"

// program is a pattern made ready for matching by trying: most patterns of
// files take a character class at a time, where this is several times faster
// than the general engine.
type program struct {
	start *step
	first *charClass // what a match begins with; nil if it may match nothing
}

// step is one thing to match, with what comes after.
type step struct {
	op       stepOp
	class    *charClass
	min, max int
	inner    *step   // stepAhead, stepAtomic: ends in stepDone
	either   []*step // stepEither
	negated  bool
	place    place
	next     *step
}

type stepOp int

const (
	stepDone stepOp = iota
	stepClass
	stepRun     // greedy repetition of a class
	stepLazyRun // lazy repetition of a class
	stepEither
	stepAtomic
	stepAhead
	stepBehind
	stepPlace
)

func newProgram(t *tree) *program {
	p := &program{start: t.steps(&step{op: stepDone})}
	if set, ok := t.first(); ok {
		p.first = newCharClass(set)
	}
	return p
}

// steps puts t before next.
func (t *tree) steps(next *step) *step {
	switch t.op {
	case opClass:
		return &step{op: stepClass, class: t.class, next: next}
	case opSequence:
		for i := len(t.list) - 1; i >= 0; i-- {
			next = t.list[i].steps(next)
		}
		return next
	case opEither:
		s := &step{op: stepEither}
		for _, part := range t.list {
			s.either = append(s.either, part.steps(next))
		}
		return s
	case opRepeat:
		return t.repetition(next)
	case opAtomic:
		return &step{op: stepAtomic, inner: t.list[0].steps(&step{op: stepDone}), next: next}
	case opAhead:
		return &step{op: stepAhead, negated: t.negated, inner: t.list[0].steps(&step{op: stepDone}), next: next}
	case opBehind:
		return &step{op: stepBehind, negated: t.negated, class: t.list[0].class, next: next}
	}
	return &step{op: stepPlace, place: t.place, next: next}
}

// repetition writes out repetitions of groups: so many copies, then optional
// ones or a loop.
func (t *tree) repetition(next *step) *step {
	inner := t.list[0]
	if inner.op == opClass {
		s := &step{op: stepRun, class: inner.class, min: t.min, max: t.max, next: next}
		if t.lazy {
			s.op = stepLazyRun
		}
		return s
	}
	or := func(more, stop *step) *step {
		if t.lazy {
			return &step{op: stepEither, either: []*step{stop, more}}
		}
		return &step{op: stepEither, either: []*step{more, stop}}
	}
	rest := next
	if t.max < 0 {
		loop := &step{}
		*loop = *or(inner.steps(loop), next)
		rest = loop
	}
	for range t.max - t.min {
		rest = or(inner.steps(rest), next)
	}
	for range t.min {
		rest = inner.steps(rest)
	}
	return rest
}

// longRun is how many bytes make it worth remembering that a repetition failed.
const longRun = 64

// deepest bounds how many alternatives are open at once.
const deepest = 1 << 14

// run is one search through a text.
type run struct {
	text  string
	depth int
	lost  bool // it went too deep: the result is worth nothing
	// failed has the stretch of a long repetition after which nothing matched.
	// Whoever starts within it would try the same places once more.
	failed map[*step]span
}

// match appends all matches in text as [regex.match] does; ok is false if the
// text is too much for it.
func (p *program) match(dst []span, text string) (out []span, ok bool) {
	r := run{text: text}
	last := -1 // where the last match ended
	for at := 0; at <= len(text); {
		if p.first != nil && p.first.size(text, at) == 0 {
			at += skip(text, at)
			continue
		}
		end := r.try(p.start, at)
		if r.lost {
			return dst, false
		}
		if end < 0 || end == at && end == last {
			at += skip(text, at)
			continue
		}
		dst = append(dst, span{at, end})
		at, last = end, end
	}
	return dst, true
}

// skip is the length of the character at i, 1 at the end.
func skip(text string, i int) int {
	if i >= len(text) || text[i] < utf8.RuneSelf {
		return 1
	}
	_, size := utf8.DecodeRuneInString(text[i:])
	return size
}

// try returns where s and all that follows match from i on, −1 if they do not.
func (r *run) try(s *step, i int) int {
	for {
		switch s.op {
		case stepDone:
			return i
		case stepClass:
			n := s.class.size(r.text, i)
			if n == 0 {
				return -1
			}
			i += n
		case stepRun:
			return r.tryRun(s, i)
		case stepLazyRun:
			return r.tryLazyRun(s, i)
		case stepEither:
			return r.tryEither(s, i)
		case stepAtomic:
			if i = r.try(s.inner, i); i < 0 {
				return -1
			}
		case stepAhead:
			if (r.try(s.inner, i) >= 0) == s.negated {
				return -1
			}
		case stepBehind:
			if r.isBehind(s.class, i) == s.negated {
				return -1
			}
		case stepPlace:
			if !r.isAt(s.place, i) {
				return -1
			}
		}
		if r.lost {
			return -1
		}
		s = s.next
	}
}

// tryEither takes the first alternative that leads to the end.
func (r *run) tryEither(s *step, i int) int {
	if r.depth++; r.depth > deepest {
		r.lost = true
		return -1
	}
	end := -1
	for _, s := range s.either {
		if s.op == stepClass && s.class.size(r.text, i) == 0 {
			continue
		}
		if end = r.try(s, i); end >= 0 || r.lost {
			break
		}
	}
	r.depth--
	return end
}

// tryRun takes as many characters as it can and gives them back one by one.
func (r *run) tryRun(s *step, i int) int {
	count, start := 0, i
	if f, ok := r.failed[s]; ok && i >= f.start && i <= f.end {
		return -1
	}
	for s.max < 0 || count < s.max {
		n := s.class.size(r.text, i)
		if n == 0 {
			break
		}
		i += n
		count++
	}
	if s.next.op == stepDone {
		if count < s.min {
			return -1
		}
		return i
	}
	end := i
	for count >= s.min {
		// What comes next often needs a character that is not there.
		if s.next.op != stepClass || s.next.class.size(r.text, i) > 0 {
			if end := r.try(s.next, i); end >= 0 || r.lost {
				return end
			}
		}
		if i == start {
			break
		}
		_, size := utf8.DecodeLastRuneInString(r.text[start:i])
		i -= size
		count--
	}
	if s.max < 0 && end-start > longRun {
		if r.failed == nil {
			r.failed = map[*step]span{}
		}
		r.failed[s] = span{start, end}
	}
	return -1
}

// tryLazyRun takes as few characters as it can.
func (r *run) tryLazyRun(s *step, i int) int {
	for count := 0; ; count++ {
		if count >= s.min {
			if end := r.try(s.next, i); end >= 0 || r.lost {
				return end
			}
		}
		n := s.class.size(r.text, i)
		if n == 0 || s.max >= 0 && count == s.max {
			return -1
		}
		i += n
	}
}

// isBehind says whether the character before i is in class.
func (r *run) isBehind(class *charClass, i int) bool {
	if i == 0 {
		return false
	}
	_, size := utf8.DecodeLastRuneInString(r.text[:i])
	return class.size(r.text, i-size) > 0
}

func (r *run) isAt(p place, i int) bool {
	switch p {
	case textStart:
		return i == 0
	case textEnd:
		return i == len(r.text)
	case lineStart:
		return i == 0 || r.text[i-1] == '\n' && i < len(r.text)
	}
	return i == len(r.text) || r.text[i] == '\n'
}
