package proxy

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// shared is a vocabulary as byte fallback makes it: ids 0 and 3 are both "a".
func sharedPieces() [][]byte {
	return [][]byte{[]byte("a"), []byte(" b"), nil, []byte("a"), {}, {0xE2, 0x82}, []byte("\uFFFD"),
		[]byte("x"), []byte("x"), []byte("x"), []byte("x"), []byte("x"), []byte("x"), []byte("x")}
}

func TestPiecesNameIDs(t *testing.T) {
	p := NewPieces(eft.NewVocabulary(sharedPieces()))
	for name, c := range map[string]struct {
		piece string
		id    eft.Token
		says  string // of the error; empty for none
	}{
		"only one":                  {" b", 1, ""},
		"part of a character":       {"\xE2\x82", 5, ""},
		"two":                       {"a", 0, `"a" is id 0 or id 3`},
		"many":                      {"x", 0, `"x" is id 7 or id 8 or id 9 or id 10 or id 11 or 2 more`},
		"unknown":                   {"b", 0, `no token of the vocabulary is "b"`},
		"nothing names no id":       {"", 0, `no token of the vocabulary is ""`},
		"bytes of the replacement":  {"\uFFFD", 6, ""},
		"unknown bytes are quoted":  {"\xE2", 0, `"\xe2"`},
		"a longer one is not a cut": {" bb", 0, "no token"},
	} {
		id, err := p.ID([]byte(c.piece))
		if c.says == "" {
			if err != nil || id != c.id {
				t.Errorf("%s: got %d, %v; want %d", name, id, err, c.id)
			}
			continue
		}
		if !errors.Is(err, ErrNotOneToken) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %d, %v; want an error that says %q", name, id, err, c.says)
		}
	}
	if got := p.Ambiguous(); got != 9 {
		t.Errorf("%d ambiguous ids, want 9: two of a, seven of x", got)
	}
}

func TestTextWithReplacementsNamesNoID(t *testing.T) {
	p := NewPieces(eft.NewVocabulary(sharedPieces()))
	if id, err := p.Text(" b"); err != nil || id != 1 {
		t.Errorf("got %d, %v", id, err)
	}
	for _, text := range []string{"\uFFFD", " b\uFFFD", "a", ""} {
		if id, err := p.Text(text); !errors.Is(err, ErrNotOneToken) {
			t.Errorf("%q: got %d, %v", text, id, err)
		}
	}
}

// What a server sends as a piece is anything at all.
func FuzzPieces(f *testing.F) {
	v := eft.NewVocabulary(sharedPieces())
	p := NewPieces(v)
	for _, piece := range []string{"a", " b", "", "\xE2\x82", "\uFFFD", "x", "\x00"} {
		f.Add([]byte(piece))
	}
	f.Fuzz(func(t *testing.T, piece []byte) {
		var having []eft.Token
		for id := range eft.Token(v.Size()) {
			if len(piece) > 0 && bytes.Equal(v.Piece(id), piece) {
				having = append(having, id)
			}
		}
		id, err := p.ID(piece)
		if (err == nil) != (len(having) == 1) || err == nil && id != having[0] {
			t.Fatalf("%q: got %d, %v; ids with these bytes: %v", piece, id, err, having)
		}
		if text, err := p.Text(string(piece)); err == nil && text != id {
			t.Fatalf("%q: %d as text, %d as bytes", piece, text, id)
		}
	})
}
