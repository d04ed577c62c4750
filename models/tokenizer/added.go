package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// addedToken is one entry of added_tokens.
type addedToken struct {
	ID         eft.Token `json:"id"`
	Content    string    `json:"content"`
	SingleWord bool      `json:"single_word"` // only where no word character touches it
	Lstrip     bool      `json:"lstrip"`      // takes the white space before it
	Rstrip     bool      `json:"rstrip"`      // takes the white space after it
	Normalized bool      `json:"normalized"`  // found in the normalised text
	Special    bool      `json:"special"`
}

// addedMatcher finds added tokens in a text: leftmost, and the longest of
// those that begin at one place.
type addedMatcher struct {
	nodes []addedNode // a trie of the contents; 0 is the root
	first [256]bool   // the bytes that contents begin with
}

type addedNode struct {
	next  map[byte]int32
	token *addedToken // ends here; nil if none does
}

func newAddedMatcher() *addedMatcher {
	return &addedMatcher{nodes: []addedNode{{}}}
}

// add makes content stand for t. Of two tokens with one content the first
// counts; the reference leaves it to chance.
func (m *addedMatcher) add(content string, t *addedToken) {
	m.first[content[0]] = true
	at := int32(0)
	for i := range len(content) {
		child, ok := m.nodes[at].next[content[i]]
		if !ok {
			child = int32(len(m.nodes))
			m.nodes = append(m.nodes, addedNode{})
			if m.nodes[at].next == nil {
				m.nodes[at].next = map[byte]int32{}
			}
			m.nodes[at].next[content[i]] = child
		}
		at = child
	}
	if m.nodes[at].token == nil {
		m.nodes[at].token = t
	}
}

// longest returns the longest token at the start of text, and its length.
func (m *addedMatcher) longest(text string) (t *addedToken, length int) {
	at := int32(0)
	for i := range len(text) {
		child, ok := m.nodes[at].next[text[i]]
		if !ok {
			break
		}
		at = child
		if m.nodes[at].token != nil {
			t, length = m.nodes[at].token, i+1
		}
	}
	return t, length
}

// segment is a part of a text: an added token, or the text between two.
type segment struct {
	text  string
	start int         // where it stands
	token *addedToken // nil: text
}

// split cuts text into segments, none of them empty text. With plain, special
// tokens are not looked for in it: their text is text.
func (m *addedMatcher) split(text string, plain bool) []segment {
	var out []segment
	done := 0
	for i := 0; i < len(text); {
		if !m.first[text[i]] {
			i++
			continue
		}
		t, length := m.longest(text[i:])
		if t == nil {
			i++
			continue
		}
		start, end := i, i+length
		// What is refused below still hides tokens that begin inside it.
		i = end
		if plain && t.Special || t.SingleWord && touchesWord(text, start, end) {
			continue
		}
		if t.Lstrip {
			// White space up to done is taken already.
			start = max(done, len(strings.TrimRightFunc(text[:start], unicode.IsSpace)))
		}
		if t.Rstrip {
			after := strings.TrimLeftFunc(text[max(end, done):], unicode.IsSpace)
			end = len(text) - len(after)
		}
		if done < start {
			out = append(out, segment{text: text[done:start], start: done})
		}
		if start < end { // a token of white space may have nothing left to stand for
			out = append(out, segment{token: t})
		}
		// What a token before has taken can be taken once more.
		done = end
	}
	if done < len(text) {
		out = append(out, segment{text: text[done:], start: done})
	}
	return out
}

// touchesWord says whether a word character stands before start or at end.
func touchesWord(text string, start, end int) bool {
	if start > 0 {
		if r, _ := utf8.DecodeLastRuneInString(text[:start]); isWord(r) {
			return true
		}
	}
	if end < len(text) {
		r, _ := utf8.DecodeRuneInString(text[end:])
		return isWord(r)
	}
	return false
}
