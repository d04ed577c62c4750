package tokenizer

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// The files of testdata/reference are what the reference library gives;
// testdata/reference.py makes them.

// referenceCase is a tokenizer of components.json.gz with its texts.
type referenceCase struct {
	Name  string
	Plain bool
	File  json.RawMessage
	Cases []textCase
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
			encode := tok.Encode
			if c.Plain {
				encode = tok.EncodePlain
			}
			for _, w := range c.Cases {
				w.check(t, tok, encode)
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

// drops says which characters a mapping drops.
func drops(f func([]byte, rune) []byte) func(rune) bool {
	return func(r rune) bool { return len(f(nil, r)) == 0 }
}

// TestReferenceMappings compares every code point.
func TestReferenceMappings(t *testing.T) {
	var want struct {
		Lowercase map[string]string
		Scripts   []rune
	}
	readVectors(t, "reference/mapped.json.gz", &want)
	var cuts []rune
	last := uint8(anyScript)
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if r >= 0xD800 && r < 0xE000 {
			continue
		}
		lower, ok := want.Lowercase[string(r)]
		if !ok {
			lower = string(r)
		}
		if got := string(lowercase(nil, r)); got != lower {
			t.Errorf("%U in lower case: %q, want %q", r, got, lower)
		}
		if script := scriptOf(r); script != anyScript && script != last {
			cuts = append(cuts, r)
			last = script
		}
	}
	if !slices.Equal(cuts, want.Scripts) {
		t.Errorf("the script changes at %d places, want %d", len(cuts), len(want.Scripts))
	}
}

// TestReferenceRandom runs tokenizers that were put together by chance.
func TestReferenceRandom(t *testing.T) {
	var list []struct {
		File    json.RawMessage
		Cases   []textCase
		Decodes []prefixCase
	}
	readVectors(t, "reference/random.json.gz", &list)
	for i, c := range list {
		tok, err := Load(c.File)
		if err != nil {
			t.Errorf("tokenizer %d: %v", i, err)
			continue
		}
		for _, w := range c.Cases {
			w.check(t, tok, tok.Encode)
		}
		for _, w := range c.Decodes {
			for n, want := range w.prefixes {
				if want == nil {
					continue
				}
				if got := tok.Decode(w.ids[:n+1], false); got != *want {
					t.Errorf("tokenizer %d: %v decoded %q, want %q", i, w.ids[:n+1], got, *want)
				}
				checkStream(t, tok, w.ids[:n+1])
			}
		}
		if t.Failed() {
			t.Fatalf("tokenizer %d: %s", i, c.File)
		}
	}
}

// textCase is a text with its ids, with and without special tokens, and the
// latter's text with and without special tokens; nil where the reference fails.
type textCase struct {
	text             string
	ids, special     []eft.Token
	decoded, skipped *string
}

func (c *textCase) UnmarshalJSON(raw []byte) error {
	return json.Unmarshal(raw, &[]any{&c.text, &c.ids, &c.special, &c.decoded, &c.skipped})
}

func (c *textCase) check(t *testing.T, tok *Tokenizer, encode func(string, bool) []eft.Token) {
	t.Helper()
	if got := encode(c.text, false); !slices.Equal(got, c.ids) {
		t.Errorf("%.80q: ids %v, want %v", c.text, got, c.ids)
	}
	if got := encode(c.text, true); !slices.Equal(got, c.special) {
		t.Errorf("%.80q: with special %v, want %v", c.text, got, c.special)
	}
	for skip, want := range map[bool]*string{false: c.decoded, true: c.skipped} {
		if want == nil {
			continue
		}
		if got := tok.Decode(c.special, skip); got != *want {
			t.Errorf("%v: decoded %q, want %q (without special %v)", c.special, got, *want, skip)
		}
	}
}

// prefixCase is a list of ids with the text of each prefix of it.
type prefixCase struct {
	ids      []eft.Token
	prefixes []*string
}

func (c *prefixCase) UnmarshalJSON(raw []byte) error {
	return json.Unmarshal(raw, &[]any{&c.ids, &c.prefixes})
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
		"isIdeograph": isIdeograph, "cleanText": drops(cleanText), "stripAccents": drops(stripAccents), "nmt": drops(nmt),
		"stripMarks": drops(stripMarks),
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
