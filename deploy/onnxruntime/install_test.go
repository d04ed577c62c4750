// Package onnxruntime holds no code: it tests the installer beside it with
// clients of its own making, so that no package is fetched.
package onnxruntime

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// tools are what the installer may use besides package clients.
var tools = []string{
	"sh", "awk", "sha256sum", "cut", "uname", "dirname", "find", "tar", "gzip", "mktemp", "rm", "mkdir",
	"mv", "chmod", "tail", "sed", "id", "cat",
}

// place is a copy of the installer with its own tables and its own PATH.
type place struct{ dir, bin, dest string }

// newPlace copies the installer; its tables ask for one package of npm, whose
// tarball holds content as the library.
func newPlace(t *testing.T, content string) place {
	t.Helper()
	p := place{dir: t.TempDir()}
	p.bin, p.dest = filepath.Join(p.dir, "bin"), filepath.Join(p.dir, "dest")
	script, err := os.ReadFile("install.sh")
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "install.sh", string(script))
	if err := os.Mkdir(p.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(p.bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	p.write(t, "package/lib.so.1", content)
	tar := exec.Command("tar", "-czf", "package.tgz", "package")
	tar.Dir = p.dir
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tarball, err := os.ReadFile(filepath.Join(p.dir, "package.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	pip := fmt.Sprintf("cpu %s pip none 1 %s\n", arch, strings.Repeat("0", 64))
	p.write(t, "downloads.txt", pip+fmt.Sprintf("cpu %s npm lib 1 %x\n", arch, sha256.Sum256(tarball)))
	p.write(t, "libraries.txt", fmt.Sprintf("cpu %s npm %x lib.so.1.0 package/lib.so.1\n", arch, sha256.Sum256([]byte(content))))
	return p
}

func (p place) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// npm puts an npm on the PATH that hands out the tarball, and counts its calls.
func (p place) npm(t *testing.T) {
	t.Helper()
	p.write(t, "bin/npm", fmt.Sprintf("#!/bin/sh\necho \"$*\" >>%s/calls\ncat %s/package.tgz >lib-1.tgz\n", p.dir, p.dir))
}

func (p place) run(words ...string) (string, error) {
	c := exec.Command("sh", append([]string{filepath.Join(p.dir, "install.sh")}, words...)...)
	c.Env = []string{"PATH=" + p.bin}
	out, err := c.CombinedOutput()
	return string(out), err
}

// lies says what is in DEST, hidden files too.
func (p place) lies(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(p.dest)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestInstallsOnceAndChecks(t *testing.T) {
	p := newPlace(t, "a library")
	p.npm(t)
	for range 2 {
		if out, err := p.run("cpu", p.dest); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := p.lies(t); got != "lib.so.1.0" {
			t.Errorf("DEST holds %q", got)
		}
	}
	calls, err := os.ReadFile(filepath.Join(p.dir, "calls"))
	if err != nil || string(calls) != "pack --silent --ignore-scripts lib@1\n" {
		t.Errorf("npm was called with %q, %v", calls, err)
	}
	p.write(t, "dest/lib.so.1.0", "a damaged library")
	if out, err := p.run(p.dest); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if content, err := os.ReadFile(filepath.Join(p.dest, "lib.so.1.0")); err != nil || string(content) != "a library" {
		t.Errorf("DEST was not mended: %q, %v", content, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, p place)
		words  func(p place) []string
		says   string
	}{
		{"no client", func(*testing.T, place) {}, nil, "install it"},
		{"a package that changed", func(t *testing.T, p place) {
			p.npm(t)
			p.write(t, "package.tgz", "another")
		}, nil, "do not use it"},
		{"a library that changed", func(t *testing.T, p place) {
			p.npm(t)
			table, err := os.ReadFile(filepath.Join(p.dir, "libraries.txt"))
			if err != nil {
				t.Fatal(err)
			}
			words := strings.Fields(string(table))
			p.write(t, "libraries.txt", strings.Replace(string(table), words[3], strings.Repeat("0", 64), 1))
		}, nil, "do not use it"},
		{"a registry that is away", func(t *testing.T, p place) { p.write(t, "bin/npm", "#!/bin/sh\nexit 1\n") }, nil, "could not be fetched"},
		{"a kind that there is not", func(t *testing.T, p place) { p.npm(t) }, func(p place) []string { return []string{"cuda", p.dest} }, "use cpu"},
		{"no folder named", func(*testing.T, place) {}, func(place) []string { return nil }, "usage"},
		{"a folder that cannot be", func(*testing.T, place) {}, func(p place) []string { return []string{p.dir + "/install.sh/x"} }, "choose another"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t, "a library")
			c.change(t, p)
			words := []string{"cpu", p.dest}
			if c.words != nil {
				words = c.words(p)
			}
			out, err := p.run(words...)
			if err == nil || !strings.Contains(out, c.says) {
				t.Errorf("%v, says %q, want %q", err, out, c.says)
			}
			if got := p.lies(t); got != "" {
				t.Errorf("DEST holds %q", got)
			}
		})
	}
}

// TestTables checks what a person could get wrong when moving to a new version.
func TestTables(t *testing.T) {
	for name, columns := range map[string]int{"downloads.txt": 6, "libraries.txt": 6} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		last := make(map[string]string)
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			if strings.HasPrefix(line, "#") {
				continue
			}
			words := strings.Fields(line)
			if len(words) != columns {
				t.Errorf("%s: %q has %d columns, want %d", name, line, len(words), columns)
				continue
			}
			sum := words[5]
			if name == "libraries.txt" {
				sum = words[3]
				last[words[0]+" "+words[1]+" "+words[2]] = words[4]
			}
			if len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "" {
				t.Errorf("%s: %q has no SHA-256", name, line)
			}
		}
		for kind, core := range last {
			if !strings.HasPrefix(core, "libonnxruntime.so.") {
				t.Errorf("%s: the core library is not the last of %s", name, kind)
			}
		}
	}
}
