package cli

import (
	"encoding/json"
	"testing"

	"github.com/graft-gateway/graft/models/tokenizer"
)

func TestTokenizeAnswers(t *testing.T) {
	loaded, err := tokenizer.Load([]byte(`{"added_tokens": [], "decoder": {"type": "Fuse"},
		"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := &tokenize{}
	for line, want := range map[string]string{
		`{"text": "abb"}`:           `{"ids":[2,1]}`,
		`{"text": "null"}`:          `{"ids":[]}`,
		`{"ids": [2, 1]}`:           `{"text":"abb"}`,
		`{"ids": [0], "x": null}`:   `{"text":"a"}`,
		`{"ids": []}`:               `{"text":""}`,
		`{"ids": [null]}`:           `{"error":"\"ids\" cannot have a JSON null in it"}`,
		`{"ids": [1, null]}`:        `{"error":"\"ids\" cannot have a JSON null in it"}`,
		`{"ids": [-1]}`:             `{"error":"ids[0] is -1, no token id"}`,
		`{"ids": null}`:             `{"error":"want either \"text\", a string, or \"ids\", a list of whole numbers"}`,
		`{"text": "a", "ids": [0]}`: `{"error":"want either \"text\", a string, or \"ids\", a list of whole numbers"}`,
	} {
		got, err := json.Marshal(c.answer(loaded, []byte(line)))
		if err != nil || string(got) != want {
			t.Errorf("%s is answered %s (%v), want %s", line, got, err, want)
		}
	}
}
