package tokenizer

import "unicode/utf8"

// longRun is how many bytes make it worth remembering that a repetition failed.
const longRun = 64

// deepest bounds how many alternatives are open at once.
const deepest = 1 << 14

// run is one search through a text.
type run struct {
	text  string
	depth int
	lost  bool // it went too deep: the result is worth nothing
	// failed has, for a repetition without a bound, a stretch up to the end of a
	// run of its characters where nothing matched behind it: both ends count.
	failed map[*step]span
	// ended has, for a loop that went round many times, what trying it gives at
	// each place where a round began: the end and 2, or 1 for none.
	ended map[*step][]int32
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
		case stepLoop:
			return r.tryLoop(s, i)
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
	failed, ok := r.failed[s]
	if ok && i >= failed.start && i <= failed.end {
		return -1
	}
	count, start, end := 0, i, -1
	for s.max < 0 || count < s.max {
		n := s.class.size(r.text, i)
		if n == 0 {
			break
		}
		if ok && i == failed.start { // all from here to the end of the run failed
			end = failed.end
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
	end = max(end, i)
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
	if s.max < 0 && s.min <= 1 && end-start > longRun {
		if r.failed == nil {
			r.failed = map[*step]span{}
		}
		_, size := utf8.DecodeRuneInString(r.text[start:])
		r.failed[s] = span{start + s.min*size, end}
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

// tryLoop goes round as often as it can and gives rounds back one by one. All
// places between its rounds lead to the same end, or those behind that end to
// none.
func (r *run) tryLoop(s *step, i int) int {
	ended := r.ended[s]
	places := append(make([]int, 0, 8), i)
	end := -1
	for at := i; ; places = append(places, at) {
		if ended != nil && ended[at] != 0 {
			if ended[at] > 1 {
				end = int(ended[at]) - 2
			}
			places = places[:len(places)-1]
			break
		}
		if at = r.try(s.inner, at); at < 0 {
			break
		}
	}
	ends := len(places) // how many of places lead to end
	for end < 0 && ends > 0 && !r.lost {
		if end = r.try(s.next, places[ends-1]); end < 0 {
			ends--
		}
	}
	if len(places) > longRun || ended != nil {
		r.remember(s, places, ends, end)
	}
	return end
}

// remember keeps what a loop gives at places: end at so many of the first, none
// at the others.
func (r *run) remember(s *step, places []int, ends, end int) {
	if r.ended == nil {
		r.ended = map[*step][]int32{}
	}
	if r.ended[s] == nil {
		r.ended[s] = make([]int32, len(r.text)+1)
	}
	for n, at := range places {
		r.ended[s][at] = 1
		if n < ends {
			r.ended[s][at] = int32(end) + 2
		}
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
