package eft

import (
	"slices"
	"testing"
)

func TestVocabularyKnowsItsPieces(t *testing.T) {
	v := NewVocabulary([][]byte{[]byte("a"), nil, {}, []byte("bc"), nil, nil})
	if v.Size() != 4 {
		t.Errorf("size %d, want 4: trailing padding is not part of it", v.Size())
	}
	if got := v.Piece(3); string(got) != "bc" {
		t.Errorf("piece 3 is %q", got)
	}
	for _, id := range []Token{-1, 1, 4, 99} {
		if v.Piece(id) != nil {
			t.Errorf("id %d has a piece", id)
		}
	}
	if p := v.Piece(2); p == nil || len(p) != 0 {
		t.Errorf("piece 2 is %v, want empty and not nil", p)
	}
}

func TestFingerprintTellsVocabulariesApart(t *testing.T) {
	a := [][]byte{[]byte("ab"), []byte("c")}
	same := NewVocabulary(append(slices.Clone(a), nil))
	others := map[string][][]byte{
		"bytes moved across a border": {[]byte("a"), []byte("bc")},
		"order":                       {[]byte("c"), []byte("ab")},
		"one more":                    {[]byte("ab"), []byte("c"), []byte("d")},
		"hole instead of a token":     {[]byte("ab"), nil, []byte("c")},
		"empty instead of a hole":     {[]byte("ab"), {}, []byte("c")},
	}
	v := NewVocabulary(a)
	if v.Fingerprint() != same.Fingerprint() {
		t.Error("padding changed the fingerprint")
	}
	for name, pieces := range others {
		if NewVocabulary(pieces).Fingerprint() == v.Fingerprint() {
			t.Errorf("%s: same fingerprint", name)
		}
	}
	if NewVocabulary(others["hole instead of a token"]).Fingerprint() == NewVocabulary(others["empty instead of a hole"]).Fingerprint() {
		t.Error("a hole and an empty token have the same fingerprint")
	}
}

func TestDifferencesNamesTheFirstIds(t *testing.T) {
	a := NewVocabulary([][]byte{[]byte("a"), []byte("b"), []byte("c")})
	b := NewVocabulary([][]byte{[]byte("a"), []byte("x"), []byte("c"), []byte("d"), {}})
	if got := a.Differences(b, 10); !slices.Equal(got, []Token{1, 3, 4}) {
		t.Errorf("got %v", got)
	}
	if got := a.Differences(b, 2); !slices.Equal(got, []Token{1, 3}) {
		t.Errorf("limited to 2: got %v", got)
	}
	if got := a.Differences(a, 10); got != nil {
		t.Errorf("against itself: got %v", got)
	}
}
