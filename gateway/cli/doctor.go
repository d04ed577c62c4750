package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/graft-gateway/graft/gateway/doctor"
	"github.com/graft-gateway/graft/models/onnx"
)

// diagnose is the command that says whether serving would work.
type diagnose struct {
	Folders  []string      `arg:"" optional:"" name:"folder" help:"Model folders to examine alone, in place of what is served." placeholder:"FOLDER"`
	Config   string        `help:"Configuration file; without one, and without folders, the embedded family is examined." placeholder:"FILE"`
	JSON     bool          `help:"Write the report as JSON."`
	Library  string        `help:"ONNX Runtime library, before every other place it is searched in." placeholder:"FILE" name:"onnxruntime"`
	Probe    time.Duration `help:"How long a model is measured; 0 does not run it." default:"1s" placeholder:"TIME"`
	Graph    string        `help:"Graph in the folders, in place of model.onnx: onnx/model_q4.onnx." placeholder:"FILE"`
	Provider onnx.Provider `help:"What computes the folders' models: auto, cuda, tensorrt or cpu." placeholder:"NAME" enum:"auto,cuda,tensorrt,cpu," default:""`
	Context  int           `help:"Context of the folders' models: shortens theirs, or says it where a folder does not." placeholder:"TOKENS"`
}

// Help is what `graft doctor --help` says below its first line.
func (*diagnose) Help() string {
	return `Examines the library, the machine, every model and every route that "graft serve" would
serve, or model folders alone. It runs the models, and goes on when something is broken:

  broken   serving would fail with this; the exit status is 1
  warning  it works, but probably not as you wish
  remark   good to know

The fix stands below each.`
}

// Run writes a report and fails if something in it is broken.
func (c *diagnose) Run(ctx context.Context, log *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	progress := io.Discard
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		progress = os.Stderr
	}
	e := &examination{probe: c.Probe, dir: filepath.Dir(c.Config), progress: progress, log: log, free: func() int64 { return doctor.ReadMachine().Free }}
	err := c.examine(ctx, e)
	fmt.Fprint(progress, "\r\x1b[K")
	if err != nil {
		return err
	}
	e.report.Judge()
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(e.report)
	} else {
		err = doctor.WriteTable(os.Stdout, &e.report)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if e.report.Verdict == doctor.Broken {
		return errors.New("doctor: " + e.report.Summary())
	}
	return nil
}

// check refuses flags that contradict each other.
func (c *diagnose) check() error {
	own := c.Graph != "" || c.Provider != "" || c.Context != 0
	switch {
	case len(c.Folders) > 0 && c.Config != "":
		return errors.New("doctor: name either folders or a configuration")
	case len(c.Folders) == 0 && own:
		return errors.New("doctor: --graph, --provider and --context are for folders; a configuration says graph, provider and context itself")
	case c.Context < 0 || c.Probe < 0:
		return errors.New("doctor: --context and --probe cannot be negative")
	}
	return nil
}

// examine gathers the facts of everything.
func (c *diagnose) examine(ctx context.Context, e *examination) (err error) {
	var config Config
	if len(c.Folders) > 0 {
		e.report.Configuration.Source = "folders"
		e.dir = ""
	} else {
		config = e.configuration(c.Config)
	}
	e.runtime(search(c.Library, config))
	if e.env != nil {
		defer func() { err = errors.Join(err, e.env.Close()) }()
	}
	e.report.Machine = doctor.ReadMachine()
	e.report.Models, e.report.Servers, e.report.Routes = []doctor.Model{}, []doctor.Server{}, []doctor.Route{}
	if len(c.Folders) > 0 {
		run := Runtime{Provider: c.Provider, Graph: c.Graph, Context: c.Context}
		if err := e.models(ctx, folderUses(c.Folders, run)); err != nil {
			return err
		}
		e.compare()
		return nil
	}
	if err := e.models(ctx, configUses(config)); err != nil {
		return err
	}
	if err := e.servers(ctx, config); err != nil {
		return err
	}
	return e.routes(ctx, config)
}

// configuration loads the file and tells what is wrong with it. What could be read is
// returned.
func (e *examination) configuration(path string) Config {
	c := &e.report.Configuration
	c.Source = cmp.Or(path, "built-in")
	config, err := loadConfig(path)
	if err != nil {
		cause := doctor.Refused
		if errors.Is(err, os.ErrNotExist) {
			cause = doctor.Missing
		}
		c.Faults = append(c.Faults, doctor.Fault{Part: "configuration", Cause: cause, File: path, Problem: err.Error()})
	}
	c.Listen, c.KeysEnv = config.Listen, config.KeysEnv
	if c.Listen == "" {
		return config
	}
	c.Keys = len(keys(config.KeysEnv))
	host, _, err := net.SplitHostPort(config.Listen)
	if err != nil {
		c.Faults = append(c.Faults, doctor.Fault{Part: "listen", Cause: doctor.Refused,
			Problem: fmt.Sprintf("cannot listen on %q, want HOST:PORT such as 127.0.0.1:8080: %v", config.Listen, err)})
		return config
	}
	ip, err := netip.ParseAddr(host)
	c.Open = host != "localhost" && (err != nil || !ip.IsLoopback())
	c.Unused = unused(config)
	return config
}

// unused are the bases and experts that no route has.
func unused(c Config) []string {
	used := map[string]bool{}
	for _, route := range c.Routes.values {
		used["bases."+route.Base] = true
		for _, expert := range route.Experts.names {
			used["experts."+expert] = true
		}
	}
	var names []string
	for _, name := range c.Bases.names {
		if !used["bases."+name] {
			names = append(names, "bases."+name)
		}
	}
	for _, name := range c.Experts.names {
		if !used["experts."+name] {
			names = append(names, "experts."+name)
		}
	}
	return names
}

// runtime finds ONNX Runtime and starts it. Without it e.env stays nil.
func (e *examination) runtime(s onnx.Search) {
	r := &e.report.Runtime
	r.Providers = []string{}
	for _, named := range []struct{ path, by string }{
		{s.Configured, "the configuration"}, {s.Environment, onnx.LibraryVariable}, {s.Flag, "--onnxruntime"},
	} {
		if named.path != "" {
			r.NamedBy, r.Searched = named.by, []string{named.path}
		}
	}
	if r.NamedBy == "" {
		system := s.System
		if system == nil {
			system = onnx.SystemFolders()
		}
		for _, folder := range slices.Concat(s.Folders, system) {
			if folder != "" {
				r.Searched = append(r.Searched, folder)
			}
		}
	}
	path, err := onnx.Locate(s)
	if err != nil {
		r.Faults = append(r.Faults, doctor.Fault{Part: "library", Cause: doctor.Missing, Problem: err.Error()})
		return
	}
	r.Library = path
	env, err := onnx.Start(path)
	if err != nil {
		r.Faults = append(r.Faults, doctor.Fault{Part: "library", Cause: doctor.Refused, File: path, Problem: err.Error()})
		return
	}
	e.env = env
	r.Version, r.Providers = env.Version(), env.Providers()
}
