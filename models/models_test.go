package models

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/chattemplate"
	"github.com/graft-gateway/graft/models/demo"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/models/onnx/onnxtest"
)

var env *onnx.Environment

func TestMain(m *testing.M) {
	os.Exit(onnxtest.Main(m, "..", func(e *onnx.Environment) { env = e }))
}

// member loads one of the embedded family until the test ends.
func member(t *testing.T, name string, o Options) *Model {
	t.Helper()
	files, err := demo.Folder(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(env, InMemory(name, files), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func encode(m *Model, text string) []eft.Token { return m.Tokenizer().Encode(text, false) }

// clone keeps rows beyond the next call.
func clone(rows []eft.Row) []eft.Row {
	out := make([]eft.Row, len(rows))
	for i, r := range rows {
		out[i].Scores = slices.Clone(r.Scores)
	}
	return out
}

func TestRowsAreAFunctionOfPrefixAndPath(t *testing.T) {
	m := member(t, "small", Options{})
	r := rand.New(rand.NewPCG(1, 2))
	prompt := encode(m, "The river Velm rises in")
	used := m.Open(prompt)
	defer used.Close()
	size := m.Vocabulary().Size()
	var generated []eft.Token
	worst := 0.0
	for range 60 {
		path := make([]eft.Token, r.IntN(4))
		for i := range path {
			path[i] = eft.Token(r.IntN(size))
		}
		rows, err := used.Rows(t.Context(), generated, path)
		if err != nil {
			t.Fatal(err)
		}
		got := clone(rows)
		if len(got) != len(path)+1 {
			t.Fatalf("%d rows for a path of %d", len(got), len(path))
		}
		fresh := m.Open(prompt)
		want, err := fresh.Rows(t.Context(), generated, path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			for id := range eft.Token(size) {
				worst = max(worst, math.Abs(m.Vocabulary().LogProb(got[i], id)-m.Vocabulary().LogProb(want[i], id)))
				if id > 40 {
					break // the row's other scores are checked in models/onnx
				}
			}
		}
		fresh.Close()
		// The guess is right in part, wrong in part, or the text goes another way.
		switch r.IntN(3) {
		case 0:
			generated = append(generated, path...)
		case 1:
			generated = append(generated, eft.Token(r.IntN(size)))
		default:
			generated = generated[:r.IntN(len(generated)+1)]
		}
	}
	if worst > 1e-3 {
		t.Errorf("a used sequence's rows differ from a fresh one's by %v nats", worst)
	}
}

func TestExactRowsDoNotDependOnPaths(t *testing.T) {
	m := member(t, "base", Options{Exact: true})
	prompt, text := encode(m, "The river Velm rises in"), encode(m, " the hills of Pendris. The river is long.")
	step, leap := m.Open(prompt), m.Open(prompt)
	defer step.Close()
	defer leap.Close()
	rows, err := leap.Rows(t.Context(), nil, text)
	if err != nil {
		t.Fatal(err)
	}
	whole := clone(rows)
	different := 0
	for i := range text {
		rows, err := step.Rows(t.Context(), text[:i], nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(rows[0].Scores, whole[i].Scores) {
			different++
		}
	}
	// Other processors' kernels may sum otherwise; there they are compared in models/onnx.
	if different > 0 && runtime.GOARCH == "amd64" {
		t.Errorf("%d of %d rows differ between steps and a path", different, len(text))
	}
	if m.Context() != 2047 {
		t.Errorf("context %d, want one less than the model's", m.Context())
	}
}

func TestASequenceSurvivesACancelledCall(t *testing.T) {
	m := member(t, "small", Options{})
	s := m.Open(encode(m, "The river Velm"))
	defer s.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Rows(cancelled, nil, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if _, err := s.Rows(t.Context(), nil, nil); err != nil {
		t.Fatalf("after it: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestTextsEndWithTheContext(t *testing.T) {
	m := member(t, "small", Options{Context: 8})
	s := m.Open([]eft.Token{1, 2, 3, 4, 5, 6})
	defer s.Close()
	if _, err := s.Rows(t.Context(), []eft.Token{7, 8}, nil); err != nil {
		t.Fatal(err)
	}
	var tooLong *onnx.ContextError
	if _, err := s.Rows(t.Context(), []eft.Token{7, 8, 9}, nil); !errors.As(err, &tooLong) {
		t.Errorf("beyond the context: %v", err)
	}
	empty := m.Open(nil)
	defer empty.Close()
	if _, err := empty.Rows(t.Context(), nil, nil); err == nil {
		t.Error("an empty text has rows")
	}
}

func TestPairsAdvanceInStep(t *testing.T) {
	tuned, untuned := member(t, "small-chat", Options{}), member(t, "small", Options{})
	pair, err := NewPair(tuned, untuned)
	if err != nil {
		t.Fatal(err)
	}
	a, b := encode(tuned, "One prompt"), encode(untuned, "Another")
	both := pair.Open(a, b)
	defer both.Close()
	rows, err := both.Rows(t.Context(), []eft.Token{300}, []eft.Token{301, 302})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		model  *Model
		prompt []eft.Token
		row    func(eft.PairRows) eft.Row
	}{
		"tuned":   {tuned, a, func(p eft.PairRows) eft.Row { return p.Tuned }},
		"untuned": {untuned, b, func(p eft.PairRows) eft.Row { return p.Untuned }},
	} {
		alone := c.model.Open(c.prompt)
		want, err := alone.Rows(t.Context(), []eft.Token{300}, []eft.Token{301, 302})
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if !slices.Equal(c.row(rows[i]).Scores, want[i].Scores) {
				t.Errorf("%s: row %d is not the model's own", name, i)
			}
		}
		alone.Close()
	}
	if pair.Context() != min(tuned.Context(), untuned.Context()) {
		t.Errorf("context %d", pair.Context())
	}
}

func TestConversationsBecomePrompts(t *testing.T) {
	m := member(t, "small-chat", Options{})
	tokens, err := m.Prompt(t.Context(), []chattemplate.Message{{Role: "user", Content: "Hi there"}})
	if err != nil {
		t.Fatal(err)
	}
	if text := m.Tokenizer().Decode(tokens, false); !strings.Contains(text, "Hi there") {
		t.Errorf("prompt %q", text)
	}
	if len(m.Ends()) == 0 || m.Vocabulary().Piece(m.Ends()[0]) == nil {
		t.Errorf("end tokens %v", m.Ends())
	}
	if provider, note := m.Provider(); provider != onnx.CPU {
		t.Logf("provider %s, %s", provider, note)
	}
}

// files copies a member's files so that a test can spoil them.
func files(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	folder, err := demo.Folder(name)
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{}
	err = fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, path)
		out[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBrokenFoldersAreRefused(t *testing.T) {
	good := files(t, "small")
	without := func(name string) fstest.MapFS {
		spoilt := maps.Clone(good)
		delete(spoilt, name)
		return spoilt
	}
	with := func(name, text string) fstest.MapFS {
		spoilt := maps.Clone(good)
		spoilt[name] = &fstest.MapFile{Data: []byte(text)}
		return spoilt
	}
	variants := without("model.onnx")
	variants["onnx/model_q4.onnx"] = good["model.onnx"]
	variants["onnx/model_fp16.onnx"] = good["model.onnx"]
	pytorch := without("model.onnx")
	pytorch["model.safetensors"] = &fstest.MapFile{}
	sentencepiece := without("tokenizer.json")
	sentencepiece["tokenizer.model"] = &fstest.MapFile{}
	for name, c := range map[string]struct {
		files fs.FS
		o     Options
		says  string
	}{
		"no graph":            {without("model.onnx"), Options{}, "no model.onnx or onnx/model.onnx"},
		"only variants":       {variants, Options{}, "name one of its graphs as graph: onnx/model_fp16.onnx, onnx/model_q4.onnx"},
		"only PyTorch":        {pytorch, Options{}, "optimum-cli export onnx --model spoilt --task text-generation-with-past"},
		"only SentencePiece":  {sentencepiece, Options{}, "make one of its tokenizer.model"},
		"named graph missing": {good, Options{Graph: "onnx/x.onnx"}, "no onnx/x.onnx"},
		"no tokenizer":        {without("tokenizer.json"), Options{}, "no tokenizer.json"},
		"broken tokenizer":    {with("tokenizer.json", "{}"), Options{}, "tokenizer"},
		"no config":           {without("config.json"), Options{}, "max_position_embeddings"},
		"broken config":       {with("config.json", "{"), Options{}, "config.json: it is no JSON, or cut off (byte 1: unexpected end of JSON input): fetch it again"},
		"cut tokenizer":       {with("tokenizer.json", `{"model": `), Options{}, "cut off: fetch it again"},
		"a page as tokenizer": {with("tokenizer.json", "<html>"), Options{}, "no JSON, or cut off: fetch it again"},
		"a list of tokens":    {with("special_tokens_map.json", "[]"), Options{}, "special_tokens_map.json: it holds a JSON array, and must hold an object"},
		"a list for config":   {with("config.json", "[]"), Options{}, "config.json: it holds a JSON array, and must hold an object"},
		"a context in words":  {with("config.json", `{"text_config": {"n_ctx": "9"}}`), Options{}, "config.json: text_config.n_ctx is a string, and must be a whole number"},
		"an end in words":     {with("generation_config.json", `{"eos_token_id": "2"}`), Options{}, "generation_config.json: eos_token_id is a string, and must be an id or a list of ids"},
		"half an end":         {with("generation_config.json", `{"eos_token_id": [2.5]}`), Options{}, "eos_token_id is a number 2.5, and must be a whole number"},
		"a scaling in words":  {with("config.json", `{"rope_scaling": "linear"}`), Options{}, "rope_scaling is a string, and must be an object"},
		"no memory for it":    {with("config.json", `{"max_position_embeddings": 1000000000000}`), Options{}, "context: TOKENS"},
		"broken template":     {with("chat_template.jinja", "{% for %}"), Options{}, "chat template"},
		"broken graph":        {with("model.onnx", "no graph"), Options{}, "model spoilt"},
		"context too long":    {good, Options{Context: 1 << 20}, "context of 2048"},
	} {
		m, err := Load(env, InMemory("spoilt", c.files), c.o)
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if live := env.Live(); live != 0 {
		t.Errorf("refused models left %d native objects", live)
	}
}

func TestEmptyPromptsAreRefused(t *testing.T) {
	m := member(t, "small-chat", Options{})
	for source, refused := range map[string]bool{"": true, "{% for m in messages %}{% endfor %}": true, "{{ messages[0].content }}": false} {
		template, err := chattemplate.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := m.PromptWith(t.Context(), template, []chattemplate.Message{{Role: "user", Content: "Hello"}})
		if (err != nil) != refused || refused && len(tokens) > 0 {
			t.Errorf("%q makes %v, %v", source, tokens, err)
		}
	}
}

func TestFoldersOnDisk(t *testing.T) {
	moved := files(t, "small")
	moved["onnx/model.onnx"] = moved["model.onnx"]
	delete(moved, "model.onnx")
	folder := onDisk(t, moved)
	dir := folder.String()
	m, err := Load(env, folder, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there was opened")
	}
	if _, err := OpenFolder(filepath.Join(dir, "config.json")); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("a file: %v", err)
	}
}

func TestEndTokensAndSpecialsHaveManySpellings(t *testing.T) {
	spoilt := files(t, "small")
	delete(spoilt, "generation_config.json")
	spoilt["config.json"] = &fstest.MapFile{Data: []byte(`{"max_position_embeddings": 2048, "eos_token_id": [5, 6]}`)}
	spoilt["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(`{"eos_token": {"content": "!"}, "chat_template": "{{ messages[0].content }}"}`)}
	delete(spoilt, "chat_template.jinja")
	m, err := read(InMemory("x", spoilt))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Ends(), []eft.Token{5, 6}) || m.EOS() != "!" || m.template == nil {
		t.Errorf("ends %v, eos %q, template %v", m.Ends(), m.EOS(), m.template != nil)
	}
	spoilt["config.json"] = &fstest.MapFile{Data: []byte(`{"max_position_embeddings": 2048}`)}
	spoilt["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(`{"eos_token": "!"}`)}
	if m, err = read(InMemory("x", spoilt)); err != nil {
		t.Fatal(err)
	}
	if id, _ := m.Tokenizer().ID("!"); !slices.Equal(m.Ends(), []eft.Token{id}) {
		t.Errorf("ends %v, want the eos_token's %d", m.Ends(), id)
	}
	if _, err := m.Prompt(t.Context(), nil); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("a model without a template: %v", err)
	}
}
