package cli

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/bench"
	"github.com/graft-gateway/graft/models/onnx"
)

func TestBenchRefusesWhatCannotBeMeant(t *testing.T) {
	t.Setenv("EMPTY", "")
	for says, b := range map[string]benchMeasure{
		"belong together":        {Target: "http://a/v1", Model: "m"},
		"--only and --redis":     {Target: "http://a/v1", Model: "m", BaseURL: "http://b/v1", Only: []string{"models"}},
		"for your own servers":   {BaseModel: "m"},
		"no such section":        {Only: []string{"simulated", "model"}},
		"simulated, in-process":  {Only: []string{"nothing"}},
		"name of an environment": {Target: "http://a/v1", Model: "m", BaseURL: "http://b/v1", TargetKey: "sk-secret"},
		"is empty or not set":    {Target: "http://a/v1", Model: "m", BaseURL: "http://b/v1", BaseKey: "EMPTY"},
	} {
		err := b.Run(t.Context(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "sk-secret") {
			t.Errorf("%+v: error %v, want %q", b, err, says)
		}
	}
}

// Minutes of measuring are not lost with the last of them.
func TestAnInterruptedBenchTellsWhatItHas(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { interrupt() }))
	defer server.Close()
	out := filepath.Join(t.TempDir(), "report.json")
	b := benchMeasure{Target: server.URL + "/v1", Model: "m", BaseURL: server.URL + "/v1", Out: out}
	if err := b.Run(ctx, slog.New(slog.DiscardHandler)); err != context.Canceled {
		t.Errorf("error %v, want %v alone, which gives 130", err, context.Canceled)
	}
	text, err := os.ReadFile(out)
	var report bench.Report
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "interrupted") {
		t.Errorf("report %s, error %v", text, err)
	}
}

func TestSectionsAreNamedAsOnlyTakesThem(t *testing.T) {
	var names []string
	for _, s := range (&benchMeasure{Quick: true}).started(stand{}, []string{"?"}) {
		names = append(names, s.Name)
	}
	if got, want := strings.Join(names, ", "), strings.Join(benchSections(), ", "); got != want {
		t.Errorf("%s are measured, and --only takes %s", got, want)
	}
}

// Guesses that were right with ownAgreement are right with the lowered one afterwards.
func TestGuessesAreSpoiltAsOftenAsIsWanted(t *testing.T) {
	if lower(0) != nil {
		t.Error("guesses are spoilt although nobody wants it")
	}
	for _, want := range []float64{.75, .5, .1} {
		spoil, kept := lower(want), 0
		const guesses = 20_000
		for i := range guesses {
			guess := eft.Token(i % 3)
			got := spoil(i, guess)
			if got == guess {
				kept++
			}
			if got < 0 || got > 3 {
				t.Fatalf("token %d became %d", guess, got)
			}
		}
		// Three standard deviations of a share of so many.
		if got := ownAgreement * float64(kept) / guesses; math.Abs(got-want) > 3*.5/math.Sqrt(guesses) {
			t.Errorf("agreement %.3f, want %g", got, want)
		}
	}
}

func TestQuestionsAreAsked(t *testing.T) {
	questions, err := benchQuestions()
	if err != nil || len(questions) < 100 {
		t.Fatalf("%d questions, %v", len(questions), err)
	}
	again, _ := benchQuestions()
	if questions[0] != again[0] || questions[len(questions)-1] != again[len(again)-1] {
		t.Error("the order is another one each time")
	}
}

func TestLlamaServerIsFoundWhereItIsInstalled(t *testing.T) {
	root := t.TempDir()
	if _, ok := findLlamaServer([]string{root}); ok {
		t.Error("found where there is none")
	}
	folder := filepath.Join(root, ".cache", "engines", "llamacpp")
	for _, name := range []string{"bin/llama-server", "base.gguf"} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if found, ok := findLlamaServer([]string{t.TempDir(), root}); !ok || found.model != filepath.Join(folder, "base.gguf") {
		t.Errorf("%+v, %t", found, ok)
	}
}

func TestProgramsSayThatTheyAreReady(t *testing.T) {
	said := "loading\nlistening on http://127.0.0.1:4711\nmore\n"
	if url, err := awaitLine(t.Context(), strings.NewReader(said), listening); err != nil || url != "http://127.0.0.1:4711" {
		t.Errorf("%q, %v", url, err)
	}
	if _, err := awaitLine(t.Context(), strings.NewReader("no port\n"), regexp.MustCompile("(ready)")); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("%v", err)
	}
}

// few is what is asked for here of every kind of base.
func few() []bench.Group {
	return []bench.Group{{Concurrency: 2, Questions: 1, Rounds: 1, Length: 6, Arms: []bench.Arm{{Drafter: "off", Strength: 1}, {Drafter: "auto", Strength: 1}}}}
}

func TestWhatIsMeasuredCanBeStarted(t *testing.T) {
	s := stand{env: env, log: slog.New(slog.DiscardHandler)}
	subjects := []bench.Subject{
		{Base: "in-process", Start: func(ctx context.Context, _ float64) (bench.Stand, error) { return s.inProcess(ctx, nil) }},
		{Base: "graft", Start: func(ctx context.Context, _ float64) (bench.Stand, error) { return s.behindGraft(ctx, lower(.5)) }},
		{Base: "vllm", Start: func(ctx context.Context, _ float64) (bench.Stand, error) { return s.behindSimulated(ctx, "vllm", nil) }},
		{Base: "sglang", Start: func(ctx context.Context, _ float64) (bench.Stand, error) {
			return s.behindSimulated(ctx, "sglang", nil)
		}},
	}
	for i := range subjects {
		subjects[i].Groups = few()
	}
	report := bench.NewReport(true)
	section := bench.Speed("s", "", subjects, []string{"Where does the town Nelola lie?", "What is the town Dunwyn known for?"}, 0)
	if err := section.Measure(t.Context(), report, &benchLines{out: &strings.Builder{}, told: map[string]bool{}}); err != nil {
		t.Fatal(err)
	}
	if len(report.Cells) != 8 {
		t.Fatalf("%d cells", len(report.Cells))
	}
	for _, c := range report.Cells {
		if c.Errors > 0 || c.Tokens != 12 || c.Ratio <= 0 {
			t.Errorf("%+v", c)
		}
	}
}

func TestTheInstantBaseCanBeStarted(t *testing.T) {
	library, err := onnx.Locate(onnx.Search{Environment: os.Getenv(onnx.LibraryVariable), Folders: onnx.CacheFolders("../..")})
	if err != nil {
		t.Fatal(err)
	}
	section := bench.Overheads(bench.Overhead{
		Concurrency: []int{2}, Lengths: []int{1, 4}, Rounds: 1, Tokens: 8, Streams: 2, StreamTokens: 4, Lasts: time.Second, Sustained: time.Hour,
		Start: stand{env, library, slog.New(slog.DiscardHandler)}.instant,
	})
	report := bench.NewReport(true)
	if err := section.Measure(t.Context(), report, &benchLines{out: &strings.Builder{}, told: map[string]bool{}}); err != nil {
		t.Fatal(err)
	}
	if len(report.Overhead) != 2 {
		t.Fatalf("%d ways: %q", len(report.Overhead), report.Notes)
	}
	for _, way := range report.Overhead {
		if len(way.Cells) != 2 || way.Cells[1].CPUPerRequest <= 0 || way.Open.CPUPerToken <= 0 {
			t.Errorf("%s: of the gateway nothing is told: %+v", way.Way, way)
		}
	}
}
