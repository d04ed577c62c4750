package llamacpp

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// demoVocabulary reads the embedded family's tokenizer.json: byte-level BPE, whose
// pieces are written in an alphabet of 256 printable letters.
func demoVocabulary(t *testing.T) *eft.Vocabulary {
	t.Helper()
	var file struct {
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
		} `json:"added_tokens"`
		Model struct {
			Vocab map[string]int `json:"vocab"`
		} `json:"model"`
	}
	data, err := os.ReadFile("../../models/demo/base/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	letter := map[rune]byte{}
	next := rune(256)
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			letter[rune(b)] = byte(b)
		} else {
			letter[next] = byte(b)
			next++
		}
	}
	pieces := make([][]byte, len(file.Model.Vocab))
	for text, id := range file.Model.Vocab {
		pieces[id] = []byte{}
		for _, r := range text {
			pieces[id] = append(pieces[id], letter[r])
		}
	}
	for _, a := range file.Added {
		pieces[a.ID] = []byte(a.Content)
	}
	return eft.NewVocabulary(pieces)
}
