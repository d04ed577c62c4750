package models

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/graft-gateway/graft/eft"
)

// spoil replaces and removes (empty text) files of a member.
func spoil(t testing.TB, member string, changes map[string]string) fstest.MapFS {
	t.Helper()
	out := maps.Clone(files(t, member))
	for name, text := range changes {
		delete(out, name)
		if text != "" {
			out[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return out
}

func TestConfigurationsOfManyExporters(t *testing.T) {
	const none = `{"model_type": "llama"}`
	for name, c := range map[string]struct {
		files   map[string]string
		context int
		ends    []eft.Token
		kind    string
	}{
		"Llama":             {map[string]string{"config.json": `{"max_position_embeddings": 100, "eos_token_id": 2, "model_type": "llama"}`, "generation_config.json": ""}, 100, []eft.Token{2}, "llama"},
		"GPT-2":             {map[string]string{"config.json": `{"n_positions": 64, "n_ctx": 32, "model_type": "gpt2"}`}, 64, []eft.Token{2, 0}, "gpt2"},
		"ChatGLM":           {map[string]string{"config.json": `{"seq_length": 99}`}, 99, []eft.Token{2, 0}, ""},
		"language model in": {map[string]string{"config.json": `{"model_type": "gemma3", "text_config": {"max_position_embeddings": 77, "eos_token_id": [1, 2]}}`, "generation_config.json": ""}, 77, []eft.Token{1, 2}, "gemma3"},
		"genai alone": {map[string]string{"config.json": "", "generation_config.json": "",
			"genai_config.json": `{"model": {"type": "qwen2", "context_length": 55, "eos_token_id": [0, 3]}}`}, 55, []eft.Token{0, 3}, "qwen2"},
		"generation before model":    {map[string]string{"config.json": `{"max_position_embeddings": 10, "eos_token_id": 5}`, "generation_config.json": `{"eos_token_id": [7, 7, 6]}`}, 10, []eft.Token{7, 6}, ""},
		"longrope":                   {map[string]string{"config.json": `{"max_position_embeddings": 100, "original_max_position_embeddings": 40, "rope_scaling": {"type": "longrope"}}`}, 40, []eft.Token{2, 0}, ""},
		"longrope of transformers 5": {map[string]string{"config.json": `{"max_position_embeddings": 100, "rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 30}}`}, 30, []eft.Token{2, 0}, ""},
		"another scaling":            {map[string]string{"config.json": `{"max_position_embeddings": 100, "rope_scaling": {"rope_type": "llama3", "original_max_position_embeddings": 30}}`}, 100, []eft.Token{2, 0}, ""},
		"null is absent":             {map[string]string{"config.json": `{"max_position_embeddings": 10, "eos_token_id": 5}`, "generation_config.json": `{"eos_token_id": null}`}, 10, []eft.Token{5}, ""},
		"end only in tokenizer":      {map[string]string{"config.json": none, "generation_config.json": "", "special_tokens_map.json": `{"eos_token": {"content": "<|endoftext|>"}}`, "tokenizer_config.json": ""}, 0, []eft.Token{0}, "llama"},
		"ends beyond vocabulary":     {map[string]string{"generation_config.json": `{"eos_token_id": [99999, 1, -1]}`}, 2048, []eft.Token{1}, "llama"},
	} {
		m, err := read(InMemory(name, spoil(t, "small", c.files)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.config.context != c.context || !slices.Equal(m.config.ends, c.ends) || m.config.kind != c.kind {
			t.Errorf("%s: context %d, ends %v, kind %q, want %d, %v, %q", name, m.config.context, m.config.ends, m.config.kind, c.context, c.ends, c.kind)
		}
	}
}

func TestNotesTellWhatDoesNotHinder(t *testing.T) {
	for text, want := range map[string][]string{
		`{"eos_token_id": [1]}`:        nil,
		`{"eos_token_id": [1, 99999]}`: {"eos_token_id names [99999]"},
		`{"eos_token_id": 99999}`:      {"eos_token_id names [99999]"},
	} {
		m, err := read(InMemory("small", spoil(t, "small", map[string]string{"generation_config.json": text})))
		if err != nil {
			t.Fatal(err)
		}
		notes := m.Notes()
		if len(notes) != len(want) {
			t.Errorf("%s: %q", text, notes)
			continue
		}
		for i := range want {
			if !strings.Contains(notes[i], want[i]) {
				t.Errorf("%s: note %q, want %q", text, notes[i], want[i])
			}
		}
	}
}

func TestAShortenedContextIsNoted(t *testing.T) {
	m, err := read(InMemory("phi", spoil(t, "small", map[string]string{"config.json": `{"max_position_embeddings": 100, "original_max_position_embeddings": 40, "rope_scaling": {"type": "su"}}`})))
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(m.Notes(), "; "); !strings.Contains(notes, "after 40 tokens (longrope)") || !strings.Contains(notes, "not at 100") {
		t.Errorf("notes %q", notes)
	}
}

func TestGraphsAreFound(t *testing.T) {
	graph := string(files(t, "small")["model.onnx"].Data)
	for name, c := range map[string]struct {
		files map[string]string
		o     Options
	}{
		"merged":               {map[string]string{"model.onnx": "", "onnx/decoder_model_merged.onnx": graph, "onnx/decoder_model.onnx": "no graph"}, Options{}},
		"the only one":         {map[string]string{"model.onnx": "", "onnx/model_q4f16.onnx": graph}, Options{}},
		"genai's own":          {map[string]string{"model.onnx": "", "a.onnx": "no graph", "b.onnx": graph, "genai_config.json": `{"model": {"decoder": {"filename": "b.onnx"}}}`}, Options{}},
		"asked for":            {map[string]string{"onnx/model_fp16.onnx": graph, "model.onnx": "no graph"}, Options{Graph: "./onnx/model_fp16.onnx"}},
		"genai's, not there":   {map[string]string{"genai_config.json": `{"model": {"decoder": {"filename": "../b.onnx"}}}`}, Options{}},
		"context given":        {map[string]string{"config.json": "{}"}, Options{Context: 64}},
		"a folder of its name": {map[string]string{"model.onnx": "", "model.onnx/readme": "x", "onnx/model.onnx": graph}, Options{}},
	} {
		m, err := Load(env, InMemory(name, spoil(t, "small", c.files)), c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := m.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFolder spoils one of a folder's text files: the folder is then read or
// refused with an error, and its numbers make sense.
func FuzzFolder(f *testing.F) {
	names := []string{"config.json", "genai_config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"}
	for i, text := range []string{
		`{"max_position_embeddings": 10, "text_config": {"text_config": {"n_ctx": -1}}}`, `{"model": {"context_length": 1e3, "eos_token_id": [[]]}}`,
		`{"eos_token_id": [1, -1, 99999999999]}`, `{"chat_template": [{"name": "default", "template": "{{ x }}"}], "bos_token": {"content": 3}}`,
		`{"eos_token": null}`, `{% for m in messages %}`,
	} {
		f.Add(i, []byte(text))
		f.Add(i, []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"))
	}
	whole, err := read(InMemory("whole", spoil(f, "small", nil)))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which int, text []byte) {
		folder := InMemory("spoilt", fstest.MapFS{names[uint(which)%uint(len(names))]: &fstest.MapFile{Data: text}})
		if _, err := folder.template(); err != nil {
			return
		}
		config, err := folder.config(whole.tokenizer)
		if err != nil {
			return
		}
		for _, id := range config.ends {
			if whole.Vocabulary().Piece(id) == nil {
				t.Errorf("end token %d has no piece", id)
			}
		}
		m := Model{config: config}
		if err := m.setContext(0); err == nil && m.config.context < 1 {
			t.Errorf("context %d", m.config.context)
		}
	})
}
