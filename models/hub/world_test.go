package hub_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/models/hub"
	"github.com/graft-gateway/graft/models/hub/hubtest"
)

// noise is content that compresses badly and is the same in every run.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	b := make([]byte, n)
	_, _ = r.Read(b) // cannot fail
	return b
}

// external is an ONNX file with one initializer whose data lies in the named files,
// written by hand: ModelProto{graph(7): {initializer(5): {external_data(13):
// {key(1): "location", value(2): name}, data_location(14): 1}}}.
func external(names ...string) []byte {
	field := func(number byte, content []byte) []byte {
		return append([]byte{number<<3 | 2, byte(len(content))}, content...)
	}
	var tensors []byte
	for _, name := range names {
		entry := append(field(1, []byte("location")), field(2, []byte(name))...)
		tensors = append(tensors, field(5, append(field(13, entry), 14<<3, 1))...)
	}
	return field(7, tensors)
}

const repoName = "people/model"

// usual is a repository as onnx-community has them.
func usual() hubtest.Repo {
	return hubtest.Repo{Name: repoName, Tags: []string{"v1", "refs/pr/1"}, Files: map[string][]byte{
		"README.md": []byte("# model\n"), ".gitattributes": []byte("*.onnx filter=lfs\n"),
		"config.json": []byte(`{"max_position_embeddings": 8}`), "generation_config.json": []byte("{}"),
		"tokenizer.json": noise(50_000), "tokenizer_config.json": []byte("{}"), "special_tokens_map.json": []byte("{}"),
		"chat_template.jinja": {}, "model.safetensors": noise(10),
		"onnx/model.onnx": external("model.onnx_data"), "onnx/model.onnx_data": noise(300_000),
		"onnx/model_q4f16.onnx": noise(200_000), "onnx/model_int8.onnx": noise(1000), "onnx/model_quantized.onnx": noise(1001),
	}}
}

// world is a Hub in memory, a client of it, and a folder, in a bubble of time.
type world struct {
	*hubtest.Server
	t   *testing.T
	hub *hub.Hub
	dir string
	log watcher
}

func inWorld(t *testing.T, repo hubtest.Repo, o hub.Options, test func(*world)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "models", "model")
	synctest.Test(t, func(t *testing.T) {
		s := hubtest.InMemory(repo)
		transport := s.Transport()
		defer func() {
			transport.CloseIdleConnections()
			s.Close()
		}()
		o.Endpoint, o.Transport = s.URL(), transport
		h, err := hub.New(o)
		if err != nil {
			t.Fatal(err)
		}
		test(&world{Server: s, t: t, hub: h, dir: dir})
	})
}

// plan lists the repository and chooses.
func (w *world) plan(variant string) (hub.Plan, error) {
	l, err := w.hub.List(w.t.Context(), repoName, "main")
	if err != nil {
		return hub.Plan{}, err
	}
	v, err := l.Choose(variant)
	if err != nil {
		return hub.Plan{}, err
	}
	return l.Plan(v)
}

func (w *world) pull(ctx context.Context, variant string) (hub.Result, error) {
	w.log = watcher{stop: w.log.stop}
	p, err := w.plan(variant)
	if err != nil {
		return hub.Result{}, err
	}
	return w.hub.Pull(ctx, p, w.dir, &w.log)
}

// holds compares the folder with what a repository has.
func (w *world) holds(repo hubtest.Repo, names ...string) {
	w.t.Helper()
	var found []string
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, _ := filepath.Rel(w.dir, path)
		found = append(found, filepath.ToSlash(relative))
		content, err := os.ReadFile(path)
		if want, ok := repo.Files[filepath.ToSlash(relative)]; ok && !bytes.Equal(content, want) {
			w.t.Errorf("%s has another content", relative)
		}
		return err
	})
	slices.Sort(names)
	slices.Sort(found)
	if err != nil || !slices.Equal(found, names) {
		w.t.Errorf("the folder holds %q, %v, want %q", found, err, names)
	}
}

// transfers counts GETs of file content at both hosts.
func (w *world) transfers() (n int) {
	for _, r := range w.Seen() {
		if r.Method == http.MethodGet && (r.Storage || strings.HasPrefix(r.Path, "/api/resolve-cache/")) {
			n++
		}
	}
	return n
}

// ranges are those that the storage was asked for, in turn.
func (w *world) ranges() (asked []string) {
	for _, r := range w.Seen() {
		if r.Storage {
			asked = append(asked, r.Header.Get("Range"))
		}
	}
	return asked
}

// watcher is an observer that adds up.
type watcher struct {
	mu      sync.Mutex
	there   map[string]int64
	sizes   map[string]int64
	retries []string
	ended   map[string]hub.Outcome
	stop    func(there int64) // called with every file's bytes
}

func (w *watcher) Begin(f hub.File, have int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.there == nil {
		w.there, w.sizes, w.ended = map[string]int64{}, map[string]int64{}, map[string]hub.Outcome{}
	}
	w.there[f.Path], w.sizes[f.Path] = have, f.Size
}

func (w *watcher) Advance(f hub.File, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.there[f.Path] += n
	if w.stop != nil {
		w.stop(w.there[f.Path])
	}
}

func (w *watcher) Retry(f hub.File, err error, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retries = append(w.retries, fmt.Sprintf("%s: %v", f.Path, err))
}

func (w *watcher) End(f hub.File, how hub.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[f.Path] = how
}

var companionsOfUsual = []string{
	"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
}
