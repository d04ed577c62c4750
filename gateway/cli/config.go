package cli

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway"
	"github.com/graft-gateway/graft/models/onnx"
)

// Config is the configuration file. Unknown keys are errors.
type Config struct {
	// Listen is the address to serve on; empty is 127.0.0.1:8080.
	Listen string `yaml:"listen"`
	// KeysEnv names the environment variable that holds the clients' API keys,
	// separated by commas; empty is GRAFT_API_KEYS. Without keys in it everybody
	// may call.
	KeysEnv     string               `yaml:"keys_env"`
	ONNXRuntime ONNXRuntime          `yaml:"onnxruntime"`
	Limits      Limits               `yaml:"limits"`
	Bases       ordered[BaseModel]   `yaml:"bases"`
	Experts     ordered[ExpertPair]  `yaml:"experts"`
	Routes      ordered[RouteConfig] `yaml:"routes"`
	Cache       Cache                `yaml:"cache"`
}

// ONNXRuntime says where the library lies; empty searches for it.
type ONNXRuntime struct {
	Library string `yaml:"library"`
}

// Limits are those of the server; zero values are its defaults.
type Limits struct {
	Body     size          `yaml:"body"`
	Running  int           `yaml:"running"`
	Waiting  int           `yaml:"waiting"`
	Patience time.Duration `yaml:"patience"`
	Grace    time.Duration `yaml:"grace"`
}

// BaseModel is a base in process (a folder) or behind a server (a URL).
type BaseModel struct {
	Folder     string `yaml:"folder"` // a model folder, or embedded:NAME
	Runtime    `yaml:",inline"`
	BaseServer `yaml:",inline"`
	// TopLogprobs is k, the size of the base's rows. Of a server 0 is the most up to 100
	// that it gives and -1 the whole vocabulary. In process 0 is the whole vocabulary;
	// anything else shows what a server with that cap would make of it.
	TopLogprobs int `yaml:"top_logprobs"`
	// Named is how many of the tuned models' best tokens are asked for by name where
	// the k best do not list them and the server can; nil is 10 for rows of fewer than
	// 64 ids, 0 none.
	Named *int `yaml:"named"`
}

// ExpertPair is a tuned and an untuned small model, each a folder or embedded:NAME.
type ExpertPair struct {
	Tuned   string `yaml:"tuned"`
	Untuned string `yaml:"untuned"`
	Runtime `yaml:",inline"`
}

// Runtime says how a model runs; zero values are the runtime's defaults.
type Runtime struct {
	Provider onnx.Provider `yaml:"provider"` // auto, cuda, tensorrt or cpu; empty is auto
	Device   int           `yaml:"device"`   // which GPU
	Threads  int           `yaml:"threads"`
	Graph    string        `yaml:"graph"`   // file in the folder; empty is model.onnx or onnx/model.onnx
	Context  int           `yaml:"context"` // shortens the model's; 0 does not
	Exact    bool          `yaml:"exact"`   // rows do not depend on how tokens were grouped, to the last bit, at some cost
}

// RouteConfig is a model as clients see it.
type RouteConfig struct {
	Base    string           `yaml:"base"`
	Experts ordered[float64] `yaml:"experts"` // name → weight; the order is that of the pairs
	Bounds  Bounds           `yaml:"bounds"`
	Prompt  Prompt           `yaml:"prompt"`
	// Tail says how truncated rows of the base are completed: untuned (empty, too) or drop.
	Tail eft.Tail `yaml:"tail"`
	// Logprobs caps what a client may ask for; 0 is 20, -1 the whole vocabulary.
	Logprobs struct {
		Chat        int `yaml:"chat"`
		Completions int `yaml:"completions"`
	} `yaml:"logprobs"`
}

// Bounds are least and most of the knobs; absent ones are 0 … 2.
type Bounds struct {
	Strength *[2]float64 `yaml:"strength"`
	Experts  *[2]float64 `yaml:"experts"`
	Base     *[2]float64 `yaml:"base"`
}

// Prompt says what each role sees of a conversation: chat (the route's template,
// and the default), plain (the messages' text alone), or a template file.
type Prompt struct {
	Base    string `yaml:"base"`
	Tuned   string `yaml:"tuned"`
	Untuned string `yaml:"untuned"`
}

//go:embed demo.yaml
var demoConfig []byte

// loadConfig reads a file, or the embedded demonstration if path is empty. What is
// wrong in it is told with line and column. With an error of check comes what was read.
func loadConfig(path string) (Config, error) {
	data, name := demoConfig, "the built-in configuration"
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
		name = path
	}
	config := Config{}
	if err := checkShape(data); err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, excerpt(err))
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := decoder.Decode(&config); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("%s: %w", name, excerpt(err))
	}
	if config.Listen == "" {
		config.Listen = "127.0.0.1:8080"
	}
	if config.KeysEnv == "" {
		config.KeysEnv = "GRAFT_API_KEYS"
	}
	if err := config.check(); err != nil {
		return config, fmt.Errorf("%s: %w", name, err)
	}
	return config, nil
}

