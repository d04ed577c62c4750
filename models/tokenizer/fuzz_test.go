package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// FuzzLoad: no file makes Load panic, and what is loaded works.
func FuzzLoad(f *testing.F) {
	var list []referenceCase
	readVectors(f, "reference/components.json.gz", &list)
	for i, c := range list {
		if i%8 == 0 {
			f.Add([]byte(c.File), "the <s> cafe\u0301")
		}
	}
	f.Add(smallFile(f, nil), "a")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		if len(data) > 1<<16 || len(text) > 1<<8 {
			return
		}
		tok, err := Load(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "tokenizer.json: ") {
				t.Errorf("the error does not say where: %q", err)
			}
			return
		}
		for _, id := range append(tok.Encode(text, true), tok.EncodePlain(text, false)...) {
			if tok.Vocabulary().Piece(id) == nil {
				t.Errorf("%q gives the id %d, which has no token", text, id)
			}
		}
	})
}

// FuzzEncodeDecode: decoding gives the text back, a stream gives what Decode
// gives, whatever the ids, and the scanners match what their patterns match.
func FuzzEncodeDecode(f *testing.F) {
	var texts []string
	readVectors(f, "reference/strings.json.gz", &texts)
	for i := 0; i < len(texts); i += 50 {
		f.Add(texts[i], []byte{byte(i), 0xE2, 0x82, 0xAC, 0xF0, 0x9F})
	}
	f.Add("'ſ 'S 'LL 're", []byte{0xED, 0xA0, 0x80})
	f.Add(" \r\n \n\u2028x", []byte{})
	tok, err := Load(smallFile(f, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, raw []byte) {
		ids := tok.Encode(text, false)
		if got, want := tok.Decode(ids, false), repair(text); got != want {
			t.Errorf("%q decodes to %q", want, got)
		}
		checkStream(t, tok, ids)
		ids = nil
		for _, b := range raw {
			ids = append(ids, eft.Token(b), eft.Token(b)+3)
		}
		checkStream(t, tok, ids)
		checkScanners(t, repair(text))
	})
}

func checkStream(t *testing.T, tok *Tokenizer, ids []eft.Token) {
	t.Helper()
	s := tok.Stream(false)
	var out strings.Builder
	pushed := 0
	for _, id := range ids {
		out.WriteString(s.Push(id))
		pushed += len(tok.Vocabulary().Piece(id))
		if held := len(s.decoding.(*byteLevelDecoding).held); held > 3 {
			t.Errorf("%d bytes are held", held)
		}
	}
	out.WriteString(s.Flush())
	if got, want := out.String(), tok.Decode(ids, false); got != want {
		t.Errorf("the stream of %v gives %q, Decode %q", ids, got, want)
	}
}

func checkScanners(t *testing.T, text string) {
	t.Helper()
	for pattern, scanner := range map[string]matcher{
		gpt2Pattern:                             gpt2Words{},
		fmt.Sprintf(llamaPattern, `\p{N}`):      llamaWords{digits: 1},
		fmt.Sprintf(llamaPattern, `\p{N}{1,3}`): llamaWords{digits: 3},
	} {
		engine, err := newRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := scanner.match(nil, text), engine.match(nil, text); !slices.Equal(got, want) {
			t.Errorf("%q: %T matches %v, the pattern %v", text, scanner, got, want)
		}
	}
}

// TestScannersMatchTheirPatterns runs all 3,000 reference strings.
func TestScannersMatchTheirPatterns(t *testing.T) {
	var texts []string
	readVectors(t, "reference/strings.json.gz", &texts)
	checkScanners(t, strings.Join(texts, ""))
	for i := 0; i < len(texts); i += 10 {
		checkScanners(t, texts[i])
	}
}
