package openai

import (
	"strconv"
	"unicode/utf8"
)

// keySet remembers the keys of one object. Most objects are small: those few
// keys are compared one by one, and only more make a map.
type keySet struct {
	few  [12]string
	n    int
	many map[string]struct{}
}

// add says whether key is new.
func (s *keySet) add(key string) bool {
	for _, k := range s.few[:s.n] {
		if k == key {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = key
		s.n++
		return true
	}
	if _, twice := s.many[key]; twice {
		return false
	}
	if s.many == nil {
		s.many = make(map[string]struct{})
	}
	s.many[key] = struct{}{}
	return true
}

// keyName is a key as a path shows it: as it is if it looks like a name, else
// quoted, and never long.
func keyName(key string) string {
	if key == "" || len(key) > maxQuoted {
		return quote(key)
	}
	for _, c := range []byte(key) {
		name := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
		if !name {
			return quote(key)
		}
	}
	return key
}

// maxQuoted is how many bytes of a client's own text an error repeats.
const maxQuoted = 64

// quote is a client's text as a message shows it.
func quote(s string) string { return strconv.Quote(clip(s)) }

// clip shortens s to about maxQuoted bytes, at a rune's border.
func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
