package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// LibraryVariable is the environment variable that names the library.
const LibraryVariable = "GRAFT_ORT_LIBRARY"

// Search says where to look for the library, in this order: flag, environment,
// configuration, folders, system. The first three name a file (or a folder with
// one) and are final: one that does not exist is an error, not a reason to go on.
type Search struct {
	Flag        string
	Environment string
	Configured  string
	Folders     []string // cache folders
	System      []string // nil: SystemFolders
}

// CacheFolders lists where the installer puts the library below each root, the
// GPU build first: a machine that has it asked for it.
func CacheFolders(roots ...string) []string {
	var folders []string
	for _, root := range roots {
		for _, kind := range []string{"cuda", "cpu"} {
			folders = append(folders, filepath.Join(root, ".cache", "onnxruntime", Version, kind))
		}
	}
	return folders
}

// Roots lists the folders that may be the project's: the one above the
// executable's (bin/graft), and the working folder. A folder that the system
// does not tell is left out.
func Roots() []string {
	var roots []string
	if executable, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(executable); err == nil {
			executable = real
		}
		roots = append(roots, filepath.Join(filepath.Dir(executable), ".."))
	}
	if folder, err := os.Getwd(); err == nil {
		roots = append(roots, folder)
	}
	return roots
}

// SystemFolders lists where a system keeps libraries: LD_LIBRARY_PATH first.
func SystemFolders() []string {
	folders := filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	return append(folders, "/usr/local/lib", "/opt/onnxruntime/lib", "/usr/lib",
		"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
}

// NotFoundError says that no library was found.
type NotFoundError struct {
	Named string   // what named the missing file; empty if folders were searched
	Tried []string // files or folders
}

func (e *NotFoundError) Error() string {
	if e.Named != "" {
		return fmt.Sprintf("onnx: there is no ONNX Runtime library at %s, which %s names: correct it, or remove it and run `make build`",
			strings.Join(e.Tried, ", "), e.Named)
	}
	return fmt.Sprintf("onnx: no ONNX Runtime library was found: run `make build`, or point %s at one (looked in %s)",
		LibraryVariable, strings.Join(e.Tried, ", "))
}

// Locate finds the library's file. Whether it can be used is for Start to say.
func Locate(s Search) (string, error) {
	for _, named := range []struct{ by, path string }{
		{"the flag", s.Flag}, {LibraryVariable, s.Environment}, {"the configuration", s.Configured},
	} {
		if named.path == "" {
			continue
		}
		if path, ok := libraryAt(named.path); ok {
			return path, nil
		}
		return "", &NotFoundError{Named: named.by, Tried: []string{named.path}}
	}
	system := s.System
	if system == nil {
		system = SystemFolders()
	}
	tried := append(append([]string(nil), s.Folders...), system...)
	for _, folder := range tried {
		if folder == "" {
			continue
		}
		if path, ok := libraryAt(folder); ok {
			return path, nil
		}
	}
	return "", &NotFoundError{Tried: tried}
}

// libraryAt finds the library at a path that is a file or a folder.
func libraryAt(path string) (string, bool) {
	for _, candidate := range []string{
		path, filepath.Join(path, "libonnxruntime.so."+Version),
		filepath.Join(path, "libonnxruntime.so"), filepath.Join(path, "libonnxruntime.so.1"),
	} {
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
			absolute, err := filepath.Abs(candidate)
			return absolute, err == nil
		}
	}
	return "", false
}
