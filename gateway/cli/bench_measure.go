package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/graft-gateway/graft/gateway/bench"
	"github.com/graft-gateway/graft/models/demo"
	"github.com/graft-gateway/graft/models/onnx"
)

// benchMeasure is the command that measures.
type benchMeasure struct {
	Quick   bool     `help:"End within 45 seconds, with fewer cells and coarser figures."`
	JSON    bool     `help:"Write the report as JSON in place of tables; graft bench plot draws it." name:"json"`
	Out     string   `help:"Write the report as JSON to this file as well." placeholder:"FILE"`
	SVG     string   `help:"Draw the report as SVG files in this folder." placeholder:"DIR" name:"svg"`
	Only    []string `help:"Measure these sections alone: simulated, in-process, server, first-token, models, overhead." placeholder:"SECTION,…"`
	Redis   string   `help:"Redis to share prefixes over; without it a redis-server is started for the time." placeholder:"URL"`
	Library string   `help:"ONNX Runtime library, before every other place it is searched in." placeholder:"FILE" name:"onnxruntime"`

	Target    string `help:"Measure your own gateway: its URL, such as http://127.0.0.1:8080/v1." placeholder:"URL" group:"Your own servers"`
	Model     string `help:"The gateway's route." placeholder:"NAME" group:"Your own servers"`
	TargetKey string `help:"Variable that holds the key of a client of the gateway." placeholder:"VARIABLE" name:"target-key-env" group:"Your own servers"`
	BaseURL   string `help:"The server that the route's base is behind, such as http://127.0.0.1:8000/v1." placeholder:"URL" name:"base" group:"Your own servers"`
	BaseModel string `help:"The base's name there." placeholder:"NAME" group:"Your own servers"`
	BaseKey   string `help:"Variable that holds the key for the base's server." placeholder:"VARIABLE" name:"base-key-env" group:"Your own servers"`
}

// Help is what `graft bench --help` says below its first line.
func (*benchMeasure) Help() string {
	return `Starts all that it measures itself: the embedded family in process, behind another Graft, behind
llama-server where "make e2e-engines" has installed one, and behind a simulated large base. Ratios are
of equal work in one run: gateway and plain base are asked the same questions for the same number of
tokens, in turns. Run it on a machine that is otherwise idle. Interrupted, it tells what it has measured.

With --target, --model and --base it measures your own gateway and its base in place of all that:

  graft bench --target http://127.0.0.1:8080/v1 --model llama70b-chat \
    --base http://vllm:8000/v1 --base-model meta-llama/Llama-3.1-70B`
}

// quickly is when a quick run is ended, however far it is: early enough for what cannot be
// broken off, such as loading a model, on a busy machine.
const quickly = 40 * time.Second

// Run measures, and fails if a section broke off. Interrupted, it tells what there is.
func (b *benchMeasure) Run(ctx context.Context, log *slog.Logger) (err error) {
	if err := b.check(); err != nil {
		return err
	}
	began, report, watch := time.Now(), bench.NewReport(b.Quick), bench.WatchMachine()
	report.Machine = bench.ReadMachine()
	if b.Quick {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, quickly)
		defer cancel()
	}
	env, sections, err := b.sections()
	if err != nil {
		return err
	}
	if env != nil {
		report.Machine.ONNXRuntime = env.Version()
		defer func() { err = errors.Join(err, env.Close()) }()
	}
	progress := newBenchProgress(os.Stderr)
	failed := bench.Measure(ctx, report, sections, progress)
	progress.close()
	if errors.Is(failed, context.DeadlineExceeded) && ctx.Err() == context.DeadlineExceeded {
		report.Note("time was up before all was measured; without --quick everything is")
		failed = nil
	}
	interrupted := errors.Is(failed, context.Canceled)
	if interrupted {
		report.Note("interrupted before all was measured; cells that were under way are left out")
	}
	report.Seconds = time.Since(began).Seconds()
	if b.Target == "" { // those servers are others, and at work
		report.Machine.Others = watch.Others()
	}
	if err := b.tell(report); err != nil {
		return err
	}
	if interrupted {
		return context.Canceled
	}
	if failed != nil {
		return errors.New("bench: some of it could not be measured, and says so above")
	}
	return nil
}

// check refuses flags that contradict each other.
func (b *benchMeasure) check() error {
	own := b.Target != "" || b.Model != "" || b.BaseURL != ""
	switch {
	case own && (b.Target == "" || b.Model == "" || b.BaseURL == ""):
		return errors.New("bench: --target, --model and --base belong together: a gateway, its route, and the server that its base is behind")
	case own && (len(b.Only) > 0 || b.Redis != ""):
		return errors.New("bench: --only and --redis are for what bench starts itself, and not for --target")
	case !own && (b.TargetKey != "" || b.BaseKey != "" || b.BaseModel != ""):
		return errors.New("bench: --target-key-env, --base-key-env and --base-model are for your own servers: name them with --target, --model and --base")
	}
	for _, name := range b.Only {
		if !slices.Contains(benchSections(), name) {
			return fmt.Errorf("bench: --only %s: no such section; there are %s", name, strings.Join(benchSections(), ", "))
		}
	}
	for flag, name := range map[string]string{"target-key-env": b.TargetKey, "base-key-env": b.BaseKey} {
		if err := checkVariable("--"+flag, name); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		if name != "" && os.Getenv(name) == "" {
			return fmt.Errorf("bench: --%s: the variable %s is empty or not set", flag, name)
		}
	}
	return nil
}

