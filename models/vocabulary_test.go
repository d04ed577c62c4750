package models

import (
	"strings"
	"testing"
)

func TestDifferentVocabulariesAreNotMixed(t *testing.T) {
	text := string(files(t, "small")["tokenizer.json"].Data)
	small, err := read(InMemory("small", files(t, "small")))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit *strings.Replacer
		says string // empty: they share a vocabulary
	}{
		"the same size, other contents": {
			strings.NewReplacer(`"a":`, `"b":`, `"b":`, `"a":`),
			`models small (1024 ids) and other (1024 ids) have different vocabularies and cannot be mixed; id 67 is "a" and "b"; id 68 is "b" and "a"`,
		},
		"one token more": {
			strings.NewReplacer(`"added_tokens": [`, `"added_tokens": [{"id": 1024, "content": "<tool>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},`),
			`(1025 ids) have different vocabularies and cannot be mixed; id 1024 is no token and "<tool>"`,
		},
		"another rule of normalisation": {
			strings.NewReplacer(`"normalizer": null`, `"normalizer": {"type": "NFC"}`), "",
		},
	} {
		edited := c.edit.Replace(text)
		if edited == text {
			t.Fatalf("%s: the tokenizer has nothing to edit", name)
		}
		other, err := read(InMemory("other", spoil(t, "small-chat", map[string]string{"tokenizer.json": edited})))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = CheckVocabularies(small, other)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
