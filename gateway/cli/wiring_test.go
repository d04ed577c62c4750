package cli

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway"
	"github.com/graft-gateway/graft/gateway/openai"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/models/onnx/onnxtest"
)

var env *onnx.Environment

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" { // the bench has started its own program
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(onnxtest.Main(m, "../..", func(e *onnx.Environment) { env = e }))
}

// wire loads a configuration's routes until the test ends.
func wire(t *testing.T, text string, dir string) (*wiring, []*gateway.Route, error) {
	t.Helper()
	c, err := loadConfig(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	w := newWiring(env, dir, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	routes, err := w.routes(t.Context(), c)
	return w, routes, err
}

const pairConfig = `
bases: {small: {folder: embedded:small}, again: {folder: embedded:small}, other: {folder: embedded:small, context: 100}}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}
routes:
  plain: {base: small}
  tuned: {base: again, experts: {chat: 1.0}, prompt: {base: plain, untuned: turns.jinja}}
  short: {base: other, experts: {chat: 0.5}}
`

func TestAFolderIsLoadedOnceForEachWayToRunIt(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "turns.jinja"), []byte("{% for m in messages %}<{{ m.role }}> {{ m.content }}{% endfor %}"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, routes, err := wire(t, pairConfig, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.order) != 3 {
		t.Errorf("%d models are loaded, want small, small with a context of 100, and small-chat", len(w.order))
	}
	if routes[0].Context != 2048 || routes[2].Context != 100 {
		t.Errorf("contexts %d and %d: the smallest among the parts is the route's", routes[0].Context, routes[2].Context)
	}
	if providers(w) == "" {
		t.Error("no provider is told")
	}
	var log bytes.Buffer
	tellProviders(slog.New(slog.NewTextHandler(&log, nil)), w, []string{"CPUExecutionProvider"})
	if log.Len() > 0 {
		t.Errorf("a library without CUDA is no reason to warn: %s", &log)
	}
	if _, note := w.order[0].Provider(); note != "" {
		tellProviders(slog.New(slog.NewTextHandler(&log, nil)), w, []string{"CUDAExecutionProvider", "CPUExecutionProvider"})
		if got := strings.Count(log.String(), "not on the GPU"); got != 1 {
			t.Errorf("%d warnings for one reason: %s", got, &log)
		}
	}
	metrics, err := registry(env, w).Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, family := range metrics {
		if family.GetName() == "graft_model_info" {
			told = len(family.Metric)
		}
	}
	if told != 2 { // small twice, by one name
		t.Errorf("/metrics tells %d models", told)
	}
	tuned := routes[1]
	messages := []openai.Message{{Role: "developer", Content: "Be kind.", Name: "x"}, {Role: "user", Content: "Hi"}}
	decoded := func(p gateway.Prompter) string {
		ids, err := p.Prompt(t.Context(), messages)
		if err != nil {
			t.Fatal(err)
		}
		return tuned.Text.Decode(ids)
	}
	if got := decoded(tuned.Prompter); got != "Be kind.\n\nHi" {
		t.Errorf("plain: %q", got)
	}
	if got := decoded(tuned.Experts[0].Untuned); got != "<system> Be kind.<user> Hi" {
		t.Errorf("a template file: %q", got)
	}
	if got := decoded(tuned.Experts[0].Tuned); !strings.Contains(got, "Hi") || got == decoded(tuned.Prompter) {
		t.Errorf("chat: %q", got)
	}
	s := tuned.Text.Stream()
	text := ""
	for _, id := range append(tuned.Text.Encode("Hi ü", false), tuned.Ends...) {
		text += s.Push(id)
	}
	if text += s.Flush(); text != "Hi ü" {
		t.Errorf("streamed text %q: end tokens are not seen", text)
	}
}

func TestPlainPromptsAreTheMessagesText(t *testing.T) {
	w, _, err := wire(t, "bases: {small: {folder: embedded:small}}\nroutes: {plain: {base: small}}", "")
	if err != nil {
		t.Fatal(err)
	}
	model := w.order[0]
	tokens, err := plain{model}.Prompt(t.Context(), []openai.Message{{Content: "The river"}, {Content: "rises"}})
	if text := model.Tokenizer().Decode(tokens, false); err != nil || text != "The river\n\nrises" {
		t.Errorf("%q, %v", text, err)
	}
	if tokens, err := (plain{model}).Prompt(t.Context(), []openai.Message{{Content: ""}}); err == nil {
		t.Errorf("messages without text make %v", tokens)
	}
}

func TestAdaptersReachTheModels(t *testing.T) {
	_, routes, err := wire(t, strings.Replace(pairConfig, ", prompt: {base: plain, untuned: turns.jinja}", "", 1), "")
	if err != nil {
		t.Fatal(err)
	}
	route := routes[1]
	prompt := route.Text.Encode("The river", true)
	request := decode.Request{
		Vocabulary: route.Vocabulary, Base: route.Base, Prompt: prompt, MaxTokens: 5, Params: eft.Params{TopP: 1},
		Mix:     eft.Mix{Base: 1, Pairs: []eft.Weights{{Tuned: 1, Untuned: 1}}},
		Experts: []decode.Expert{{Small: route.Experts[0].Small, Prompts: decode.PairPrompts{Tuned: prompt, Untuned: prompt}}},
	}
	var tokens []eft.Token
	if _, err := decode.Run(t.Context(), request, func(s decode.Step) bool { tokens = append(tokens, s.Token); return true }); err != nil {
		t.Fatal(err)
	}
	// small + (small-chat − small) is small-chat.
	request.Base, request.Experts, request.Mix = base{route.Experts[0].Small.(small).pair.Tuned()}, nil, eft.Mix{Base: 1}
	var alone []eft.Token
	if _, err := decode.Run(t.Context(), request, func(s decode.Step) bool { alone = append(alone, s.Token); return true }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tokens, alone) {
		t.Errorf("%v, want %v", tokens, alone)
	}
}

func TestWiringMistakesAreNamed(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"a stranger to the family": {"bases: {b: {folder: embedded:huge}}\nroutes: {r: {base: b}}", "routes.r: embedded:huge is not in the embedded family"},
		"a missing folder":         {"bases: {b: {folder: nowhere}}\nroutes: {r: {base: b}}", "nowhere"},
		"a missing template":       {"bases: {b: {folder: embedded:small}}\nroutes: {r: {base: b, prompt: {base: none.jinja}}}", "prompt.base: must be chat, plain or a template file"},
		"a broken expert":          {"bases: {b: {folder: embedded:small}}\nexperts: {e: {tuned: embedded:x, untuned: embedded:small}}\nroutes: {r: {base: b, experts: {e: 1}}}", "routes.r: expert e: embedded:x"},
	} {
		_, _, err := wire(t, c.text, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestPathsOverRealModelsChangeNoToken(t *testing.T) {
	_, routes, err := wire(t, `
bases: {base: {folder: embedded:base, exact: true}}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small, exact: true}}
routes: {demo: {base: base, experts: {chat: 1.0}}}
`, "")
	if err != nil {
		t.Fatal(err)
	}
	route := routes[0]
	rounds, tokens := 0, 0
	for seed := range uint64(20) {
		prompt, err := route.Prompter.Prompt(t.Context(), []openai.Message{{Role: "user", Content: fmt.Sprintf("What is the town Bar%c known for?", 'a'+rune(seed))}})
		if err != nil {
			t.Fatal(err)
		}
		request := decode.Request{
			Vocabulary: route.Vocabulary, Base: route.Base, Prompt: prompt, MaxTokens: 40,
			Params:  eft.Params{Temperature: float64(seed%2) * 0.8, TopP: 1, Seed: seed, Ends: route.Ends},
			Mix:     eft.Mix{Base: 1, Pairs: []eft.Weights{{Tuned: 1, Untuned: 1}}},
			Experts: []decode.Expert{{Small: route.Experts[0].Small, Prompts: decode.PairPrompts{Tuned: prompt, Untuned: prompt}}},
		}
		generate := func() (tokens []eft.Token, report decode.Report) {
			report, err := decode.Run(t.Context(), request, func(s decode.Step) bool { tokens = append(tokens, s.Token); return true })
			if err != nil {
				t.Fatal(err)
			}
			return tokens, report
		}
		want, _ := generate()
		for name, draft := range map[string]decode.Fixed{"tuned": {By: decode.Tuned, Length: 5, Ahead: 6}, "own": {By: decode.Own, Length: 16}} {
			request.Drafter = draft
			got, report := generate()
			if !slices.Equal(got, want) {
				t.Errorf("seed %d: drafted by %s %v, without %v", seed, name, got, want)
			}
			if draft.By == decode.Tuned {
				rounds, tokens = rounds+report.BaseCalls, tokens+report.Tokens
			}
		}
	}
	t.Logf("%d tokens in %d rounds", tokens, rounds)
	if rounds >= tokens {
		t.Errorf("paths saved nothing: %d rounds for %d tokens", rounds, tokens)
	}
}
