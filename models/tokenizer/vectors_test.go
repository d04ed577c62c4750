package tokenizer

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// families are the tokenizers that the exactness tests run with: byte-level
// ones, then two as SentencePiece makes them, and an old one with NFKC.
var families = []string{"gpt2", "llama3_1", "qwen2_5", "llama2", "yi", "claude", "derived-unigram", "derived-wordpiece"}

// vectorFamilies are those that have vectors.
var vectorFamilies = families[:4]

// loaded keeps each family's tokenizer: they never change, and loading one
// takes longer than most tests.
var loaded sync.Map

// loadFamily loads a tokenizer that testdata/install put into the cache.
func loadFamily(t testing.TB, family string) *Tokenizer {
	t.Helper()
	if tok, ok := loaded.Load(family); ok {
		return tok.(*Tokenizer)
	}
	tok, err := Load(readFamily(t, family))
	if err != nil {
		t.Fatal(err)
	}
	loaded.Store(family, tok)
	return tok
}

func readFamily(t testing.TB, family string) []byte {
	t.Helper()
	derive, ok := derivedFamilies[family]
	if !ok {
		return installedFamily(t, family)
	}
	data, err := json.Marshal(derive(t))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func installedFamily(t testing.TB, family string) []byte {
	t.Helper()
	path := filepath.Join("..", "..", ".cache", "tokenizers", family, "tokenizer.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run models/tokenizer/testdata/install, which fetches it", err)
	}
	return data
}

// readVectors reads a gzipped JSON file of testdata.
func readVectors(t testing.TB, name string, v any) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(v); err != nil {
		t.Fatal(err)
	}
}

// TestReferenceVectors compares with what the reference library (Hugging Face
// tokenizers 0.23.2) gave for 522 strings and some lists of random ids.
func TestReferenceVectors(t *testing.T) {
	var strs []struct {
		ID   int
		Cat  string
		Text string
	}
	readVectors(t, "vectors/strings.json.gz", &strs)
	for _, family := range vectorFamilies {
		t.Run(family, func(t *testing.T) {
			var want struct {
				Encode []struct {
					ID          int
					IDs         []eft.Token
					Special     []eft.Token `json:"ids_special"`
					Decoded     string
					DecodedSkip string `json:"decoded_skip"`
				}
				Decode []struct {
					IDs         []eft.Token
					Text        string
					TextSkip    string   `json:"text_skip"`
					PrefixTexts []string `json:"prefix_texts"`
				}
			}
			readVectors(t, "vectors/"+family+".json.gz", &want)
			if len(want.Encode) != 522 || len(strs) != 522 {
				t.Fatalf("%d vectors for %d strings, want 522", len(want.Encode), len(strs))
			}
			tok := loadFamily(t, family)
			for i, w := range want.Encode {
				text := strs[i].Text
				if got := tok.Encode(text, false); !slices.Equal(got, w.IDs) {
					t.Errorf("%s %.60q: ids %v, want %v", strs[i].Cat, text, got, w.IDs)
				}
				if got := tok.Encode(text, true); !slices.Equal(got, w.Special) {
					t.Errorf("%s %.60q: with special %v, want %v", strs[i].Cat, text, got, w.Special)
				}
				if got := tok.Decode(w.IDs, false); got != w.Decoded {
					t.Errorf("%s: decoded %.60q, want %.60q", strs[i].Cat, got, w.Decoded)
				}
				if got := tok.Decode(w.IDs, true); got != w.DecodedSkip {
					t.Errorf("%s: decoded without special %.60q, want %.60q", strs[i].Cat, got, w.DecodedSkip)
				}
			}
			for _, w := range want.Decode {
				if got := tok.Decode(w.IDs, false); got != w.Text {
					t.Errorf("decoded %q, want %q", got, w.Text)
				}
				if got := tok.Decode(w.IDs, true); got != w.TextSkip {
					t.Errorf("decoded without special %q, want %q", got, w.TextSkip)
				}
				checkPrefixes(t, tok, w.IDs, w.PrefixTexts)
			}
		})
	}
}

// checkPrefixes streams ids: what has been pushed so far is the decoded prefix
// without its unfinished character, or, where bytes are tokens, without the run
// of them.
func checkPrefixes(t *testing.T, tok *Tokenizer, ids []eft.Token, prefixes []string) {
	t.Helper()
	s := tok.Stream(false)
	var sofar strings.Builder
	for i, id := range ids {
		sofar.WriteString(s.Push(id))
		if got := tok.Decode(ids[:i+1], false); got != prefixes[i] {
			t.Errorf("prefix %d decoded %q, want %q", i, got, prefixes[i])
		}
		rest, ok := strings.CutPrefix(prefixes[i], sofar.String())
		_, isByte := namedByte(tok.tokens[id].text)
		if !ok || rest != "" && rest != replacement && !isByte {
			t.Errorf("prefix %d streamed %q of %q", i, sofar.String(), prefixes[i])
		}
	}
	sofar.WriteString(s.Flush())
	if got := sofar.String(); got != tok.Decode(ids, false) {
		t.Errorf("streamed %q, want %q", got, tok.Decode(ids, false))
	}
}
