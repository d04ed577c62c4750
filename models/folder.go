package models

import (
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

// graphs are where a folder's graph may lie.
func graphs() []string { return []string{"model.onnx", "onnx/model.onnx"} }

// graph finds the model's graph: the named one, or the first of graphs.
func (f Folder) graph(named string) (onnx.Source, error) {
	candidates := graphs()
	if named != "" {
		candidates = []string{path.Clean(filepath.ToSlash(named))}
	}
	for _, name := range candidates {
		if _, err := fs.Stat(f.files, name); err != nil {
			continue
		}
		if f.dir != "" {
			return onnx.Source{Path: filepath.Join(f.dir, filepath.FromSlash(name))}, nil
		}
		data, err := fs.ReadFile(f.files, name)
		return onnx.Source{Bytes: data}, err
	}
	others, _ := fs.Glob(f.files, "onnx/*.onnx") // the pattern is well formed
	hint := "it is no ONNX export"
	if len(others) > 0 {
		hint = "name one of its variants as graph: " + strings.Join(others, ", ")
	}
	return onnx.Source{}, fmt.Errorf("model folder %s has no %s; %s", f.name, strings.Join(candidates, " or "), hint)
}

// read returns a file that must be there.
func (f Folder) read(name string) ([]byte, error) {
	data, err := fs.ReadFile(f.files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model folder %s has no %s", f.name, name)
	}
	return data, err
}

// readOptional returns nil for a file that is not there.
func (f Folder) readOptional(name string) ([]byte, error) {
	data, err := fs.ReadFile(f.files, name)
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
