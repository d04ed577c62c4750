package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/models/prefix"
)

// keeping is what prepares a model's prompts to be kept. Its zero value is none.
type keeping struct {
	cancel context.CancelFunc
	ready  chan struct{} // closed when it has ended
}

// end waits until the preparation has ended.
func (k *keeping) end() {
	if k.cancel != nil {
		k.cancel()
		<-k.ready
	}
}

// KeepPrompts has the cache keep the prompts of texts that [Model.OpenFor] opens. First
// the model's files are read and the model is measured, in the background: until ready
// is closed, all is computed. It is called once.
func (m *Model) KeepPrompts(cache *prefix.Cache, log *slog.Logger) (ready <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	m.keeping = keeping{cancel, make(chan struct{})}
	go func() {
		defer close(m.keeping.ready)
		if err := m.keepPrompts(ctx, cache); err != nil && ctx.Err() == nil {
			log.Warn("prompts are not kept", "model", m.name, "error", err)
		}
	}()
	return m.keeping.ready
}

func (m *Model) keepPrompts(ctx context.Context, cache *prefix.Cache) error {
	weights, err := m.folder.contents(ctx, m.graph)
	if err != nil {
		return err
	}
	prompts := cache.Model(prefix.Identity{
		Name: m.name, Weights: weights, Vocabulary: m.Vocabulary().Fingerprint(), Layout: m.session.LayoutFingerprint(),
		Context: m.Context(), TokenBytes: m.session.TokenBytes(),
	})
	if err := cache.Alone(ctx, func() error { return m.measure(ctx, prompts) }); err != nil {
		prompts.Close()
		return err
	}
	m.prompts.Store(prompts)
	prompts.Try()
	return nil
}

// PromptsKept tells of the prompts that are kept; false if none are, or not yet.
func (m *Model) PromptsKept() (prefix.Stats, bool) {
	prompts := m.prompts.Load()
	if prompts == nil {
		return prefix.Stats{}, false
	}
	return prompts.Stats(), true
}

// Check verifies the books of the model's caches, and of the prompts that it keeps; an
// error is a defect. It may be called at any time.
func (m *Model) Check() error {
	err := m.session.Check()
	if prompts := m.prompts.Load(); err == nil && prompts != nil {
		err = prompts.Check()
	}
	return err
}

// A model is measured with prompts of so many tokens, so many times.
const (
	measuredTokens = 128
	measuredTimes  = 4
)

// measure finds out what computing a prompt costs and what importing it does: the
// quickest of a few, since requests may be served meanwhile.
func (m *Model) measure(ctx context.Context, prompts *prefix.Model) error {
	tokens := make([]eft.Token, min(measuredTokens, m.Context()))
	text := m.trial()
	for i := range tokens {
		if len(text) > 0 {
			tokens[i] = text[i%len(text)]
		}
	}
	var compute, bring time.Duration
	for i := range measuredTimes {
		c, b, err := m.measureOnce(ctx, tokens)
		if err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		if i == 0 || c < compute {
			compute = c
		}
		if i == 0 || b < bring {
			bring = b
		}
	}
	prompts.Measured(compute, bring, len(tokens))
	return nil
}

func (m *Model) measureOnce(ctx context.Context, tokens []eft.Token) (compute, bring time.Duration, err error) {
	from, err := m.session.Open(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := m.session.Open(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	began := time.Now()
	if _, err := from.Extend(ctx, tokens, 1); err != nil {
		return 0, 0, err
	}
	compute = time.Since(began)
	block, err := from.Export(ctx, 0, len(tokens), nil)
	if err != nil {
		return 0, 0, err
	}
	began = time.Now()
	err = to.Import(ctx, len(tokens), block)
	return compute, time.Since(began), err
}

var _ prefix.Sequence = (*onnx.Sequence)(nil)

// others are files that lie in model folders and are no part of what ONNX Runtime reads
// for a graph.
var others = []string{".safetensors", ".gguf", ".h5", ".msgpack", ".onnx"}

// contents is the hexadecimal SHA-256 over the names and contents of the folder's files
// that rows can depend on: the graph, and all that are not plainly for something else,
// since weights may lie in files of any name. Unlike [Folder.Fingerprint] it reads them
// whole, for replicas must agree on it.
func (f Folder) contents(ctx context.Context, graph string) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(f.files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if name != graph && slices.Contains(others, path.Ext(name)) {
			return nil
		}
		info, err := fs.Stat(f.files, name)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		fmt.Fprintf(sum, "%q %d\n", name, info.Size())
		file, err := f.files.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(sum, reading{ctx, file})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("model folder %s: %w", f.name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// reading is a file that can be read until ctx ends.
type reading struct {
	ctx  context.Context
	file io.Reader
}

func (r reading) Read(into []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.file.Read(into)
}
