package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/graft-gateway/graft/gateway"
	"github.com/graft-gateway/graft/models/onnx"
)

// serve is the command that answers requests.
type serve struct {
	Config  string        `help:"Configuration file; without one the embedded family is served." placeholder:"FILE"`
	Listen  string        `help:"Address to serve on, in place of the configuration's; port 0 takes a free one." placeholder:"ADDR"`
	Library string        `help:"ONNX Runtime library, before every other place it is searched in." placeholder:"FILE" name:"onnxruntime"`
	Books   time.Duration `help:"Verify every so often that what models hold adds up, and log an error where it does not; 0 never does." placeholder:"DURATION" name:"check-books"`
}

// Run serves until ctx is done.
func (s *serve) Run(ctx context.Context, log *slog.Logger) (err error) {
	config, err := loadConfig(s.Config)
	if err != nil {
		return err
	}
	if s.Listen != "" {
		config.Listen = s.Listen
	}
	listener, err := listen(config.Listen)
	if err != nil {
		return err
	}
	defer listener.Close() // again after Serve did it, for the ways out before
	began := time.Now()
	env, err := s.runtime(config)
	if err != nil {
		return err
	}
	wiring := newWiring(env, filepath.Dir(s.Config), log)
	defer func() { err = errors.Join(err, wiring.close(), env.Close()) }()
	routes, err := wiring.routes(ctx, config)
	if err != nil {
		return err
	}
	tellProviders(log, wiring, env.Providers())
	tellNotes(log, wiring, routes)
	tellServers(log, wiring)
	tellPassThrough(log, routes)
	wiring.rows.check(ctx, log)
	if wiring.rows == nil { // which has the same Redis
		wiring.prompts.check(ctx, log)
	}
	server := gateway.New(gateway.Config{
		Routes: routes, Keys: keys(config.KeysEnv), Log: log, Metrics: registry(env, wiring),
		Limits: gateway.Limits{
			Body: int64(config.Limits.Body), Running: config.Limits.Running, Waiting: config.Limits.Waiting,
			Patience: config.Limits.Patience, Grace: config.Limits.Grace,
		},
	})
	log.Info("listening", "addr", listener.Addr().String(), "routes", len(routes), "models", len(wiring.order),
		"onnxruntime", env.Version(), "provider", providers(wiring), "seconds", time.Since(began).Seconds())
	if s.Books > 0 {
		checking, stop := context.WithCancel(ctx)
		var checks sync.WaitGroup
		checks.Go(func() { wiring.checkBooks(checking, s.Books, log) })
		defer func() { stop(); checks.Wait() }() // before what is checked is closed
	}
	return server.Serve(ctx, listener)
}

// providers sums up what computes the models.
func providers(w *wiring) string {
	var seen []string
	for _, m := range w.order {
		if p, _ := m.Provider(); !slices.Contains(seen, string(p)) {
			seen = append(seen, string(p))
		}
	}
	return strings.Join(seen, ",")
}

// tellNotes warns of what hinders no model and may surprise whoever calls it.
func tellNotes(log *slog.Logger, w *wiring, routes []*gateway.Route) {
	for _, m := range w.order {
		for _, note := range m.Notes() {
			log.Warn("about a model", "model", m.Name(), "note", note)
		}
	}
	for _, r := range routes {
		if len(r.Ends) == 0 && r.Upstream == nil {
			log.Warn("no end token: texts go on to the most tokens that are asked for; name one as eos_token_id in generation_config.json", "route", r.Name)
		}
	}
}

// tellServers says what was found of the base servers.
func tellServers(log *slog.Logger, w *wiring) {
	for _, s := range w.bases() {
		c := s.base.Caps()
		log.Info("base server", "base", s.name, "dialect", c.Dialect, "version", c.Version, "model", c.Model, "context", s.context(),
			"top_logprobs", c.TopLogprobs, "dense", c.Dense, "named", s.base.Names())
		for _, note := range c.Notes {
			log.Warn("about a base server", "base", s.name, "note", note)
		}
	}
}

// tellPassThrough says which routes pass requests on; nothing was asked of their servers.
func tellPassThrough(log *slog.Logger, routes []*gateway.Route) {
	for _, r := range routes {
		if r.Upstream != nil {
			log.Info("requests are passed on", "route", r.Name, "base", r.BaseName, "model", r.UpstreamModel)
		}
	}
}

// tellProviders warns of models that run on the CPU although the library could use a
// GPU, once for each reason.
func tellProviders(log *slog.Logger, w *wiring, available []string) {
	if !slices.Contains(available, "CUDAExecutionProvider") {
		return
	}
	var notes []string
	models := map[string][]string{}
	for _, m := range w.order {
		if _, note := m.Provider(); note != "" {
			if models[note] == nil {
				notes = append(notes, note)
			}
			models[note] = append(models[note], m.Name())
		}
	}
	for _, note := range notes {
		log.Warn("not on the GPU", "models", models[note], "why", note)
	}
}

// listen takes the address, and says what to do where that cannot be had.
func listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop it, or choose another address with --listen (port 0 takes a free one)", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s may not be used by this user: choose a port above 1023 with --listen", addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %q, want HOST:PORT such as 127.0.0.1:8080: %w", addr, err)
	}
	return listener, nil
}

// runtime finds and starts ONNX Runtime.
func (s *serve) runtime(config Config) (*onnx.Environment, error) {
	path, err := onnx.Locate(search(s.Library, config))
	if err != nil {
		return nil, err
	}
	return onnx.Start(path)
}

// search says where ONNX Runtime is looked for.
func search(flag string, config Config) onnx.Search {
	return onnx.Search{
		Flag: flag, Environment: os.Getenv(onnx.LibraryVariable), Configured: config.ONNXRuntime.Library,
		Folders: onnx.CacheFolders(onnx.Roots()...),
	}
}

// keys reads the clients' keys.
func keys(variable string) []string {
	var keys []string
	for key := range strings.SplitSeq(os.Getenv(variable), ",") {
		if key = strings.TrimSpace(key); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}
