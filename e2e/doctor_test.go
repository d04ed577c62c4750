package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// examined is what programs read of a report.
type examined struct {
	Verdict     string
	ONNXRuntime struct{ Verdict, Version, Library string } `json:"onnxruntime"`
	Models      []struct {
		Name, Verdict, Architecture, DType, Provider string
		KVStrategy                                   string `json:"kv_strategy"`
		Parameters                                   int64
		Memory                                       struct {
			Weights int64 `json:"weights_bytes"`
			Cache   int64 `json:"cache_bytes_per_token"`
		}
		Vocabulary *struct {
			Size, Rows  int
			Fingerprint string
		}
		ChatTemplate struct{ Status string } `json:"chat_template"`
		Probe        *struct {
			Steps  float64 `json:"tokens_per_second"`
			Prompt float64 `json:"prompt_tokens_per_second"`
		}
		Findings []finding
	}
	Routes []struct {
		Name, Verdict, Speaker string
		Context                int
		Findings               []finding
	}
}

type finding struct{ Level, Part, Problem, Fix string }

// examine runs doctor and returns its report and exit status.
func examine(t *testing.T, args ...string) (report examined, code int) {
	t.Helper()
	command := exec.Command(binary, append([]string{"doctor", "--json"}, args...)...)
	out, err := command.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return report, command.ProcessState.ExitCode()
}

func TestDoctorTellsProgramsOfTheFamily(t *testing.T) {
	report, code := examine(t, "--probe", "100ms")
	if code != 0 || report.Verdict == "broken" || report.ONNXRuntime.Version == "" || len(report.Models) != 6 || len(report.Routes) != 8 {
		t.Fatalf("exit %d: %+v", code, report)
	}
	for _, m := range report.Models {
		if m.Architecture != "LlamaForCausalLM" || m.Parameters == 0 || m.DType == "" || m.KVStrategy != "shared" || m.Provider == "" || m.Memory.Weights == 0 || m.Memory.Cache == 0 ||
			m.Vocabulary == nil || m.Vocabulary.Fingerprint != report.Models[0].Vocabulary.Fingerprint || m.ChatTemplate.Status != "ok" || m.Probe == nil || m.Probe.Steps <= 0 || m.Probe.Prompt <= 0 {
			t.Errorf("%+v", m)
		}
	}
	if demo := report.Routes[0]; demo.Name != "demo" || demo.Speaker != "embedded:small-chat" || demo.Context != 2048 {
		t.Errorf("%+v", demo)
	}
}

func TestDoctorTellsProgramsWhatDoesNotFit(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "other"), os.DirFS(filepath.Join(root, "models", "demo", "small"))); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "other", "tokenizer.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// Two letters change places: the same size, other contents.
	swapped := strings.NewReplacer(`"a":`, `"b":`, `"b":`, `"a":`).Replace(string(text))
	config := "bases: {b: {folder: embedded:base}}\nexperts: {e: {tuned: other, untuned: embedded:small}}\n" +
		"routes: {r: {base: b, experts: {e: 1}}, s: {base: b, prompt: {base: none.jinja}}, t: {base: b}}\n"
	for file, text := range map[string]string{name: swapped, filepath.Join(dir, "graft.yaml"): config} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report, code := examine(t, "--probe", "0", "--config", filepath.Join(dir, "graft.yaml"))
	if code != 1 || report.Verdict != "broken" || len(report.Routes) != 3 {
		t.Fatalf("exit %d: %+v", code, report)
	}
	for i, want := range [][]string{{"vocabulary", "vocabulary"}, {"prompt.base"}, nil} {
		var got []string
		for _, f := range report.Routes[i].Findings {
			if f.Level == "broken" {
				got = append(got, f.Part)
			}
			if f.Level == "broken" && (f.Problem == "" || f.Fix == "") {
				t.Errorf("%+v", f)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("route %s: %+v, want %q", report.Routes[i].Name, report.Routes[i].Findings, want)
		}
	}
	if f := report.Routes[0].Findings[0]; !strings.Contains(f.Problem, `"a"`) || !strings.Contains(f.Problem, "id ") {
		t.Errorf("%+v: the first ids that differ are named", f)
	}
}
