package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// words are a vocabulary of all bytes, n words, two special tokens and "ox".
func words(n int) *spelling {
	var more []string
	for i := range n {
		more = append(more, fmt.Sprintf(" w%d", i))
	}
	return everything(append(more, "<|end|>", "[PAD]", "ox")...)
}

// bytewise tokenizes as bytes: that is exact, and quick for large vocabularies.
func bytewise(s *spelling) *spelling {
	s.encode = func(text string) []eft.Token {
		var ids []eft.Token
		for _, b := range []byte(text) {
			ids = append(ids, eft.Token(b))
		}
		return ids
	}
	return s
}

// byteTokenizer is ours for the same.
type byteTokenizer struct{ *spelling }

func (b byteTokenizer) Encode(text string, _ bool) []eft.Token { return b.encode(text) }

// decoding changes what a server's detokenizer says.
func decoding(s *spelling, change func(text string) string) *spelling {
	s.decode = func(ids []eft.Token) (string, error) { return change(s.join(ids)), nil }
	return s
}

func swapped(s *spelling, a, b int) *spelling {
	s.pieces[a], s.pieces[b] = s.pieces[b], s.pieces[a]
	s.vocabulary = eft.NewVocabulary(s.pieces)
	return bytewise(s)
}

func TestVocabulariesAreComparedByIDs(t *testing.T) {
	const n = 2000
	hidden := func(text string) string {
		return strings.NewReplacer("<|end|>", "", "[PAD]", "").Replace(text)
	}
	for name, c := range map[string]struct {
		server     *spelling
		says, note string // of the error, of the note
	}{
		"the same":                      {bytewise(words(n)), "", ""},
		"larger by padding":             {bytewise(everything(append(tail(words(n)), "pad", "pad")...)), "", ""},
		"hides special tokens":          {decoding(bytewise(words(n)), hidden), "", ""},
		"drops broken characters":       {decoding(bytewise(words(n)), func(s string) string { return strings.ReplaceAll(s, "\uFFFD", "") }), "", ""},
		"tidies":                        {decoding(bytewise(words(n)), tidied), "", ""},
		"splits otherwise":              {words(n), "", "splits text otherwise, such as "},
		"two ids swapped":               {swapped(words(n), 1000, 1999), `id 1000 is "a w1743" there and "a w744" here`, ""},
		"a special token is a word":     {swapped(words(n), 256+n, 300), `id 300 is "a<|end|>" there and "a w44" here`, ""},
		"two bytes swapped":             {swapped(words(n), 'e', 'o'), `id 101 is "ao" there and "ae" here`, ""},
		"quite another":                 {words2(n), `the server's vocabulary is another one: `, ""},
		"an id that we lack":            {withID(bytewise(words(n)), 9999), `has id 9999 there, which the routes' vocabulary lacks`, ""},
		"other ids for text":            {withID(bytewise(words(n)), 'z'), `is id 122 ("z") there and id `, ""},
		"cannot tokenize":               {silent(bytewise(words(n)), true, false), "", ""},
		"cannot detokenize":             {silent(bytewise(words(n)), false, true), "", "compared by 23 texts only"},
		"can do neither":                {silent(bytewise(words(n)), true, true), "", "is not proven"},
		"fails at parts of characters":  {choking(bytewise(words(n))), "", "parts of characters were not compared"},
		"cannot tokenize, and is other": {silent(swapped(words(n), 400, 401), true, false), `id 400 is "a w145" there`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("A")
			w.words = c.server
			ours := bytewise(words(n))
			server := &fakeServer{world: w}
			note, err := checkVocabulary(t.Context(), server, ours.vocabulary, byteTokenizer{ours})
			if (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if (c.note == "") != (note == "") || !strings.Contains(note, c.note) {
				t.Errorf("note %q, want %q", note, c.note)
			}
			if calls := w.calls.Load(); calls > 100 {
				t.Errorf("%d requests", calls)
			}
		})
	}
}

func tail(s *spelling) []string {
	var more []string
	for _, p := range s.pieces[256:] {
		more = append(more, string(p))
	}
	return more
}

