package tokenizer

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

type object = map[string]any

// smallFile is a byte-level tokenizer of 256 bytes and "th", "the"; edit
// changes it.
func smallFile(t testing.TB, edit func(file object)) []byte {
	t.Helper()
	tokens := object{}
	for b, r := range newAlphabet().runes {
		tokens[string(r)] = b
	}
	tokens["th"], tokens["the"] = 256, 257
	file := object{
		"version":        "1.0",
		"added_tokens":   []any{added(258, "<s>")},
		"pre_tokenizer":  level,
		"decoder":        level,
		"post_processor": level,
		"model":          object{"type": "BPE", "vocab": tokens, "merges": []any{[]string{"t", "h"}, []string{"th", "e"}}},
	}
	if edit != nil {
		edit(file)
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func added(id int, content string) object {
	return object{"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
}

func sequence(key string, list ...any) object {
	return object{"type": "Sequence", key: list}
}

func splitBy(pattern object) object {
	return object{"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false}
}

type refusal struct {
	edit  func(object)
	field string
	want  string // in the error
}

func set(key string, value any) func(object) {
	return func(f object) { f[key] = value }
}

func changeModel(key string, value any) func(object) {
	return func(f object) { f["model"].(object)[key] = value }
}

func vocabulary(token string, id any) func(object) {
	return func(f object) { f["model"].(object)["vocab"].(object)[token] = id }
}

// stages puts stage before ByteLevel.
func stages(stage any) func(object) {
	return set("pre_tokenizer", sequence("pretokenizers", stage, level))
}

func nested(depth int, inner object) object {
	if depth == 0 {
		return inner
	}
	return sequence("pretokenizers", nested(depth-1, inner))
}

func templateOf(single ...any) object {
	return object{"type": "TemplateProcessing", "single": single, "pair": []any{}, "special_tokens": object{"bos": object{"id": "bos", "ids": []int{9999}, "tokens": []string{"x"}}}}
}

var level = object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}

// swell makes a letter 20 times longer.
var swell = object{"type": "Replace", "pattern": object{"String": "a"}, "content": strings.Repeat("a", 20)}

var refusals = map[string]refusal{
	"an unknown field of the file":      {set("surprise", 1), "", "surprise"},
	"no model":                          {set("model", nil), "model", "missing"},
	"a model that is no object":         {set("model", 3), "model", "not an object"},
	"a model type that is no string":    {changeModel("type", 3), "model", "not a string"},
	"another model":                     {set("model", object{"type": "Neural", "vocab": []any{}}), "model", "(Neural): this type is not supported"},
	"Unigram without tokens":            {set("model", object{"type": "Unigram", "unk_id": 0, "vocab": []any{}}), "model", "empty"},
	"Unigram without unk_id":            {set("model", object{"type": "Unigram", "unk_id": nil, "vocab": []any{[]any{"a", -1.5}}}), "model", "unk_id"},
	"Unigram with an unk_id too high":   {set("model", object{"type": "Unigram", "unk_id": 1, "vocab": []any{[]any{"a", -1.5}}}), "model", "unk_id is 1"},
	"Unigram without scores":            {set("model", object{"type": "Unigram", "unk_id": 0, "vocab": []any{[]any{"a"}}}), "model", "score"},
	"Unigram with a strange score":      {set("model", object{"type": "Unigram", "unk_id": 0, "vocab": []any{[]any{"a", "b"}}}), "model", "score"},
	"Unigram with infinite scores":      {set("model", object{"type": "Unigram", "unk_id": 0, "vocab": []any{[]any{"a", json.Number("1e999")}}}), "model", "score"},
	"Unigram with a map":                {set("model", object{"type": "Unigram", "unk_id": 0, "vocab": object{"a": 1}}), "model", "want a list"},
	"Unigram with longer pairs":         {set("model", object{"type": "Unigram", "unk_id": 0, "vocab": []any{[]any{"a", 1, 2}}}), "model", "should end"},
	"WordPiece without its fields":      {set("model", object{"type": "WordPiece", "vocab": object{"a": 0}}), "model", "missing"},
	"WordPiece without its unk_token":   {set("model", object{"type": "WordPiece", "vocab": object{"a": 0}, "unk_token": "b", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9}), "model", `"b"`},
	"WordLevel without its fields":      {set("model", object{"type": "WordLevel", "vocab": object{"a": 0}}), "model", "missing"},
	"WordLevel without its unk_token":   {set("model", object{"type": "WordLevel", "vocab": object{"a": 0}, "unk_token": "b"}), "model", `"b"`},
	"a model without type and merges":   {set("model", object{"vocab": object{}}), "model", "not supported"},
	"no merges":                         {func(f object) { delete(f["model"].(object), "merges") }, "model", "missing"},
	"an unknown field of BPE":           {changeModel("magic", true), "model", "magic"},
	"dropout":                           {changeModel("dropout", 0.1), "model", "dropout"},
	"a subword prefix unlike merges":    {changeModel("continuing_subword_prefix", "##"), "model", "continuing_subword_prefix"},
	"merges that are no list":           {changeModel("merges", "t h"), "model", "want a list"},
	"a merge of three":                  {changeModel("merges", []any{[]string{"t", "h", "e"}}), "model", "merges[0]"},
	"a merge of one":                    {changeModel("merges", []any{[]string{"t"}}), "model", "merges[0]"},
	"a merge line of three":             {changeModel("merges", []any{"t h e"}), "model", "merges[0]"},
	"mixed merges":                      {changeModel("merges", []any{"t h", []string{"th", "e"}}), "model", "merges[1]"},
	"mixed merges, pairs first":         {changeModel("merges", []any{[]string{"t", "h"}, "th e"}), "model", "merges[1]"},
	"a merge of numbers":                {changeModel("merges", []any{[]int{1, 2}}), "model", "merges[0]"},
	"a merge of an unknown left":        {changeModel("merges", []any{"zz h"}), "model", `"zz"`},
	"a merge of an unknown right":       {changeModel("merges", []any{"t zz"}), "model", `"zz"`},
	"a merge into nothing":              {changeModel("merges", []any{"h t"}), "model", `"ht"`},
	"a vocabulary that is no object":    {changeModel("vocab", []any{}), "model", "vocab"},
	"an id that is no number":           {vocabulary("th", "256"), "model", "th"},
	"a negative id":                     {vocabulary("th", -1), "model", "th"},
	"an id beyond 31 bits":              {vocabulary("th", 1<<31), "model", "th"},
	"two tokens of one id":              {vocabulary("th", 257), "model.vocab", "share the id 257"},
	"too many holes":                    {vocabulary("th", 1<<30), "model.vocab", "highest id"},
	"an unknown unk_token":              {func(f object) { changeModel("unk_token", "?!")(f); delete(f["model"].(object)["vocab"].(object), "x") }, "model", "unk_token"},
	"another pre-tokenizer":             {stages(object{"type": "Sentences"}), "pre_tokenizer.pretokenizers[0]", "(Sentences): this type is not supported"},
	"Metaspace without its sign":        {stages(object{"type": "Metaspace"}), "pre_tokenizer.pretokenizers[0]", "want one character"},
	"Metaspace with two signs":          {stages(object{"type": "Metaspace", "replacement": "ab"}), "", "want one character"},
	"Metaspace with a strange scheme":   {stages(object{"type": "Metaspace", "replacement": "_", "prepend_scheme": "odd"}), "", `"odd"`},
	"Metaspace that contradicts itself": {stages(object{"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "add_prefix_space": false}), "", "different things"},
	"a delimiter of two":                {stages(object{"type": "CharDelimiterSplit", "delimiter": "ab"}), "", "want one character"},
	"a length of 0":                     {stages(object{"type": "FixedLength", "length": 0}), "", "length of 0"},
	"no behavior":                       {stages(object{"type": "Split", "pattern": object{"String": "a"}}), "", "behavior"},
	"a pre-tokenizer of no type":        {set("pre_tokenizer", object{}), "pre_tokenizer", "the type is missing"},
	"a pre-tokenizer that is a list":    {set("pre_tokenizer", []any{}), "pre_tokenizer", "not an object"},
	"a Sequence of strange parts":       {set("pre_tokenizer", sequence("pretokenizers", 1)), "pre_tokenizer.pretokenizers[0]", "not an object"},
	"a Sequence with another list":      {set("pre_tokenizer", sequence("parts")), "pre_tokenizer", "parts"},
	"Sequences nested deep":             {set("pre_tokenizer", nested(20, level)), "", "nested deeper"},
	"ByteLevel without its fields":      {set("pre_tokenizer", object{"type": "ByteLevel"}), "pre_tokenizer", "add_prefix_space"},
	"ByteLevel with another field":      {set("pre_tokenizer", object{"type": "ByteLevel", "x": 1}), "pre_tokenizer", `"x"`},
	"an unknown behavior":               {stages(object{"type": "Split", "pattern": object{"String": "a"}, "behavior": "Odd", "invert": false}), "", `"Odd"`},
	"Punctuation of unknown behavior":   {stages(object{"type": "Punctuation", "behavior": "Odd"}), "", `"Odd"`},
	"Punctuation with another field":    {stages(object{"type": "Punctuation", "x": 1}), "", `"x"`},
	"Digits with another field":         {stages(object{"type": "Digits", "x": 1}), "", `"x"`},
	"Split with another field":          {stages(object{"type": "Split", "x": 1}), "", `"x"`},
	"an empty String":                   {stages(splitBy(object{"String": ""})), "", "empty String"},
	"no pattern":                        {stages(splitBy(object{})), "", "neither a Regex nor a String"},
	"another pattern":                   {stages(splitBy(object{"Glob": "*"})), "", "Glob"},
	"a Regex not understood":            {stages(splitBy(object{"Regex": `(?<name>a)`})), "", "a group of another kind"},
	"another normalizer":                {set("normalizer", object{"type": "Titlecase"}), "normalizer", "(Titlecase): this type is not supported"},
	"a normalizer within":               {set("normalizer", sequence("normalizers", object{"type": "NFC"}, object{"type": "Odd"})), "normalizer.normalizers[1]", "(Odd)"},
	"a charmap that is no base64":       {set("normalizer", object{"type": "Precompiled", "precompiled_charsmap": "*"}), "normalizer", "base64"},
	"a charmap cut short":               {set("normalizer", object{"type": "Precompiled", "precompiled_charsmap": "AAEAAA=="}), "normalizer", "announces"},
	"a charmap of nothing":              {set("normalizer", object{"type": "Precompiled", "precompiled_charsmap": "AAA="}), "normalizer", "2 bytes"},
	"a charmap that is not UTF-8":       {set("normalizer", object{"type": "Precompiled", "precompiled_charsmap": "AAAAAP8="}), "normalizer", "UTF-8"},
	"Prepend of nothing":                {set("normalizer", object{"type": "Prepend", "prepend": ""}), "normalizer", "empty"},
	"Strip without its fields":          {set("normalizer", object{"type": "Strip"}), "normalizer", "missing"},
	"BertNormalizer without its fields": {set("normalizer", object{"type": "BertNormalizer"}), "normalizer", "missing"},
	"Replaces that multiply":            {set("normalizer", sequence("normalizers", swell, swell, swell)), "normalizer", "times longer"},
	"decoders that multiply":            {set("decoder", sequence("decoders", swell, swell, swell)), "decoder", "times longer"},
	"Replace without content":           {set("normalizer", object{"type": "Replace", "pattern": object{"String": "a"}}), "normalizer", "content"},
	"a Sequence of no normalizers":      {set("normalizer", sequence("normalizers", 1)), "normalizer.normalizers[0]", "not an object"},
	"a normalizer's unknown list":       {set("normalizer", sequence("x")), "normalizer", `"x"`},
	"a normalizer that is a string":     {set("normalizer", "NFC"), "normalizer", "not an object"},
	"NFC with another field":            {set("normalizer", object{"type": "NFC", "x": 1}), "normalizer", `"x"`},
	"Replace with another field":        {set("normalizer", object{"type": "Replace", "x": 1}), "normalizer", `"x"`},
	"Replace of nothing":                {set("normalizer", object{"type": "Replace", "pattern": object{"Regex": "a*|b"}, "content": ""}), "normalizer", "match no characters"},
	"another decoder":                   {set("decoder", object{"type": "Odd"}), "decoder", "(Odd)"},
	"WordPiece decoder without fields":  {set("decoder", object{"type": "WordPiece"}), "decoder", "missing"},
	"CTC without its fields":            {set("decoder", object{"type": "CTC"}), "decoder", "missing"},
	"BPEDecoder without a suffix":       {set("decoder", object{"type": "BPEDecoder", "suffix": ""}), "decoder", "empty"},
	"a decoder Strip of no character":   {set("decoder", object{"type": "Strip", "content": "", "start": 1, "stop": 0}), "decoder", "one character"},
	"a decoder Strip without its ends":  {set("decoder", object{"type": "Strip", "content": "a"}), "decoder", "missing"},
	"a decoder that is a number":        {set("decoder", 1), "decoder", "not an object"},
	"no list of decoders":               {set("decoder", object{"type": "Sequence"}), "decoder", "missing"},
	"a decoder within":                  {set("decoder", sequence("decoders", level, object{"type": "Odd"})), "decoder.decoders[1]", "(Odd)"},
	"strange decoders":                  {set("decoder", sequence("decoders", 1)), "decoder.decoders[0]", "not an object"},
	"another post-processor":            {set("post_processor", object{"type": "Odd"}), "post_processor", "(Odd)"},
	"a post-processor that is a number": {set("post_processor", 1), "post_processor", "not an object"},
	"a post-processor within":           {set("post_processor", sequence("processors", object{"type": "Odd"})), "post_processor.processors[0]", "(Odd)"},
	"strange post-processors":           {set("post_processor", sequence("processors", 1)), "post_processor.processors[0]", "not an object"},
	"post-processors of unknown name":   {set("post_processor", sequence("x")), "post_processor", `"x"`},
	"two templates":                     {set("post_processor", sequence("processors", templateOf(), templateOf())), "post_processor", "more than one"},
	"a template with an unknown token":  {set("post_processor", templateOf(object{"SpecialToken": object{"id": "eos", "type_id": 0}})), "post_processor", `"eos"`},
	"a template of a pair":              {set("post_processor", templateOf(object{"Sequence": object{"id": "B", "type_id": 0}})), "post_processor", "single[0]"},
	"a template of an unknown id":       {set("post_processor", templateOf(object{"SpecialToken": object{"id": "bos", "type_id": 0}})), "post_processor", "9999"},
	"a template with another field":     {set("post_processor", object{"type": "TemplateProcessing", "x": 1}), "post_processor", `"x"`},
	"Bert without an id":                {set("post_processor", object{"type": "BertProcessing", "sep": []any{"x"}, "cls": []any{"x", 1}}), "post_processor", "want a token and its id"},
	"Bert without a list":               {set("post_processor", object{"type": "BertProcessing", "sep": 1, "cls": []any{"x", 1}}), "post_processor", "cannot unmarshal"},
	"an added token of another id":      {set("added_tokens", []any{added(300, "<s>")}), "added_tokens[0]", "gives it 258"},
	"an added token that moves a byte":  {set("added_tokens", []any{added(258, "a")}), "added_tokens[0]", "gives it 97"},
	"an added token listed twice":       {set("added_tokens", []any{added(258, "<s>"), object{"id": 258, "content": "<s>"}}), "added_tokens[1]", "twice"},
	"an added token that vanishes": {func(f object) {
		f["normalizer"] = object{"type": "Replace", "pattern": object{"String": "<s>"}, "content": ""}
		f["added_tokens"].([]any)[0].(object)["normalized"] = true
	}, "added_tokens[0]", "nothing is left"},
	"an added token of another kind": {set("added_tokens", []any{object{"id": 258, "text": "<s>"}}), "", "text"},
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			_, err := Load(smallFile(t, c.edit))
			if err == nil {
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer.json: ") {
				t.Errorf("the error is %q, want %q in it", err, c.want)
			}
			var refused *LoadError
			if c.field != "" && (!errors.As(err, &refused) || refused.Field != c.field) {
				t.Errorf("the error is %q, want the field %q", err, c.field)
			}
		})
	}
}

func TestLoadRefusesOtherFiles(t *testing.T) {
	for name, data := range map[string]string{
		"nothing": "", "no object": "[]", "a cut": `{"version":`, "not UTF-8": "{\"version\":\"\xFF\"}", "an old file cut in the model": `{"model":{"vocab":{"a":`,
	} {
		if _, err := Load([]byte(data)); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
}

func TestLoadAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(object)
		text string
		want []eft.Token
	}{
		"the small file":                           {nil, "the <s>t", []eft.Token{257, 32, 258, 't'}},
		"no post-processor":                        {func(f object) { delete(f, "post_processor") }, "the", []eft.Token{257}},
		"truncation and padding, which callers do": {func(f object) { f["truncation"] = object{"max_length": 1}; f["padding"] = object{} }, "the the", []eft.Token{257, 32, 257}},
		"merges as lines with a head":              {func(f object) { f["model"].(object)["merges"] = []string{"#version: 0.2", "t h", "th e"} }, "the", []eft.Token{257}},
		"of two equal merges the later rank":       {func(f object) { f["model"].(object)["merges"] = []string{"t h", "th e", "t h"} }, "the", []eft.Token{257}},
		"no dropout and empty affixes": {func(f object) {
			m := f["model"].(object)
			m["dropout"], m["continuing_subword_prefix"], m["end_of_word_suffix"], m["byte_fallback"], m["unk_token"] = 0.0, "", "", true, "unused"
		}, "the", []eft.Token{257}},
		"an added token with an empty content": {func(f object) { f["added_tokens"] = []any{added(5, ""), added(258, "<s>"), added(258, "<s>")} }, "<s>", []eft.Token{258}},
		"added tokens behind holes": {func(f object) {
			f["model"].(object)["vocab"].(object)["far"] = 1000
			f["added_tokens"] = []any{added(1000, "far"), added(259, "<s>")}
		}, "far<s>", []eft.Token{1000, 259}},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := Load(smallFile(t, c.edit))
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Encode(c.text, true); !slices.Equal(got, c.want) {
				t.Errorf("ids %v, want %v", got, c.want)
			}
		})
	}
}

func TestHolesAreNoTokens(t *testing.T) {
	tok, err := Load(smallFile(t, func(f object) {
		f["model"].(object)["vocab"].(object)["far"] = 300
		delete(f, "added_tokens")
	}))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Vocabulary().Size() != 301 || tok.Vocabulary().Piece(299) != nil || string(tok.Vocabulary().Piece(300)) != "far" {
		t.Errorf("the vocabulary has size %d, pieces %q, %q", tok.Vocabulary().Size(), tok.Vocabulary().Piece(299), tok.Vocabulary().Piece(300))
	}
	if got := tok.Decode([]eft.Token{299, 300, -5, 301}, false); got != "far" {
		t.Errorf("decoded %q", got)
	}
}
