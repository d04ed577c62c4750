package gateway

import "strings"

// stopper cuts a text at the first stop string, wherever token borders lie. It
// holds back text that may be the beginning of one.
//
// Invariant: held is a proper prefix of some stop string, and nothing after it has
// been released.
type stopper struct {
	stops []string
	held  string
}

// push adds text and returns what is certain to stand before any stop string.
// Stopped says that one was found; it and what follows are dropped.
func (s *stopper) push(text string) (out string, stopped bool) {
	if len(s.stops) == 0 {
		return text, false
	}
	text = s.held + text
	s.held = ""
	first := -1
	for _, stop := range s.stops {
		if at := strings.Index(text, stop); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	if first >= 0 {
		return text[:first], true
	}
	keep := s.beginning(text)
	s.held = text[len(text)-keep:]
	return text[:len(text)-keep], false
}

// pass adds text that is not searched and returns it with what was held.
func (s *stopper) pass(text string) string {
	text, s.held = s.held+text, ""
	return text
}

// beginning is the length of text's longest suffix that a stop string begins with.
func (s *stopper) beginning(text string) int {
	longest := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, stop[:n]) {
				longest = n
			}
		}
	}
	return longest
}
