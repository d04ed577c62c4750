package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// touch makes an empty file and returns its path.
func touch(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSearchOrder(t *testing.T) {
	dir := t.TempDir()
	flag := touch(t, dir, "flag.so")
	env := touch(t, dir, "env.so")
	configured := touch(t, dir, "configured", "libonnxruntime.so")
	gpu := touch(t, CacheFolders(dir)[0], "libonnxruntime.so."+Version)
	cpu := touch(t, CacheFolders(dir)[1], "libonnxruntime.so."+Version)
	system := touch(t, dir, "system", "libonnxruntime.so.1")
	folders, systems := CacheFolders(filepath.Join(dir, "elsewhere"), dir), []string{"", filepath.Join(dir, "none"), filepath.Dir(system)}
	for _, c := range []struct {
		name string
		s    Search
		want string
	}{
		{"flag first", Search{flag, env, configured, folders, systems}, flag},
		{"then environment", Search{"", env, configured, folders, systems}, env},
		{"then configuration, a folder", Search{"", "", filepath.Dir(configured), folders, systems}, configured},
		{"then cache, the GPU build first", Search{"", "", "", folders, systems}, gpu},
		{"a cache folder with nothing in it", Search{"", "", "", folders[1:2], systems}, system},
		{"the CPU build", Search{"", "", "", folders[3:], systems}, cpu},
		{"then system", Search{"", "", "", nil, systems}, system},
	} {
		got, err := Locate(c.s)
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v", c.name, got, err)
		}
	}
}

func TestMissingLibrariesNameTheFix(t *testing.T) {
	dir := t.TempDir()
	there := touch(t, dir, "libonnxruntime.so")
	for _, c := range []struct {
		name string
		s    Search
		says []string
	}{
		{"a flag that is wrong", Search{Flag: dir + "/no.so", Configured: there}, []string{dir + "/no.so", "the flag names", "make build"}},
		{"an environment that is wrong", Search{Environment: dir + "/no.so", Configured: there}, []string{LibraryVariable + " names"}},
		{"a configuration that is wrong", Search{Configured: dir + "/no", Folders: []string{dir}}, []string{"the configuration names"}},
		{"nothing anywhere", Search{Folders: []string{dir + "/a"}, System: []string{dir + "/b"}}, []string{"make build", LibraryVariable, dir + "/a, " + dir + "/b"}},
	} {
		path, err := Locate(c.s)
		var missing *NotFoundError
		if path != "" || !errors.As(err, &missing) {
			t.Errorf("%s: %s, %v", c.name, path, err)
			continue
		}
		for _, text := range c.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v: does not say %q", c.name, err, text)
			}
		}
	}
}

func TestFoldersToSearch(t *testing.T) {
	t.Setenv("LD_LIBRARY_PATH", "/one:/two")
	if f := SystemFolders(); f[0] != "/one" || f[1] != "/two" || len(f) < 5 {
		t.Errorf("system folders %v", f)
	}
	work, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if r := Roots(); len(r) != 2 || r[1] != work || !filepath.IsAbs(r[0]) {
		t.Errorf("roots %v", r)
	}
}
