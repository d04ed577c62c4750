package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/gateway/doctor"
	"github.com/graft-gateway/graft/models/onnx"
)

// examine gathers and judges a configuration with the tests' library.
func examine(t *testing.T, text string, free int64) (*examination, doctor.Report) {
	t.Helper()
	path := write(t, text)
	e := &examination{env: env, dir: filepath.Dir(path), progress: &bytes.Buffer{}, free: func() int64 { return free }}
	config := e.configuration(path)
	if err := errors.Join(e.models(t.Context(), configUses(config)), e.servers(t.Context(), config), e.routes(t.Context(), config)); err != nil {
		t.Fatal(err)
	}
	e.report.Judge()
	return e, e.report
}

func TestEveryWayToRunAFolderIsExaminedOnce(t *testing.T) {
	e, report := examine(t, `
bases: {small: {folder: embedded:small}, again: {folder: embedded:small}, short: {folder: embedded:small, context: 100, exact: true}}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}, unused: {tuned: embedded:base, untuned: embedded:base}}
routes:
  plain: {base: small, prompt: {base: plain}}
  tuned: {base: again, experts: {chat: 1.0}}
  short: {base: short, experts: {chat: 0.5}}
`, 0)
	var names []string
	for _, m := range report.Models {
		names = append(names, m.Name)
	}
	if want := []string{"embedded:small", "embedded:small-chat", "embedded:small (context 100, exact)"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	small, chat := report.Models[0], report.Models[1]
	if want := []string{"plain: base", "tuned: base", "tuned: chat untuned", "short: chat untuned"}; !slices.Equal(small.Serves, want) || !small.Speaks || small.Chatted {
		t.Errorf("small serves %q, speaks %v, chatted %v", small.Serves, small.Speaks, small.Chatted)
	}
	if !chat.Speaks || !chat.Chatted {
		t.Errorf("small-chat speaks %v, chatted %v", chat.Speaks, chat.Chatted)
	}
	if report.Verdict == doctor.Broken || len(report.Configuration.Findings) != 1 || report.Configuration.Findings[0].Part != "experts.unused" {
		t.Errorf("%s %+v", report.Verdict, report.Configuration.Findings)
	}
	if r := report.Routes[2]; r.Context != 99 || r.ContextOf != "embedded:small (context 100, exact)" || r.Speaker != "embedded:small-chat" || len(r.Prompts) != 3 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(e.progress.(*bytes.Buffer).String(), "(2 of 3)") {
		t.Error("no progress is told")
	}
	if live := env.Live(); live != 0 {
		t.Errorf("%d native objects are left", live)
	}
}

func TestAModelTooLargeForTheMachineIsNotLoaded(t *testing.T) {
	_, report := examine(t, "bases: {b: {folder: embedded:small, provider: cpu}}\nroutes: {r: {base: b}}", 1000)
	m := report.Models[0]
	if len(m.Faults) != 1 || m.Faults[0].Cause != doctor.TooLarge || m.Loaded || m.Vocabulary == nil || report.Verdict != doctor.Broken {
		t.Errorf("%+v", m)
	}
	if _, report := examine(t, "bases: {b: {folder: embedded:small}}\nroutes: {r: {base: b}}", 1<<40); report.Models[0].Verdict == doctor.Broken {
		t.Errorf("%+v", report.Models[0])
	}
}

func TestMistakesInTheConfigurationHideNothingElse(t *testing.T) {
	const parts = "bases: {b: {folder: embedded:small}}\nexperts: {e: {tuned: embedded:small-chat, untuned: embedded:small}}\n"
	for name, c := range map[string]struct {
		text            string
		models, routes  int
		configuration   string // what is found in it
		broken, healthy []string
	}{
		"no routes":         {parts, 2, 0, "routes: there are none", nil, nil},
		"an unknown base":   {parts + "routes: {r: {base: x}, s: {base: b}}", 1, 2, `base "x"`, []string{"r"}, []string{"s"}},
		"an unknown expert": {parts + "routes: {r: {base: b, experts: {x: 1}}, s: {base: b}}", 1, 2, `expert "x"`, []string{"r"}, []string{"s"}},
		"two wild weights":  {parts + "routes: {r: {base: b, experts: {e: 9}}, s: {base: b, experts: {e: 8}}}", 2, 2, "weight 9", []string{"r", "s"}, nil},
		"a missing folder":  {parts + "routes: {r: {base: b}}\nlisten: nonsense", 1, 1, "want HOST:PORT", nil, []string{"r"}},
		"no YAML":           {"routes: {", 0, 0, "graft.yaml", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, report := examine(t, c.text, 0)
			if len(report.Models) != c.models || len(report.Routes) != c.routes || report.Configuration.Verdict != doctor.Broken || !strings.Contains(report.Configuration.Findings[0].Problem, c.configuration) {
				t.Errorf("%d models, %d routes: %+v", len(report.Models), len(report.Routes), report.Configuration)
			}
			for _, r := range report.Routes {
				if slices.Contains(c.broken, r.Name) != (r.Verdict == doctor.Broken) || slices.Contains(c.healthy, r.Name) != (r.Verdict == doctor.OK) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestOnlyAddressesOfThisMachineAreClosed(t *testing.T) {
	for listen, open := range map[string]bool{"127.0.0.1:1": false, "localhost:1": false, "[::1]:1": false, "0.0.0.0:1": true, ":1": true, "192.168.1.1:1": true, "example.org:1": true} {
		var e examination
		e.configuration(write(t, "bases: {b: {folder: x}}\nroutes: {r: {base: b}}\nlisten: '"+listen+"'"))
		if e.report.Configuration.Open != open {
			t.Errorf("%s: open is %v", listen, !open)
		}
	}
}

func TestTheLibraryIsFoundAsServingFindsIt(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.so")
	for name, c := range map[string]struct {
		search onnx.Search
		by     string
		where  string
	}{
		"flag":          {onnx.Search{Flag: missing, Environment: "e", Configured: "c"}, "--onnxruntime", missing},
		"environment":   {onnx.Search{Environment: missing, Configured: "c"}, onnx.LibraryVariable, missing},
		"configuration": {onnx.Search{Configured: missing}, "the configuration", missing},
		"nothing":       {onnx.Search{Folders: []string{"/nowhere"}, System: []string{"/neither"}}, "", "/nowhere"},
	} {
		var e examination
		e.runtime(c.search)
		r := e.report.Runtime
		if r.NamedBy != c.by || len(r.Searched) == 0 || r.Searched[0] != c.where || len(r.Faults) != 1 || e.env != nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	var e examination
	e.runtime(onnx.Search{Flag: text})
	if r := e.report.Runtime; r.Library != text || len(r.Faults) != 1 || r.Faults[0].Cause != doctor.Refused {
		t.Errorf("%+v", r)
	}
}

func TestExaminingEndsWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := &examination{env: env, progress: &bytes.Buffer{}, free: func() int64 { return 0 }}
	if err := e.models(ctx, folderUses([]string{"embedded:small"}, Runtime{})); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
