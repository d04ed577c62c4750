package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// derivedFamilies are made of the vocabularies of installed ones, in the same
// way as testdata/reference.py makes them: models of other kinds at their usual
// size.
var derivedFamilies = map[string]func(testing.TB) object{
	"derived-unigram":   derivedUnigram,
	"derived-wordpiece": derivedWordPiece,
}

// tokensOf lists the tokens of a family in the order of their ids.
func tokensOf(t testing.TB, family string) []string {
	t.Helper()
	var file struct {
		Model struct{ Vocab map[string]eft.Token }
	}
	if err := json.Unmarshal(installedFamily(t, family), &file); err != nil {
		t.Fatal(err)
	}
	tokens := make([]string, 0, len(file.Model.Vocab))
	for token := range file.Model.Vocab {
		tokens = append(tokens, token)
	}
	slices.SortFunc(tokens, func(a, b string) int { return int(file.Model.Vocab[a] - file.Model.Vocab[b]) })
	return tokens
}

func derivedUnigram(t testing.TB) object {
	var scores []any
	for id, token := range tokensOf(t, "llama2") {
		scores = append(scores, []any{token, -float64(id) / 64})
	}
	metaspace := object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true}
	return object{
		"version": "1.0", "added_tokens": []any{added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")},
		"normalizer": object{"type": "NFKC"}, "pre_tokenizer": metaspace,
		"decoder": sequence("decoders", object{"type": "ByteFallback"}, metaspace),
		"model":   object{"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": scores},
	}
}

func derivedWordPiece(t testing.TB) object {
	vocab := object{"[UNK]": 0}
	for _, token := range tokensOf(t, "gpt2") {
		word, begins := strings.CutPrefix(token, "Ġ")
		if !begins {
			word = "##" + token
		}
		other := strings.IndexFunc(word, func(r rune) bool { return r < '!' || r > '~' })
		if _, known := vocab[word]; word != "" && other < 0 && !known {
			vocab[word] = len(vocab)
		}
	}
	return object{
		"version": "1.0", "added_tokens": []any{added(0, "[UNK]")},
		"normalizer":    object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer": object{"type": "BertPreTokenizer"},
		"decoder":       object{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model":         object{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
	}
}
