package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/graft-gateway/graft/models/onnx"
)

// Folder is a model's files.
type Folder struct {
	name  string
	files fs.FS
	dir   string // where files lies on disk; empty if it does not
}

// OpenFolder takes a folder on disk.
func OpenFolder(dir string) (Folder, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return Folder{}, fmt.Errorf("model folder %s cannot be opened: %w", dir, errors.Unwrap(err))
	}
	if !info.IsDir() {
		return Folder{}, fmt.Errorf("model folder %s is a file; name the folder that holds model.onnx and tokenizer.json", dir)
	}
	return Folder{name: dir, files: os.DirFS(dir), dir: dir}, nil
}

// InMemory takes files that lie in the binary or elsewhere. Their graphs must not
// have external data.
func InMemory(name string, files fs.FS) Folder { return Folder{name: name, files: files} }

// String is the folder as errors name it.
func (f Folder) String() string { return f.name }

// graphs are where a folder's graph lies if it has the usual name: as the Hub has
// it, and as exporters of merged decoders write it.
func graphs() []string {
	return []string{"model.onnx", "onnx/model.onnx", "decoder_model_merged.onnx", "onnx/decoder_model_merged.onnx"}
}

// graph finds the model's graph: the one that is asked for; or the one that the
// folder names itself, the first of graphs, or the only one that there is. file is its
// name in the folder.
func (f Folder) graph(asked, named string) (source onnx.Source, file string, err error) {
	candidates := graphs()
	if named != "" {
		candidates = append([]string{named}, candidates...)
	}
	if asked != "" {
		candidates = []string{path.Clean(filepath.ToSlash(asked))}
	}
	all := f.allGraphs()
	if asked == "" && len(all) == 1 {
		candidates = append(candidates, all[0])
	}
	for _, name := range candidates {
		if info, err := fs.Stat(f.files, name); err != nil || info.IsDir() {
			continue
		}
		if f.dir != "" {
			return onnx.Source{Path: filepath.Join(f.dir, filepath.FromSlash(name))}, name, nil
		}
		data, err := fs.ReadFile(f.files, name)
		return onnx.Source{Bytes: data}, name, err
	}
	return onnx.Source{}, "", f.noGraph(asked, all)
}

// allGraphs lists the folder's graphs, those in onnx/ too.
func (f Folder) allGraphs() []string {
	top, _ := fs.Glob(f.files, "*.onnx") // the patterns are well formed
	below, _ := fs.Glob(f.files, "onnx/*.onnx")
	return append(top, below...)
}

// noGraph says what to do about a graph that is not there.
func (f Folder) noGraph(asked string, all []string) error {
	missing := "model.onnx or onnx/model.onnx"
	if asked != "" {
		missing = asked
	}
	if len(all) > 0 {
		return fmt.Errorf("model folder %s has no %s; name one of its graphs as graph: %s", f.name, missing, strings.Join(all, ", "))
	}
	if weights, _ := fs.Glob(f.files, "*.safetensors"); len(weights) > 0 {
		return fmt.Errorf("model folder %s has no %s: its weights are PyTorch's; export it with `optimum-cli export onnx --model %s --task text-generation-with-past FOLDER`", f.name, missing, f.name)
	}
	return fmt.Errorf("model folder %s has no %s: it is no ONNX export", f.name, missing)
}

// read returns a file that must be there.
func (f Folder) read(name string) ([]byte, error) {
	data, err := f.content(name)
	if errors.Is(err, fs.ErrNotExist) {
		hint := ""
		if _, err := fs.Stat(f.files, "tokenizer.model"); err == nil && name == "tokenizer.json" {
			hint = "; make one of its tokenizer.model: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) in transformers writes it"
		}
		return nil, fmt.Errorf("model folder %s has no %s%s", f.name, name, hint)
	}
	return data, err
}

// PointerError says that the pointer which Git keeps of a large file lies in the
// file's place.
type PointerError struct{ File string }

func (e *PointerError) Error() string {
	return e.File + " is a Git LFS pointer and not the file itself: run `git lfs pull` in its folder, or fetch it with `graft pull`"
}

// content reads a file, and refuses what Git left of it.
func (f Folder) content(name string) ([]byte, error) {
	data, err := fs.ReadFile(f.files, name)
	var path *fs.PathError
	switch {
	case isPointer(data):
		return nil, &PointerError{f.name + "/" + name}
	case errors.As(err, &path):
		return nil, fmt.Errorf("%s/%s: %w", f.name, name, path.Err)
	}
	return data, err
}

func isPointer(data []byte) bool { return bytes.HasPrefix(data, []byte("version https://git-lfs")) }

// readOptional returns nil for a file that is not there.
func (f Folder) readOptional(name string) ([]byte, error) {
	data, err := f.content(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// readJSON decodes an optional file into v, which stays as it is without one.
func (f Folder) readJSON(name string, v any) error {
	data, err := f.readOptional(name)
	if err != nil || data == nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s/%s: %w", f.name, name, err)
	}
	return nil
}
