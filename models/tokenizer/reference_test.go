package tokenizer

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// The files of testdata/reference are what the reference library gives;
// testdata/reference.py makes them.

// referenceCase is a tokenizer of components.json.gz with its texts.
type referenceCase struct {
	Name  string
	Plain bool
	File  json.RawMessage
	Cases [][5]json.RawMessage // text, ids, ids with special, decoded, decoded without special
}

func TestReferenceComponents(t *testing.T) {
	var list []referenceCase
	readVectors(t, "reference/components.json.gz", &list)
	for _, c := range list {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := Load(c.File)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.Cases {
				var text, decoded, skipped string
				var ids, special []eft.Token
				for i, v := range []any{&text, &ids, &special, &decoded, &skipped} {
					if err := json.Unmarshal(w[i], v); err != nil {
						t.Fatal(err)
					}
				}
				encode := tok.Encode
				if c.Plain {
					encode = tok.EncodePlain
				}
				if got := encode(text, false); !slices.Equal(got, ids) {
					t.Errorf("%.80q: ids %v, want %v", text, got, ids)
				}
				if got := encode(text, true); !slices.Equal(got, special) {
					t.Errorf("%.80q: with special %v, want %v", text, got, special)
				}
				if got := tok.Decode(special, false); got != decoded {
					t.Errorf("%v: decoded %q, want %q", special, got, decoded)
				}
				if got := tok.Decode(special, true); got != skipped {
					t.Errorf("%v: decoded without special %q, want %q", special, got, skipped)
				}
			}
		})
	}
}

func TestReferenceStrings(t *testing.T) {
	var texts []string
	readVectors(t, "reference/strings.json.gz", &texts)
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			var want [][]eft.Token
			readVectors(t, "reference/"+family+".json.gz", &want)
			tok := loadFamily(t, family)
			for i, text := range texts {
				if got := tok.Encode(text, false); !slices.Equal(got, want[i]) {
					t.Errorf("%q: ids %v, want %v", text, got, want[i])
				}
			}
		})
	}
}

// TestReferenceClasses compares every code point of the first two planes but
// the middle of the largest blocks, and the ends of every range beyond.
func TestReferenceClasses(t *testing.T) {
	var classes map[string][][2]rune
	readVectors(t, "reference/classes.json.gz", &classes)
	for pattern, ranges := range classes {
		t.Run(pattern, func(t *testing.T) {
			want := make([]bool, 0x110000)
			for _, r := range ranges {
				for c := r[0]; c <= r[1]; c++ {
					want[c] = true
				}
			}
			points := samplePoints(ranges)
			in := classOf(t, pattern, points)
			for _, c := range points {
				if in[c] != want[c] && !(c == 'Q' && pattern == "single_word") {
					t.Errorf("%U: %v, want %v", c, in[c], want[c])
				}
			}
		})
	}
}

// samplePoints gives the code points to compare, in order.
func samplePoints(ranges [][2]rune) []rune {
	take := make([]bool, 0x110001)
	for _, r := range ranges {
		for _, c := range []rune{max(r[0]-1, 0), r[0], r[1], r[1] + 1} {
			take[c] = true
		}
	}
	var points []rune
	for c := rune(0); c < 0x110000; c++ {
		large := c > 0x3500 && c < 0xA000 || c > 0xAC00 && c < 0xD700 || c > 0xE000 && c < 0xF800 || c > 0x17000 && c < 0x18A00 || c > 0x20000
		surrogate := c >= 0xD800 && c < 0xE000
		if !surrogate && (take[c] || !large || c%64 == 0) {
			points = append(points, c)
		}
	}
	return points
}

// classOf says which of points are members of a named class or of a pattern.
func classOf(t *testing.T, pattern string, points []rune) []bool {
	in := make([]bool, 0x110000)
	named := map[string]func(rune) bool{
		"Digits": isDigit, "Punctuation": isPunctuation, "WhitespaceSplit": isSpace, "single_word": isWord,
	}
	if f, ok := named[pattern]; ok {
		for _, c := range points {
			in[c] = f(c)
		}
		return in
	}
	m, err := newRegex(pattern)
	if err != nil {
		t.Fatal(err)
	}
	text := string(points)
	for _, s := range m.match(nil, text) {
		for _, r := range text[s.start:s.end] {
			in[r] = true
		}
	}
	return in
}
