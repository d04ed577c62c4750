package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "graft.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWithoutAFileTheFamilyIsServed(t *testing.T) {
	c, err := loadConfig("")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"demo", "demo-safe", "demo-base", "demo-small", "demo-small-chat", "demo-small-safe", "demo-base-chat", "demo-base-safe"}
	if !slices.Equal(c.Routes.names, want) || c.Listen != "127.0.0.1:8080" || c.KeysEnv != "GRAFT_API_KEYS" {
		t.Errorf("%+v", c)
	}
	if got := c.Routes.values["demo-safe"].Experts.names; !slices.Equal(got, []string{"chat", "safe"}) {
		t.Errorf("experts of demo-safe: %v", got)
	}
}

func TestConfigurationIsReadWhole(t *testing.T) {
	c, err := loadConfig(write(t, `
listen: 0.0.0.0:1234
keys_env: KEYS
onnxruntime: {library: /lib/ort.so}
limits: {body: 2MiB, running: 3, waiting: 4, patience: 1s, grace: 2m}
bases:
  large: {folder: ./large, provider: cpu, threads: 2, device: 1, graph: onnx/model_q4.onnx, context: 512, exact: true}
experts:
  zeta: {tuned: a, untuned: b, provider: cuda}
  alpha: {tuned: c, untuned: d}
routes:
  r: {base: large, experts: {zeta: 0.5, alpha: 1}, bounds: {strength: [0, 1], base: [1, 1.5]}, prompt: {base: plain, tuned: chat}, logprobs: {chat: 5, completions: -1}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Limits != (Limits{Body: 2 << 20, Running: 3, Waiting: 4, Patience: time.Second, Grace: 2 * time.Minute}) {
		t.Errorf("limits %+v", c.Limits)
	}
	large := c.Bases.values["large"]
	if large.Folder != "./large" || large.Runtime != (Runtime{Provider: "cpu", Device: 1, Threads: 2, Graph: "onnx/model_q4.onnx", Context: 512, Exact: true}) {
		t.Errorf("base %+v", large)
	}
	r := c.Routes.values["r"]
	if !slices.Equal(r.Experts.names, []string{"zeta", "alpha"}) || r.Experts.values["zeta"] != 0.5 {
		t.Errorf("experts %+v: the file's order counts", r.Experts)
	}
	bounds := r.Bounds.orDefault()
	if bounds.Strength != [2]float64{0, 1} || bounds.Weight != [2]float64{0, 2} || bounds.Base != [2]float64{1, 1.5} {
		t.Errorf("bounds %+v", bounds)
	}
	if r.Prompt.Base != "plain" || r.Logprobs.Chat != 5 || c.ONNXRuntime.Library != "/lib/ort.so" || c.Listen != "0.0.0.0:1234" || c.KeysEnv != "KEYS" {
		t.Errorf("%+v", c)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	const good = "bases: {b: {folder: x}}\nexperts: {e: {tuned: x, untuned: y}}\n"
	for name, c := range map[string]struct{ text, says string }{
		"unknown key":          {good + "routes: {r: {base: b}}\nlisten_on: x", `listen_on`},
		"unknown key deep":     {good + "routes: {r: {base: b, temperature: 1}}", "[3:23]"},
		"wrong type":           {good + "routes: {r: {base: [b]}}", "[3:20]"},
		"no YAML":              {"routes: {", "graft.yaml"},
		"empty file":           {"", "routes: there are none"},
		"no folder":            {"bases: {b: {threads: 1}}\nroutes: {r: {base: b}}", "bases.b: folder or url is missing"},
		"half a pair":          {"bases: {b: {folder: x}}\nexperts: {e: {tuned: x}}\nroutes: {r: {base: b}}", "experts.e: needs tuned and untuned"},
		"unknown base":         {good + "routes: {r: {base: c}}", `base "c" is not among bases: [b]`},
		"unknown expert":       {good + "routes: {r: {base: b, experts: {f: 1}}}", `expert "f" is not among experts: [e]`},
		"weight out of bounds": {good + "routes: {r: {base: b, experts: {e: 3}}}", "experts.e: weight 3"},
		"bounds the wrong way": {good + "routes: {r: {base: b, bounds: {strength: [2, 1]}}}", "bounds.strength"},
		"negative bound":       {good + "routes: {r: {base: b, bounds: {base: [-1, 1]}}}", "bounds.base"},
		"@ in a name":          {good + "routes: {r@1: {base: b}}", "'@'"},
		"a size without sense": {good + "routes: {r: {base: b}}\nlimits: {body: lots}", `"lots" is no size`},
		"a negative limit":     {good + "routes: {r: {base: b}}\nlimits: {running: -1}", "limits"},
	} {
		_, err := loadConfig(write(t, c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, err := loadConfig(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestKeysComeFromTheEnvironment(t *testing.T) {
	t.Setenv("SOME_KEYS", " one, two ,,")
	if got := keys("SOME_KEYS"); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q", got)
	}
	if got := keys("NO_SUCH_KEYS"); got != nil {
		t.Errorf("%q", got)
	}
}

func TestLogprobsCaps(t *testing.T) {
	for configured, want := range map[int]int{0: 20, -1: 1000, 5: 5, 5000: 1000} {
		if got := logprobsCap(configured, 1000); got != want {
			t.Errorf("%d: %d, want %d", configured, got, want)
		}
	}
	if got := logprobsCap(0, 10); got != 10 {
		t.Errorf("a vocabulary of 10: %d", got)
	}
}