// words2 has all ids one further.
func words2(n int) *spelling {
	s := words(n)
	s.pieces = slices.Insert(s.pieces, 0, []byte("<new>"))
	s.vocabulary = eft.NewVocabulary(s.pieces)
	return bytewise(s)
}

func withID(s *spelling, id eft.Token) *spelling {
	encode := s.encode
	s.encode = func(text string) []eft.Token {
		ids := encode(text)
		ids[0] = id
		return ids
	}
	return s
}

func silent(s *spelling, encode, decode bool) *spelling {
	if encode {
		s.encode = nil
	}
	if decode {
		s.decode = nil
	}
	return s
}

func choking(s *spelling) *spelling {
	s.decode = func(ids []eft.Token) (string, error) {
		text := s.join(ids)
		if strings.Contains(text, "\uFFFD") {
			return "", &Error{Fault: Failed, Base: "b", Op: "detokenize", Status: 500}
		}
		return text, nil
	}
	return s
}

func TestLargeVocabulariesTakeFewRequests(t *testing.T) {
	ours := bytewise(words(130_000))
	w := newWorld("A")
	w.words = ours
	if _, err := checkVocabulary(t.Context(), &fakeServer{world: w}, ours.vocabulary, byteTokenizer{ours}); err != nil {
		t.Fatal(err)
	}
	if calls := w.calls.Load(); calls > 80 {
		t.Errorf("%d requests", calls)
	}
	w = newWorld("A")
	w.words = swapped(words(130_000), 70_000, 129_999) // one pair among all
	_, err := checkVocabulary(t.Context(), &fakeServer{world: w}, ours.vocabulary, byteTokenizer{ours})
	if err == nil || !strings.Contains(err.Error(), "id 70000 is ") || w.calls.Load() > 100 {
		t.Errorf("got %v in %d requests", err, w.calls.Load())
	}
}

func TestWhatCannotBeAskedIsAnError(t *testing.T) {
	ours := bytewise(words(10))
	away := errors.New("away")
	for _, s := range []func() error{
		func() error { // tokenize
			w := newWorld("A")
			w.words = bytewise(words(10))
			w.words.encode = func(string) []eft.Token { panic("a bug") }
			_, err := checkVocabulary(t.Context(), &fakeServer{world: w}, ours.vocabulary, byteTokenizer{ours})
			return err
		},
		func() error { // detokenize
			w := newWorld("A")
			w.words = bytewise(words(10))
			w.words.decode = func([]eft.Token) (string, error) { return "", away }
			_, err := checkVocabulary(t.Context(), &fakeServer{world: w}, ours.vocabulary, byteTokenizer{ours})
			return err
		},
	} {
		if err := s(); err == nil || !strings.Contains(err.Error(), "a bug") && !errors.Is(err, away) {
			t.Errorf("got %v", err)
		}
	}
	note, err := checkVocabulary(t.Context(), &fakeServer{world: newWorld("A")}, ours.vocabulary, nil)
	if err != nil || !strings.Contains(note, "not checked") {
		t.Errorf("no tokenizer: %q, %v", note, err)
	}
	mute := &spelling{vocabulary: ours.vocabulary, encode: func(string) []eft.Token { return nil }}
	if _, err := checkVocabulary(t.Context(), &fakeServer{world: newWorld("A")}, ours.vocabulary, byteTokenizer{mute}); err == nil {
		t.Error("a tokenizer without ids was compared with")
	}
}

func TestSamplesHoldNoSpecialTokens(t *testing.T) {
	for _, text := range samples() {
		for _, special := range []string{"<|", "</", "<s", "<unk", "[INST", "<bos", "<eos", "<pad"} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(special)) {
				t.Errorf("%q holds %q", text, special)
			}
		}
	}
}

func TestTextsThatSpellTheSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"a b", "a b", true},
		{" a b", "a b", true},
		{"  a b", "a b", false},
		{"a b ", "a b", false},
		{"ab", "a b", false},
		{"a , b !", "a, b!", true},
		{"do n't", "don't", true},
		{"a\uFFFD b", "a\uFFFD\uFFFD b", true},
		{"a\uFFFD b", "a b", true},
		{"a\uFFFD b", "ac b", false},
	} {
		if got := same(c.a, c.b); got != c.same {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}
