package synthetic

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The files that Write makes. The graph names the second one itself.
const (
	File       = "model.onnx"
	dataFile   = "model.onnx_data"
	configFile = "config.json"
)

// Layout is how a graph computes attention.
type Layout string

// The layouts. See the package's comment.
const (
	Grouped Layout = "grouped"
	Grown   Layout = "grown"
)

// Shape is how large a decoder is. All numbers must be positive.
type Shape struct {
	Layout     Layout
	Vocabulary int
	Width      int // of a token between layers
	Layers     int
	Heads      int // of queries; divides Width; each is a multiple of 16 wide, as GroupQueryAttention wants it
	KeyHeads   int // of keys and values; divides Heads
	Hidden     int // width inside the MLP
	Context    int // tokens that positions are known for
	Seed       uint64
}

// bytesPerNumber is the size of a weight: all are float32.
const bytesPerNumber = 4

// Sized is a decoder of which a step reads at least so many bytes of weights, and one
// layer more at most. Its width is that of models with some hundred million parameters.
func Sized(bytes int64, layout Layout) Shape {
	s := Shape{
		Layout: layout, Vocabulary: 8192, Width: 768, Layers: 1,
		Heads: 12, KeyHeads: 4, Hidden: 2048, Context: 2048, Seed: 1,
	}
	least := s.StepBytes()
	s.Layers = 2
	layer := s.StepBytes() - least
	s.Layers = 1
	if bytes > least {
		s.Layers += int((bytes - least + layer - 1) / layer)
	}
	return s
}

// head is the width of one head.
func (s Shape) head() int { return s.Width / s.Heads }

// keyWidth is the width of all heads of keys.
func (s Shape) keyWidth() int { return s.KeyHeads * s.head() }

// StepBytes is how many bytes of weights a step reads, whatever its batch: all but the
// embedding, of which it reads a row a token.
func (s Shape) StepBytes() int64 {
	width, hidden := int64(s.Width), int64(s.Hidden)
	layer := 2*width + 2*width*width + 2*width*int64(s.keyWidth()) + 3*width*hidden
	return bytesPerNumber * (int64(s.Layers)*layer + width + width*int64(s.Vocabulary))
}

// TokenBytes is how many bytes of keys and values a token has, all layers together: what
// a step reads for each token before it.
func (s Shape) TokenBytes() int64 {
	return bytesPerNumber * 2 * int64(s.Layers) * int64(s.keyWidth())
}

// check refuses shapes that no decoder has.
func (s Shape) check() error {
	for _, n := range []struct {
		name  string
		value int
	}{
		{"Vocabulary", s.Vocabulary}, {"Width", s.Width}, {"Layers", s.Layers}, {"Heads", s.Heads},
		{"KeyHeads", s.KeyHeads}, {"Hidden", s.Hidden}, {"Context", s.Context},
	} {
		if n.value <= 0 {
			return fmt.Errorf("synthetic: %s is %d: it must be positive", n.name, n.value)
		}
	}
	switch {
	case s.Layout != Grouped && s.Layout != Grown:
		return fmt.Errorf("synthetic: the layout %q is not known: it is %q or %q", s.Layout, Grouped, Grown)
	case s.Width%s.Heads != 0 || s.head()%16 != 0:
		return fmt.Errorf("synthetic: a width of %d does not make %d heads that are a multiple of 16 wide", s.Width, s.Heads)
	case s.Heads%s.KeyHeads != 0:
		return fmt.Errorf("synthetic: %d heads of keys cannot serve %d of queries: the first must divide the second", s.KeyHeads, s.Heads)
	}
	return nil
}

// Write writes the decoder into a folder that is there. What it has written of one that
// fails is the caller's to remove, with the folder.
func (s Shape) Write(folder string) error {
	if err := s.check(); err != nil {
		return err
	}
	weights, err := newWeights(filepath.Join(folder, dataFile), s.Seed)
	if err != nil {
		return err
	}
	model, err := s.build(weights)
	if err := weights.close(err); err != nil {
		return fmt.Errorf("synthetic: write %s: %w", folder, err)
	}
	if err := os.WriteFile(filepath.Join(folder, File), model, 0o644); err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, configFile), config, 0o644)
}

// config is the model's config.json, as transformers writes a Llama's.
func (s Shape) config() ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"architectures":           []string{"LlamaForCausalLM"},
		"model_type":              "llama",
		"vocab_size":              s.Vocabulary,
		"hidden_size":             s.Width,
		"num_hidden_layers":       s.Layers,
		"num_attention_heads":     s.Heads,
		"num_key_value_heads":     s.KeyHeads,
		"head_dim":                s.head(),
		"intermediate_size":       s.Hidden,
		"max_position_embeddings": s.Context,
		"hidden_act":              "silu",
		"rms_norm_eps":            epsilon,
		"rope_parameters":         map[string]any{"rope_type": "default", "rope_theta": theta},
		"tie_word_embeddings":     false,
		"dtype":                   "float32",
	}, "", "  ")
}
