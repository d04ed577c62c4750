package hub_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/models/hub"
	"github.com/graft-gateway/graft/models/hub/hubtest"
)

func TestNothingIsWrittenOutsideTheFolder(t *testing.T) {
	for path, says := range map[string]string{
		"../../escape":      "leads out of the folder",
		"onnx/../../x":      "leads out of the folder",
		"/etc/cron.d/x":     "is not a path within the repository",
		`onnx\..\..\x`:      "has the character",
		"onnx/\x1b[2J.onnx": "has the character",
		"onnx/nul.onnx":     "a device's name",
		".git/config":       "is git's own",
	} {
		inWorld(t, usual(), hub.Options{}, func(w *world) {
			p, err := w.plan("")
			if err != nil {
				w.t.Fatal(err)
			}
			p.Files = append(p.Files, hub.File{Path: path, Size: 1, Digest: p.Files[0].Digest})
			if _, err := w.hub.Pull(w.t.Context(), p, w.dir, &w.log); err == nil || !strings.Contains(err.Error(), says) {
				w.t.Errorf("%q: %v, want %q", path, err, says)
			}
			if _, err := os.Stat(w.dir); err == nil {
				w.t.Errorf("%q: something was written", path)
			}
		})
	}
}

func TestTheListingIsHeldTo(t *testing.T) {
	for name, c := range map[string]struct {
		alter func(*hubtest.Entry)
		says  string
	}{
		"smaller than told": {func(e *hubtest.Entry) { e.LFS.Size++ }, "announces 200000 bytes, and the Hub's listing says 200001"},
		"larger than told":  {func(e *hubtest.Entry) { e.LFS.Size-- }, "announces 200000 bytes, and the Hub's listing says 199999"},
		"another hash":      {func(e *hubtest.Entry) { e.LFS.OID = strings.Repeat("0", 64) }, "listing says 0000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := usual()
			repo.Alter = func(e *hubtest.Entry) {
				if e.Path == "onnx/model_q4f16.onnx" {
					c.alter(e)
				}
			}
			inWorld(t, repo, hub.Options{Parallel: 1}, func(w *world) {
				if _, err := w.pull(w.t.Context(), "q4f16"); err == nil || !strings.Contains(err.Error(), c.says) {
					w.t.Errorf("%v, want %q", err, c.says)
				}
				w.holds(repo, companionsOfUsual...)
			})
		})
	}
}

func TestWhatIsInTheWayIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(dir, outside string) error
		says    string
	}{
		"a link to a file": {func(dir, outside string) error { return os.Symlink(outside, filepath.Join(dir, "config.json")) }, "config.json in "},
		"a link within":    {func(dir, _ string) error { return os.Symlink("README.md", filepath.Join(dir, "config.json")) }, "is a symbolic link"},
		"a link to a folder": {func(dir, outside string) error {
			return os.Symlink(filepath.Dir(outside), filepath.Join(dir, "onnx"))
		}, "escapes"},
		"a folder": {func(dir, _ string) error { return os.Mkdir(filepath.Join(dir, "config.json"), 0o700) }, "config.json in "},
		"a file":   {func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "onnx"), nil, 0o600) }, "has a file in the place of a folder"},
	} {
		t.Run(name, func(t *testing.T) {
			outside := filepath.Join(t.TempDir(), "outside")
			if err := os.WriteFile(outside, []byte("keep me"), 0o600); err != nil {
				t.Fatal(err)
			}
			inWorld(t, usual(), hub.Options{}, func(w *world) {
				if err := os.MkdirAll(w.dir, 0o700); err != nil {
					w.t.Fatal(err)
				}
				if err := c.prepare(w.dir, outside); err != nil {
					w.t.Fatal(err)
				}
				_, err := w.pull(w.t.Context(), "q4f16")
				if err == nil || !strings.Contains(err.Error(), c.says) {
					w.t.Errorf("%v, want %q", err, c.says)
				}
				t.Log(err)
			})
			if text, err := os.ReadFile(outside); string(text) != "keep me" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

func TestOnePullAtATimeWorksOnAFolder(t *testing.T) {
	inWorld(t, usual(), hub.Options{}, func(w *world) {
		second := make(chan error, 1)
		w.Break("onnx/model_q4f16.onnx", hubtest.Fault{Stall: 1000})
		var other watcher
		w.log.stop = func(there int64) {
			if there == 1000 && len(second) == 0 {
				p, err := w.plan("q4f16")
				if err == nil {
					_, err = w.hub.Pull(w.t.Context(), p, w.dir, &other)
				}
				second <- err
			}
		}
		if _, err := w.pull(w.t.Context(), "q4f16"); err != nil {
			w.t.Error(err)
		}
		if err := <-second; err == nil || !strings.Contains(err.Error(), "another graft pull is writing into") {
			w.t.Error(err)
		}
	})
}
