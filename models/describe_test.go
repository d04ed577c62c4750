package models

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx"
)

const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"

// onDisk writes files into a folder.
func onDisk(t *testing.T, files fstest.MapFS) Folder {
	t.Helper()
	dir := t.TempDir()
	for name, file := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestALoadedModelIsDescribed(t *testing.T) {
	m := member(t, "small", Options{Context: 100})
	d := m.Describe()
	if d.Name != "small" || d.Graph != "model.onnx" || d.Architecture != "LlamaForCausalLM" || d.ModelType != "llama" || d.Template != "chat_template.jinja" {
		t.Errorf("%+v", d)
	}
	if d.Context != 100 || d.Rows != 1024 || !slices.Equal(d.Ends, []eft.Token{2, 0}) || d.Notes != nil || d.Faults != nil || d.Provider == "" {
		t.Errorf("%+v", d)
	}
	// config.json: 2 layers, 3 heads of 16 numbers, keys and values in float32.
	if f := d.Facts; f.Strategy != onnx.Shared || f.Layers != 2 || f.KV != onnx.Float32 || f.CacheBytes != 2*2*3*16*4 || f.Parameters < 90_000 || f.Weights == "" {
		t.Errorf("%+v", f)
	}
	if err := d.Shares(&d); err != nil {
		t.Error(err)
	}
}

func TestEverythingWrongWithAFolderIsFound(t *testing.T) {
	long := string(files(t, "small")["model.onnx"].Data)
	for name, c := range map[string]struct {
		changes map[string]string
		o       Options
		want    []string // part, cause and file of each fault
	}{
		"nothing":            {nil, Options{}, nil},
		"no tokenizer":       {map[string]string{"tokenizer.json": ""}, Options{}, []string{"tokenizer missing tokenizer.json"}},
		"foreign tokenizer":  {map[string]string{"tokenizer.json": `{"model": {"type": "Quantum"}}`}, Options{}, []string{"tokenizer refused tokenizer.json"}},
		"cut tokenizer":      {map[string]string{"tokenizer.json": `{"model": {"type"`}, Options{}, []string{"tokenizer damaged tokenizer.json"}},
		"pointers":           {map[string]string{"tokenizer.json": pointer, "model.onnx": pointer, "config.json": pointer}, Options{}, []string{"tokenizer pointer tokenizer.json", "configuration pointer config.json", "graph pointer model.onnx"}},
		"no graph":           {map[string]string{"model.onnx": ""}, Options{}, []string{"graph missing "}},
		"another graph":      {nil, Options{Graph: "onnx/model_q4.onnx"}, []string{"graph missing onnx/model_q4.onnx"}},
		"cut graph":          {map[string]string{"model.onnx": long[:len(long)/2]}, Options{}, []string{"graph damaged model.onnx"}},
		"no context":         {map[string]string{"config.json": `{}`}, Options{}, []string{"context refused config.json"}},
		"no room":            {map[string]string{"config.json": `{"max_position_embeddings": 1}`}, Options{}, []string{"context refused config.json"}},
		"no room if exact":   {nil, Options{Context: 2, Exact: true}, []string{"context refused config.json"}},
		"an encoder-decoder": {map[string]string{"config.json": `{"is_encoder_decoder": true, "n_ctx": 0}`}, Options{}, []string{"context refused config.json"}},
		"a context too long": {nil, Options{Context: 5000}, []string{"context refused config.json"}},
		"broken JSON twice":  {map[string]string{"config.json": `{`, "generation_config.json": `{"a"`}, Options{}, []string{"configuration damaged config.json", "configuration damaged generation_config.json"}},
		"wrong type":         {map[string]string{"config.json": `{"max_position_embeddings": "many"}`}, Options{}, []string{"configuration refused config.json"}},
		"bad template":       {map[string]string{"chat_template.jinja": "{% for %}"}, Options{}, []string{"chat template refused chat_template.jinja"}},
		"bad template inside": {map[string]string{"chat_template.jinja": "", "tokenizer_config.json": `{"chat_template": "{{"}`}, Options{},
			[]string{"chat template refused tokenizer_config.json"}},
		"everything": {map[string]string{"tokenizer.json": "", "config.json": "{", "chat_template.jinja": "{{", "model.onnx": "x"}, Options{},
			[]string{"tokenizer missing tokenizer.json", "configuration damaged config.json", "chat template refused chat_template.jinja", "graph damaged model.onnx"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := onDisk(t, spoil(t, "small", c.changes))
			d := Inspect(env, folder, c.o)
			var got []string
			for _, f := range d.Faults {
				got = append(got, string(f.Part)+" "+string(f.Cause)+" "+f.File)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q: %+v", got, c.want, d.Faults)
			}
			m, err := Load(env, folder, c.o)
			if err == nil {
				m.Close()
			}
			if (err == nil) != (len(c.want) == 0) || err != nil && !strings.HasPrefix(err.Error(), d.Faults[0].Err.Error()) {
				t.Errorf("loading gives %v, the first fault is %v", err, d.Faults)
			}
		})
	}
	if live := env.Live(); live != 0 {
		t.Errorf("%d native objects are left", live)
	}
}

// Links of a cache whose files were cleared away, links in a circle, and pipes, from which
// reading would never end.
func TestWhatIsNoFileIsToldAndNotWaitedFor(t *testing.T) {
	names := []string{"model.onnx", "tokenizer.json", "config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"}
	for kind, c := range map[string]struct {
		put  func(path string) error
		says string
	}{
		"a link that leads nowhere": {func(path string) error { return os.Symlink("nowhere", path) }, "is a link to a file that is not there: fetch it again"},
		"a link in a circle":        {func(path string) error { return os.Symlink(filepath.Base(path), path) }, "too many levels of symbolic links"},
		"a pipe":                    {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "must be a file"},
		"a folder":                  {func(path string) error { return os.Mkdir(path, 0o700) }, ""},
	} {
		for _, name := range names {
			t.Run(kind+" for "+name, func(t *testing.T) {
				folder := onDisk(t, files(t, "small"))
				path := filepath.Join(folder.String(), name)
				if err := errors.Join(os.RemoveAll(path), c.put(path)); err != nil {
					t.Fatal(err)
				}
				m, err := Load(env, folder, Options{})
				if err == nil {
					m.Close()
				}
				if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), name) {
					t.Errorf("loading gives %v, want %q about %s", err, c.says, name)
				}
				if d := Inspect(env, folder, Options{}); len(d.Faults) != 1 || !strings.HasPrefix(err.Error(), d.Faults[0].Err.Error()) {
					t.Errorf("loading gives %v, the faults are %v", err, d.Faults)
				}
			})
		}
	}
}

