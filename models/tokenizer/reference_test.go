package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// The files of testdata/reference are what the reference library gives;
// testdata/reference.py makes them.

// component is a tokenizer of components.json.gz with its texts.
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

// TestReferenceClasses compares every code point.
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
			in := classOf(t, pattern)
			wrong := 0
			for c := range rune(0x110000) {
				if c >= 0xD800 && c < 0xE000 || c == 'Q' && pattern == "single_word" {
					continue
				}
				if in[c] != want[c] {
					if wrong++; wrong < 20 {
						t.Errorf("%U: %v, want %v", c, in[c], want[c])
					}
				}
			}
		})
	}
}

// classOf gives the members of a named class or of a pattern.
func classOf(t *testing.T, pattern string) []bool {
	in := make([]bool, 0x110000)
	named := map[string]func(rune) bool{
		"Digits": isDigit, "Punctuation": isPunctuation, "WhitespaceSplit": isSpace, "single_word": isWord,
	}
	if f, ok := named[pattern]; ok {
		for c := range in {
			in[c] = f(rune(c))
		}
		return in
	}
	m, err := newRegex(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var all []rune
	for c := range rune(0x110000) {
		if c < 0xD800 || c >= 0xE000 {
			all = append(all, c)
		}
	}
	text := string(all)
	for _, s := range m.match(nil, text) {
		for _, r := range text[s.start:s.end] {
			in[r] = true
		}
	}
	return in
}

// TestLongPieceIsLinear encodes single pieces of growing length: what a
// quadratic merge would take hours for ends within the test's time.
func TestLongPieceIsLinear(t *testing.T) {
	tok := loadFamily(t, "qwen2_5")
	for name, unit := range map[string]string{"letters": "a", "spaces": " ", "breaks": "\n", "marks": "\u0301", "signs": "=", "words": "the cat ", "specials": "<|im_start|"} {
		t.Run(name, func(t *testing.T) {
			text := ""
			for len(text) < 1<<20 {
				text = fmt.Sprint(text, text, unit)
			}
			ids := tok.Encode(text, false)
			if got := tok.Decode(ids, false); name != "marks" && got != text {
				t.Errorf("%d bytes decode to %d other bytes", len(text), len(got))
			}
		})
	}
}