// tell writes the report to where it was asked for.
func (b *benchMeasure) tell(report *bench.Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	text = append(text, '\n')
	if b.Out != "" {
		if err := os.WriteFile(b.Out, text, 0o644); err != nil {
			return fmt.Errorf("bench: write the report: %w", err)
		}
	}
	if b.SVG != "" {
		if err := drawReport(b.SVG, report); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	if b.JSON {
		_, err = os.Stdout.Write(text)
	} else {
		err = bench.WriteTable(os.Stdout, report)
	}
	if err != nil {
		return fmt.Errorf("bench: write the report: %w", err)
	}
	return nil
}

// benchSections are the sections' names, in the order in which they are measured.
func benchSections() []string {
	return []string{"simulated", "in-process", "server", "first-token", "models", "overhead"}
}

// sections are those that were asked for; the runtime is nil where nothing is started.
func (b *benchMeasure) sections() (*onnx.Environment, []bench.Section, error) {
	questions, err := benchQuestions()
	if err != nil {
		return nil, nil, err
	}
	if b.Target != "" {
		return nil, []bench.Section{b.own(questions)}, nil
	}
	path, err := onnx.Locate(search(b.Library, Config{}))
	if err != nil {
		return nil, nil, err
	}
	env, err := onnx.Start(path)
	if err != nil {
		return nil, nil, err
	}
	// What is measured tells of itself by figures; only what goes wrong is logged.
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	all := b.started(stand{env, path, log}, questions)
	if len(b.Only) > 0 {
		all = slices.DeleteFunc(all, func(s bench.Section) bool { return !slices.Contains(b.Only, s.Name) })
	}
	return env, all, nil
}

// benchQuestions are what is asked: those of the embedded family whose entities fine-tuning
// did not see, in an order that does not depend on their kind.
func benchQuestions() ([]string, error) {
	all, err := demo.Questions()
	if err != nil {
		return nil, err
	}
	var questions []string
	for _, q := range all {
		if q.Split == "held-out" {
			questions = append(questions, q.Question)
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(questions), func(i, j int) { questions[i], questions[j] = questions[j], questions[i] })
	return questions, nil
}

// started are the sections over what the bench starts.
func (b *benchMeasure) started(s stand, questions []string) []bench.Section {
	within := func(seconds int) time.Duration {
		if !b.Quick {
			return 0
		}
		return time.Duration(seconds) * time.Second
	}
	prefixes := bench.Prefixes{
		Base: "in-process", Tokens: 1000, Rounds: 6, Each: 4, Settle: time.Second,
		Start: func(ctx context.Context) (bench.Replicas, string, error) { return s.replicas(ctx, b.Redis) },
	}
	if b.Quick {
		prefixes.Rounds, prefixes.Each, prefixes.Settle = 1, 5, 500*time.Millisecond
	}
	return []bench.Section{
		bench.Speed("simulated", "a simulated large base", []bench.Subject{
			b.simulated(s, "vllm", "list of prefixes"), b.simulated(s, "sglang", "one pass"),
		}, questions, within(22)),
		bench.Speed("in-process", "an embedded base in the same process", []bench.Subject{{
			Base: "in-process", Checking: "in process", Groups: bench.Groups(bench.InProcess, b.Quick),
			Start: func(ctx context.Context, lowered float64) (bench.Stand, error) {
				return s.inProcess(ctx, lower(lowered))
			},
		}}, questions, within(4)),
		bench.Speed("server", "the embedded base behind a real server", b.servers(s), questions, within(6)),
		bench.FirstTokens(prefixes, questions),
		b.models(s),
		b.overhead(s),
	}
}

// simulated is the simulated large base, asked in a dialect.
func (b *benchMeasure) simulated(s stand, dialect, checking string) bench.Subject {
	return bench.Subject{
		Base: "simulated", Checking: checking, Groups: bench.Groups(bench.Simulated, b.Quick),
		Start: func(ctx context.Context, lowered float64) (bench.Stand, error) {
			return s.behindSimulated(ctx, dialect, lower(lowered))
		},
	}
}

// servers are the real ones: another Graft always, and llama-server where there is one.
func (b *benchMeasure) servers(s stand) []bench.Subject {
	groups := bench.Groups(bench.Server, b.Quick)
	subjects := []bench.Subject{{
		Base: "graft", Checking: "list of prefixes", Groups: groups,
		Start: func(ctx context.Context, lowered float64) (bench.Stand, error) {
			return s.behindGraft(ctx, lower(lowered))
		},
	}}
	if found, ok := findLlamaServer(onnx.Roots()); ok {
		subjects = append(subjects, bench.Subject{
			Base: "llama-server", Checking: "list of prefixes", Groups: groups,
			Start: func(ctx context.Context, lowered float64) (bench.Stand, error) {
				return s.behindLlama(ctx, found, lower(lowered))
			},
		})
	}
	return subjects
}

// own is the section over somebody's own servers.
func (b *benchMeasure) own(questions []string) bench.Section {
	base := strings.TrimSuffix(b.BaseURL, "/")
	stand := bench.Stand{
		Plain:   bench.Target{URL: base, Model: cmp.Or(b.BaseModel, b.Model), Key: os.Getenv(b.BaseKey)},
		Proxied: bench.Target{URL: strings.TrimSuffix(b.Target, "/"), Model: b.Model, Key: os.Getenv(b.TargetKey)},
	}
	within := time.Duration(0)
	if b.Quick {
		within = quickly * 3 / 4
	}
	return bench.Speed("server", "your own gateway and its base", []bench.Subject{{
		Base: base, Groups: bench.Groups(bench.Server, b.Quick),
		Start: func(context.Context, float64) (bench.Stand, error) { return stand, nil },
	}}, questions, within)
}