func TestWhatCanBeReadOfABrokenFolderIsTold(t *testing.T) {
	good := files(t, "small")
	d := Inspect(env, InMemory("x", spoil(t, "small", map[string]string{"tokenizer.json": "{}", "generation_config.json": "{"})), Options{})
	if d.Architecture != "LlamaForCausalLM" || d.Context != 2048 || d.Rows != 1024 || d.Facts.Layers != 2 || d.Template == "" || d.Provider == "" || d.Tokenizer() != nil {
		t.Errorf("without a tokenizer: %+v", d)
	}
	if trials, _, err := d.Try(t.Context()); err != nil || len(trials) != 3 || trials[0].Err != nil || trials[0].Tokens != 0 {
		t.Errorf("without a tokenizer the template gives %+v, %v", trials, err)
	}
	d = Inspect(env, InMemory("x", spoil(t, "small", map[string]string{"model.onnx": "x"})), Options{})
	if d.Tokenizer() == nil || d.Rows != 0 || len(d.Ends) != 2 {
		t.Errorf("without a graph: %+v", d)
	}
	other := Inspect(nil, InMemory("y", maps.Clone(good)), Options{})
	if len(other.Faults) > 0 || other.Graph != "model.onnx" || d.Shares(&other) != nil {
		t.Errorf("without a runtime: %+v, %v", other, d.Shares(&other))
	}
	none := Description{Name: "z"}
	if err := d.Shares(&none); err == nil || !strings.Contains(err.Error(), "z is not known") {
		t.Errorf("compared with nothing: %v", err)
	}
	if trials, marks, err := none.Try(t.Context()); trials != nil || marks != nil || err != nil {
		t.Errorf("tried with nothing: %v, %v, %v", trials, marks, err)
	}
}

func TestAProviderThatIsNotThereHidesNothingElse(t *testing.T) {
	if slices.Contains(env.Providers(), "TensorrtExecutionProvider") {
		t.Skip("this library has TensorRT")
	}
	for _, provider := range []onnx.Provider{onnx.TensorRT, "abacus"} {
		d := Inspect(env, InMemory("x", files(t, "small")), Options{Provider: provider})
		if len(d.Faults) != 1 || d.Faults[0].Cause != CauseUnfit || d.Provider != "" || d.Facts.Layers != 2 {
			t.Errorf("%s: %+v", provider, d)
		}
	}
}

func TestFilesThatMayNotBeReadAreTold(t *testing.T) {
	d := Inspect(env, InMemory("x", forbidden{files(t, "small"), "config.json"}), Options{})
	if len(d.Faults) != 1 || d.Faults[0].Cause != CauseUnreadable || !errors.Is(d.Faults[0].Err, fs.ErrPermission) {
		t.Errorf("%+v", d.Faults)
	}
}

