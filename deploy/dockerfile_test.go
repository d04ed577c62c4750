package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

var dockerfiles = map[string]string{"docker/Dockerfile.cpu": "cpu", "docker/Dockerfile.cuda": "cuda"}

// stages parses a Dockerfile as BuildKit does; what its linter warns of is an error.
func stages(t *testing.T, path string) []instructions.Stage {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) {
		t.Errorf("%s: %s: %s at %v", path, rule, message, at)
	}})
	all, arguments, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(parsed.Warnings)+len(arguments) > 0 || len(all) != 2 {
		t.Fatalf("%s: %d stages, warnings %v, arguments %v; want two stages and nothing else", path, len(all), parsed.Warnings, arguments)
	}
	return all
}

// ignored says what .dockerignore keeps out of a build.
func ignored(t *testing.T) func(path string) bool {
	t.Helper()
	file, err := os.Open(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return func(path string) bool {
		t.Helper()
		out, err := matcher.MatchesOrParentMatches(path)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func TestDockerfilesParse(t *testing.T) {
	out := ignored(t)
	for path, kind := range dockerfiles {
		var user, library, entry string
		healthy := false
		all := stages(t, path)
		for i, stage := range all {
			if !pinned(stage.BaseName) {
				t.Errorf("%s: %s is not pinned", path, stage.BaseName)
			}
			for _, command := range stage.Commands {
				switch c := command.(type) {
				case *instructions.CopyCommand:
					for _, source := range c.SourcePaths {
						if c.From != "" || source == "." {
							continue
						}
						if _, err := os.Stat(filepath.Join(root, source)); err != nil || out(source) {
							t.Errorf("%s copies %s, which a build does not have: %v", path, source, err)
						}
					}
					if i == 1 && c.From != all[0].Name {
						t.Errorf("%s: the image gets %v from %q and not from what was built", path, c.SourcePaths, c.From)
					}
				case *instructions.UserCommand:
					user = c.User
				case *instructions.HealthCheckCommand:
					healthy = c.Health != nil && len(c.Health.Test) > 1
				case *instructions.EntrypointCommand:
					entry = strings.Join(c.CmdLine, " ")
				case *instructions.EnvCommand:
					for _, e := range c.Env {
						if e.Key == "GRAFT_ORT_LIBRARY" {
							library = e.Value
						}
					}
				case *instructions.RunCommand:
					if i == 1 {
						t.Errorf("%s: the image runs %v: what it needs is made in the first stage", path, c.CmdLine)
					}
				}
			}
		}
		if user != "65532:65532" || !healthy || entry != "graft" {
			t.Errorf("%s: user %q, entry point %q, a health check: %v", path, user, entry, healthy)
		}
		install := fmt.Sprintf("/src/deploy/onnxruntime/install.sh %s %s", kind, library)
		if text, err := os.ReadFile(path); err != nil || library == "" || !strings.Contains(string(text), install) {
			t.Errorf("%s does not install the library where GRAFT_ORT_LIBRARY says (%s): %v", path, library, err)
		}
	}
}

func TestDockerfilesAreOfOneGo(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(mod), "\ngo ")
	want := strings.Split(strings.Fields(rest)[0], ".")
	for path := range dockerfiles {
		image := stages(t, path)[0].BaseName
		_, tag, _ := strings.Cut(image, "golang:")
		tag, _, _ = strings.Cut(tag, "-")
		got := strings.Split(tag, ".")
		if len(got) != 3 || got[0] != want[0] || len(got[1]) < len(want[1]) || got[1] < want[1] {
			t.Errorf("%s builds with %s, go.mod asks for %s", path, image, strings.Join(want, "."))
		}
	}
}

// TestBuildContext compares what the binary is made of with what .dockerignore lets in.
func TestBuildContext(t *testing.T) {
	out := ignored(t)
	command := exec.Command("go", "list", "-e", "-deps", "-json=Dir,GoFiles,CgoFiles,HFiles,CFiles,SFiles,EmbedFiles,Module", ".")
	command.Dir = root
	// C is part of the binary, whatever this machine has a compiler for.
	command.Env = append(os.Environ(), "CGO_ENABLED=1")
	data, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	needed := []string{"go.mod", "go.sum", "NOTICE", "deploy/docker/ready", "deploy/onnxruntime/install.sh"}
	for decoder := json.NewDecoder(strings.NewReader(string(data))); decoder.More(); {
		var p struct {
			Dir                                                   string
			GoFiles, CgoFiles, HFiles, CFiles, SFiles, EmbedFiles []string
			Module                                                *struct{ Main bool }
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.HFiles, p.CFiles, p.SFiles, p.EmbedFiles) {
			relative, err := filepath.Rel(top, filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			needed = append(needed, relative)
		}
	}
	if len(needed) < 50 {
		t.Fatalf("only %d files are needed: %v", len(needed), needed)
	}
	for _, path := range needed {
		if out(path) {
			t.Errorf("a build lacks %s: let it in by .dockerignore", path)
		}
	}
	for _, path := range []string{".env", ".git/config", "bin/graft", ".cache/onnxruntime/x", "e2e/doc_test.go", "models/models_test.go", "models/testdata/exports/README.md", "docker-compose.yml", "README.md"} {
		if !out(path) {
			t.Errorf("a build is given %s", path)
		}
	}
}
