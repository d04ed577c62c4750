package simulated

import "strings"

// stopper looks for stop strings in a text that grows. held is the end of the text that
// may still become one; it has none in it.
type stopper struct {
	stops []string
	held  string
}

// push adds text and returns what is certain. If a stop string ends the text, it is
// returned, and the text before it.
func (s *stopper) push(text string) (certain, stop string) {
	text = s.held + text
	at := len(text)
	for _, candidate := range s.stops {
		if i := strings.Index(text, candidate); i >= 0 && i < at {
			at, stop = i, candidate
		}
	}
	if stop != "" {
		s.held = ""
		return text[:at], stop
	}
	hold := 0
	for _, candidate := range s.stops {
		for n := min(len(candidate)-1, len(text)); n > hold; n-- {
			if strings.HasSuffix(text, candidate[:n]) {
				hold = n
			}
		}
	}
	s.held = text[len(text)-hold:]
	return text[:len(text)-hold], ""
}

// flush returns what is held.
func (s *stopper) flush() string {
	held := s.held
	s.held = ""
	return held
}