// forbidden is a file system with one file that may not be read.
type forbidden struct {
	fstest.MapFS
	name string
}

func (f forbidden) Open(name string) (fs.File, error) {
	if name == f.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return f.MapFS.Open(name)
}

func (f forbidden) ReadFile(name string) ([]byte, error) {
	if name == f.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return f.MapFS.ReadFile(name)
}

func TestTemplatesAreTried(t *testing.T) {
	const turns = `{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}`
	for name, c := range map[string]struct {
		template string
		refused  []string
		ignored  []string
		marks    []string
	}{
		"all":            {turns + `{{ tools }}`, nil, nil, nil},
		"without tools":  {turns, nil, []string{"tools"}, nil},
		"without system": {`{% if messages[0].role == "system" %}{{ raise_exception("no") }}{% endif %}` + turns + `{{ tools }}`, []string{"system"}, nil, nil},
		"foreign marks":  {turns + `{{ tools }}<|user|><|end|><|user|></s><start_of_turn>`, nil, nil, []string{"<|user|>", "<|end|>", "</s>", "<start_of_turn>"}},
		"deaf":           {`Hello`, nil, []string{"user", "system", "tools"}, nil},
		"broken":         {`{{ messages[5].content.x.y }}`, []string{"user", "system", "tools"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := Inspect(nil, InMemory("x", spoil(t, "small", map[string]string{"chat_template.jinja": c.template})), Options{})
			trials, marks, err := d.Try(t.Context())
			if err != nil || len(trials) != 3 {
				t.Fatalf("%+v, %v", trials, err)
			}
			var refused, ignored []string
			for _, trial := range trials {
				if trial.Err != nil {
					refused = append(refused, trial.Name)
				}
				if trial.Ignored {
					ignored = append(ignored, trial.Name)
				}
			}
			if !slices.Equal(refused, c.refused) || !slices.Equal(ignored, c.ignored) || !slices.Equal(marks, c.marks) {
				t.Errorf("refused %q, ignored %q, marks %q", refused, ignored, marks)
			}
		})
	}
}

func TestEpsilonIsThatOfTheGraph(t *testing.T) {
	m := member(t, "small", Options{})
	found, err := m.Epsilon(t.Context(), encode(m, "The river Velm rises in the hills"))
	if err != nil || len(found) == 0 || found[0].Rows == 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestExternalDataBelongsToTheGraph(t *testing.T) {
	folder := InMemory("x", fstest.MapFS{
		"config.json": {Data: []byte("{")}, "onnx/model.onnx": {Data: make([]byte, 10)}, "onnx/model.onnx_data": {Data: make([]byte, 200)},
		"onnx/model.onnx_data_1": {Data: make([]byte, 3000)}, "onnx/model_q4.onnx": {Data: make([]byte, 40000)},
	})
	for graph, want := range map[string]int64{"": 3210, "onnx/model_q4.onnx": 40000, "onnx/model_q8.onnx": 0} {
		if got := folder.GraphBytes(Options{Graph: graph}); got != want {
			t.Errorf("%q: %d bytes, want %d", graph, got, want)
		}
	}
}

// Whatever lies in a folder: Inspect finds fault with it exactly where reading it fails,
// and begins with the same error.
func FuzzInspect(f *testing.F) {
	names := []string{"tokenizer.json", "config.json", "genai_config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"}
	for i, text := range []string{`{"model": {"type": "BPE"}}`, `{"max_position_embeddings": "x"}`, `{"model": 1}`, `[`, `{"chat_template": "{{"}`, `{"bos_token": []}`, `{{ raise_exception(messages) }}`, pointer} {
		f.Add(i, []byte(text))
	}
	whole := maps.Clone(files(f, "small"))
	delete(whole, "model.onnx")
	f.Fuzz(func(t *testing.T, which int, text []byte) {
		spoilt := maps.Clone(whole)
		spoilt[names[uint(which)%uint(len(names))]] = &fstest.MapFile{Data: text}
		folder := InMemory("spoilt", spoilt)
		d := Inspect(nil, folder, Options{})
		faults := slices.DeleteFunc(slices.Clone(d.Faults), func(x Fault) bool { return x.Part == PartGraph })
		m, err := read(folder)
		if err == nil {
			err = m.setContext(0)
		}
		if (err != nil) != (len(faults) > 0) || err != nil && !strings.HasPrefix(err.Error(), faults[0].Err.Error()) {
			t.Errorf("reading gives %v, inspecting %+v", err, faults)
		}
		if _, _, err := d.Try(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