// check finds what the grammar cannot: names that lead nowhere, numbers that mean
// nothing.
func (c *Config) check() error {
	if len(c.Routes.names) == 0 {
		return errors.New("routes: there are none; a route is what clients call as a model")
	}
	if err := checkVariable("keys_env", c.KeysEnv); err != nil {
		return err
	}
	if l := c.Limits; l.Body < 0 || l.Running < 0 || l.Waiting < 0 || l.Patience < 0 || l.Grace < 0 {
		return errors.New("limits: none may be negative")
	}
	for _, name := range c.Bases.names {
		if err := c.Bases.values[name].check(); err != nil {
			return fmt.Errorf("bases.%s: %w", name, err)
		}
	}
	if err := c.Cache.check(); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	for _, name := range c.Experts.names {
		e := c.Experts.values[name]
		if e.Tuned == "" || e.Untuned == "" {
			return fmt.Errorf("experts.%s: needs tuned and untuned, each a model folder or embedded:NAME", name)
		}
		if err := e.Runtime.check(); err != nil {
			return fmt.Errorf("experts.%s: %w", name, err)
		}
	}
	for _, name := range c.Routes.names {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("routes: the name %q is empty or holds what cannot be printed", name)
		}
		if err := c.checkRoute(c.Routes.values[name]); err != nil {
			return fmt.Errorf("routes.%s: %w", name, err)
		}
		if slices.Contains([]byte(name), '@') {
			return fmt.Errorf("routes.%s: a name cannot hold '@', which separates a strength", name)
		}
	}
	return nil
}

func (c *Config) checkRoute(r RouteConfig) error {
	if _, ok := c.Bases.values[r.Base]; !ok {
		return fmt.Errorf("base %q is not among bases: %v", r.Base, c.Bases.names)
	}
	if err := (eft.Mix{Tail: r.Tail}).Validate(); err != nil {
		return err
	}
	if c.Bases.values[r.Base].remote() && len(r.Experts.names) == 0 {
		return r.checkPassThrough()
	}
	if l := r.Logprobs; l.Chat < -1 || l.Completions < -1 {
		return errors.New("logprobs: chat and completions must each be -1 (the whole vocabulary), 0 (20) or more")
	}
	bounds := r.Bounds.orDefault()
	for knob, b := range map[string][2]float64{"strength": bounds.Strength, "experts": bounds.Weight, "base": bounds.Base} {
		if !(b[0] >= 0 && b[0] <= b[1] && b[1] <= math.MaxFloat64) {
			return fmt.Errorf("bounds.%s: [%v, %v] must be two finite numbers, 0 or more, the smaller first", knob, b[0], b[1])
		}
	}
	for _, name := range r.Experts.names {
		if _, ok := c.Experts.values[name]; !ok {
			return fmt.Errorf("expert %q is not among experts: %v", name, c.Experts.names)
		}
		if w := r.Experts.values[name]; !(w >= bounds.Weight[0] && w <= bounds.Weight[1]) {
			return fmt.Errorf("experts.%s: weight %v is out of the route's bounds %v … %v", name, w, bounds.Weight[0], bounds.Weight[1])
		}
	}
	return nil
}

// checkPassThrough finds what means nothing on a route whose requests go to the base's
// server as they are.
func (r RouteConfig) checkPassThrough() error {
	for _, has := range []struct {
		key string
		set bool
	}{{"bounds", r.Bounds != (Bounds{})}, {"prompt", r.Prompt != (Prompt{})}, {"tail", r.Tail != ""}, {"logprobs", r.Logprobs.Chat != 0 || r.Logprobs.Completions != 0}} {
		if has.set {
			return fmt.Errorf("%s means nothing here: the route has no experts, and what its base's server answers is passed on as it is; leave it out, or add experts", has.key)
		}
	}
	return nil
}

// check finds what no model can be run with.
func (r Runtime) check() error {
	switch {
	case r.Context < 0 || r.Context == 1:
		return fmt.Errorf("context %d: must be 2 tokens or more; 0 is the model's own", r.Context)
	case r.Device < 0 || r.Threads < 0:
		return fmt.Errorf("device %d, threads %d: neither can be negative", r.Device, r.Threads)
	case !slices.Contains([]onnx.Provider{"", "auto", "cuda", "tensorrt", "cpu"}, r.Provider):
		return fmt.Errorf("provider %q is unknown: use auto, cuda, tensorrt or cpu", r.Provider)
	}
	return nil
}

// checkVariable refuses what is no name of a variable, unseen: it may be the secret.
func checkVariable(key, name string) error {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return fmt.Errorf("%s wants the name of an environment variable (letters, digits and _), and not what is in it", key)
		}
	}
	return nil
}

func (b Bounds) orDefault() gateway.Bounds {
	out := gateway.DefaultBounds()
	for _, x := range []struct{ dst, src *[2]float64 }{{&out.Strength, b.Strength}, {&out.Weight, b.Experts}, {&out.Base, b.Base}} {
		if x.src != nil {
			*x.dst = *x.src
		}
	}
	return out
}

// ordered is a map that keeps the order of the file.
type ordered[T any] struct {
	names  []string
	values map[string]T
}

func (ordered[T]) entry() reflect.Type { return reflect.TypeFor[T]() }

// UnmarshalYAML decodes the entries as strictly as the file.
func (o *ordered[T]) UnmarshalYAML(decode func(any) error) error {
	var order yaml.MapSlice
	if err := decode(&order); err != nil {
		return err
	}
	for _, item := range order {
		o.names = append(o.names, fmt.Sprint(item.Key))
	}
	return decode(&o.values)
}

// size is a number of bytes, written as 4MiB.
type size int64

// UnmarshalYAML reads a number with a unit.
func (s *size) UnmarshalYAML(decode func(any) error) error {
	var text string
	if err := decode(&text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return fmt.Errorf("%q is no size; write it as 4MiB", text)
	}
	*s = size(n)
	return nil
}
