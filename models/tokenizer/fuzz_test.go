package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

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
	for _, c := range randomFiles(f) {
		f.Add([]byte(c), "the <s> cafe\u0301 12\n")
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
		ids := append(tok.Encode(text, true), tok.EncodePlain(text, false)...)
		for _, id := range ids {
			if tok.Vocabulary().Piece(id) == nil {
				t.Errorf("%q gives the id %d, which has no token", text, id)
			}
		}
		checkStream(t, tok, ids)
	})
}

// randomFiles are some of the composed tokenizers, those with small
// vocabularies first.
func randomFiles(f *testing.F) []json.RawMessage {
	var list []struct{ File json.RawMessage }
	readVectors(f, "reference/random.json.gz", &list)
	var files []json.RawMessage
	for _, c := range list {
		if len(c.File) < 1<<13 {
			files = append(files, c.File)
		}
	}
	return files
}

// FuzzComponents: no component makes Load panic, in a file that is else sound.
func FuzzComponents(f *testing.F) {
	var list []struct{ File map[string]json.RawMessage }
	readVectors(f, "reference/components.json.gz", &list)
	for _, raw := range randomFiles(f) {
		var file map[string]json.RawMessage
		if err := json.Unmarshal(raw, &file); err != nil {
			f.Fatal(err)
		}
		// The vocabulary here is another: added tokens would not fit.
		f.Add([]byte(file["normalizer"]), []byte(file["pre_tokenizer"]), []byte("null"), []byte(file["decoder"]), []byte("[]"))
	}
	for _, c := range list {
		f.Add([]byte(c.File["normalizer"]), []byte(c.File["pre_tokenizer"]), []byte(c.File["post_processor"]), []byte(c.File["decoder"]), []byte(c.File["added_tokens"]))
	}
	f.Fuzz(func(t *testing.T, normalizer, preTokenizer, postProcessor, decoder, addedTokens []byte) {
		if len(normalizer)+len(preTokenizer)+len(postProcessor)+len(decoder)+len(addedTokens) > 1<<12 {
			return
		}
		parts := map[string][]byte{"normalizer": normalizer, "pre_tokenizer": preTokenizer, "post_processor": postProcessor, "decoder": decoder, "added_tokens": addedTokens}
		for _, raw := range parts {
			if !json.Valid(raw) {
				return
			}
		}
		tok, err := Load(smallFile(t, func(file object) {
			for key, raw := range parts {
				file[key] = json.RawMessage(raw)
			}
		}))
		if err == nil {
			checkStream(t, tok, tok.Encode("the cafe\u0301 <s> 123\n", true))
		}
	})
}

// FuzzPattern: a pattern is refused, or it compiles and its matches are in order.
func FuzzPattern(f *testing.F) {
	for pattern := range refusedPatterns {
		f.Add(pattern, "ab")
	}
	f.Add(gpt2Pattern, "it's a test 12")
	f.Add(fmt.Sprintf(llamaPattern, `\p{N}{1,3}`), "it's a test 12\r\n x")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 1<<8 || len(text) > 1<<5 || !utf8.ValidString(pattern) {
			return
		}
		m, err := newRegex(pattern)
		if err != nil {
			if strings.Contains(err.Error(), "does not compile") {
				t.Errorf("%q was translated to what regexp2 refuses: %v", pattern, err)
			}
			return
		}
		text = repair(text)
		if m.fast != nil {
			if got, ok := m.fast.match(nil, text); ok && !slices.Equal(got, m.search(nil, text)) {
				t.Errorf("%q in %q gives %v by the program, %v by the engine", pattern, text, got, m.search(nil, text))
			}
		}
		at := 0
		for _, s := range m.match(nil, text) {
			if s.start < at || s.end < s.start || s.end > len(text) || !utf8.ValidString(text[s.start:s.end]) {
				t.Errorf("%q in %q gives the match %v after %d", pattern, text, s, at)
			}
			at = s.end
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
	for _, id := range ids {
		out.WriteString(s.Push(id))
		if d, ok := s.decoding.first.(*byteDecoding); ok && len(d.held) > 3 {
			t.Errorf("%d bytes are held", len(d.held))
		}
	}
	out.WriteString(s.Flush())
	if got, want := out.String(), tok.Decode(ids, false); got != want {
		t.Errorf("the stream of %v gives %q, Decode %q", ids, got, want)
	}
}

// engines compiles the patterns of the scanners once.
var engines = sync.OnceValues(func() (map[matcher]regex, error) {
	out := map[matcher]regex{}
	for pattern, scanner := range map[string]matcher{
		gpt2Pattern:                             gpt2Words{},
		fmt.Sprintf(llamaPattern, `\p{N}`):      llamaWords{digits: 1},
		fmt.Sprintf(llamaPattern, `\p{N}{1,3}`): llamaWords{digits: 3},
	} {
		engine, err := newRegex(pattern)
		if err != nil {
			return nil, err
		}
		out[scanner] = engine
	}
	return out, nil
})

func checkScanners(t *testing.T, text string) {
	t.Helper()
	list, err := engines()
	if err != nil {
		t.Fatal(err)
	}
	for scanner, engine := range list {
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
	for _, text := range texts {
		checkScanners(t, text)
	}
}
