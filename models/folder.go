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
	"reflect"
	"slices"
	"strings"

	"github.com/graft-gateway/graft/eft"
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
		err := f.regular(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, errFolder) { // invalid: it leads out of the folder
			continue
		}
		if err != nil {
			return onnx.Source{}, name, err
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
	return slices.DeleteFunc(append(top, below...), func(name string) bool { return f.regular(name) != nil })
}

// errFolder says that a folder has a file's name.
var errFolder = errors.New("is a folder, and must be a file")

// regular fails for what cannot be read as a file. A link that leads nowhere is told
// apart from a file that is not there: nobody means the folder to do without it.
func (f Folder) regular(name string) error {
	info, err := fs.Stat(f.files, name)
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if link, _ := fs.Lstat(f.files, name); link != nil && link.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s/%s is a link to a file that is not there: fetch it again", f.name, name)
		}
		return fmt.Errorf("%s/%s: %w", f.name, name, fs.ErrNotExist)
	case errors.As(err, &path):
		return fmt.Errorf("%s/%s: %w", f.name, name, path.Err)
	case err != nil:
		return fmt.Errorf("%s/%s: %w", f.name, name, err)
	case info.IsDir():
		return fmt.Errorf("%s/%s %w", f.name, name, errFolder)
	case !info.Mode().IsRegular(): // opening a pipe would wait for its other end
		return fmt.Errorf("%s/%s is a pipe or a device, and must be a file", f.name, name)
	}
	return nil
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
		hint := ": fetch it from where the model came from, or write it with AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER) in transformers"
		if _, err := fs.Stat(f.files, "tokenizer.model"); err == nil && name == "tokenizer.json" {
			hint = ": make one of its tokenizer.model: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) in transformers writes it"
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
	if err := f.regular(name); err != nil {
		return nil, err
	}
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
		return fmt.Errorf("%s/%s: %w", f.name, name, &formError{err})
	}
	return nil
}

// formError says of a JSON file that cannot be decoded what is wrong with it, in the
// words of JSON and not of the program.
type formError struct{ cause error }

func (e *formError) Unwrap() error { return e.cause }

func (e *formError) Error() string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(e.cause, &syntax):
		return fmt.Sprintf("it is no JSON, or cut off (byte %d: %v): fetch it again", syntax.Offset, e.cause)
	case errors.As(e.cause, &kind) && kind.Field == "":
		return fmt.Sprintf("it holds a JSON %s, and must hold an object: fetch it again", kind.Value)
	case errors.As(e.cause, &kind):
		return fmt.Sprintf("%s is a %s, and must be %s: correct it, or fetch the file again", kind.Field, kind.Value, formOf(kind.Type))
	}
	return e.cause.Error()
}

// formOf names what JSON a Go type is read from.
func formOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[eft.Token]() {
			return "an id or a list of ids"
		}
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number"
}
