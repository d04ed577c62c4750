package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

// several is a report with something of everything.
func several() Report {
	epsilon := 2.4e-5
	good := Model{
		Name: "embedded:base", Folder: "embedded:base", Graph: "model.onnx", Serves: []string{"demo: base"}, Loaded: true, LoadSeconds: 0.034,
		Architecture: "LlamaForCausalLM", ModelType: "llama", Layers: 3, Notes: []string{"computes only the scores that are asked for"}, Parameters: 1_934_592, DType: "float16", CacheDType: "float32", LogitsDType: "float32", KVStrategy: "shared",
		Provider: "cpu", ProviderNote: "CUDA has no GroupQueryAttention for past_key_values.0.key: float32[?,3,?,16]: export the model with float16 caches to run it there",
		Memory: Memory{Weights: 3_869_184, CachePerStep: 4608, CachePerText: 9_437_184, Growth: 20_971_520}, Context: 2048,
		Vocabulary: &Vocabulary{Size: 1024, Rows: 1024, Fingerprint: "77ba091bd44a643e0123456789abcdef"}, EndTokens: []Token{{2, "<|im_end|>"}, {0, "<|endoftext|>"}},
		ChatTemplate: Template{Status: TemplateOK, Source: "chat_template.jinja", Trials: []Trial{{Conversation: TrialUser, Tokens: 15}, {Conversation: TrialSystem, Refusal: "System role not supported"}, {Conversation: TrialTools, Ignored: true}}},
		Probe:        &Probe{Steps: 1700, StepsPerSecond: 3400.4, Prompt: 512, PromptPerSecond: 36273, Epsilon: &epsilon, Seconds: 0.8},
	}
	spoilt := Model{
		Name: "models/small (onnx/model_q4.onnx)", Folder: "/srv/models/small", Graph: "onnx/model_q4.onnx", Serves: []string{"demo: chat tuned", "demo: chat untuned"},
		ModelType: "qwen2", Context: 32768, Chatted: true, Speaks: true, ChatTemplate: Template{Status: TemplateNone, Trials: []Trial{}}, EndTokens: []Token{},
		Faults: []Fault{
			{"tokenizer", Pointer, "tokenizer.json", "models/small/tokenizer.json is a Git LFS pointer and not the file itself"},
			{"graph", Damaged, "onnx/model_q4.onnx", "model models/small: \x1b[31mnot an ONNX file,\n or cut off: a broken protocol buffer"},
		},
	}
	slow := Model{
		Name: "models/large", Folder: "models/large", Graph: "model.onnx", Serves: []string{}, Loaded: true, LoadSeconds: 12.34, Provider: "cuda", Context: 131072, KVStrategy: "grow", CacheDType: "float16", DType: "int4", Parameters: 1_235_814_400,
		Vocabulary: &Vocabulary{Size: 151_665, Rows: 152_064, Padding: 399, Fingerprint: "0011223344556677"}, EndTokens: []Token{{151_645, "<|im_end|>"}},
		ChatTemplate: Template{Status: TemplateOK, Source: "tokenizer_config.json", Trials: []Trial{{Conversation: TrialUser}}},
		Probe:        &Probe{Steps: 3, StepsPerSecond: 4.25, Prompt: 16, PromptPerSecond: 9.9, EpsilonNote: "not measured: it takes about 14.1 s"},
	}
	return Report{
		Configuration: Configuration{Source: "graft.yaml", Listen: "0.0.0.0:8080", KeysEnv: "GRAFT_API_KEYS", Open: true, Unused: []string{"experts.safe"}},
		Runtime:       Runtime{Library: "/opt/onnxruntime/lib/libonnxruntime.so.1.26.0", Version: "1.26.0", NamedBy: "--onnxruntime", Searched: []string{"/opt/onnxruntime"}, Providers: []string{"CUDAExecutionProvider", "CPUExecutionProvider"}},
		Machine:       Machine{Processors: 8, Threads: 4, Memory: 16 << 30, Free: 10 << 20},
		Models:        []Model{good, spoilt, slow},
		Routes: []Route{{
			Name: "demo", Base: "embedded:base", Speaker: "models/small (onnx/model_q4.onnx)",
			Experts: []Expert{{"chat", "models/small (onnx/model_q4.onnx)", "models/small (onnx/model_q4.onnx)", 0.8}},
			Prompts: []Prompt{{"base", "plain", 7}, {"tuned", "chat", 0}, {"untuned", "turns.jinja", 12}},
			Faults:  []Fault{{"prompt.untuned", Refused, "", "prompt.untuned: turns.jinja: chat template, line 1: unexpected end of template"}},
		}},
	}
}

func TestTheTableIsAsItWas(t *testing.T) {
	report := several()
	report.Judge()
	var out bytes.Buffer
	if err := WriteTable(&out, &report); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", out.Bytes())
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.ContainsRune(line, '\x1b') || strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("%q", line)
		}
	}
}

// Programs read these names: a change of this file is a change for all of them.
func TestTheNamesInJSONAreAsTheyWere(t *testing.T) {
	report := several()
	report.Judge()
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", append(text, '\n'))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not as it was (go test ./gateway/doctor -update writes it anew):\n%s", path, got)
	}
}

func TestAReportInOrderSaysSo(t *testing.T) {
	report := Report{Models: []Model{sound("x")}}
	report.Judge()
	if got := report.Summary(); report.Verdict != OK || got != "everything is in order" {
		t.Errorf("%s, %q", report.Verdict, got)
	}
}

// full takes a few bytes and then no more.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

var errFull = errors.New("disk full")

func TestATableThatCannotBeWrittenFails(t *testing.T) {
	report := several()
	report.Judge()
	if err := WriteTable(&full{100}, &report); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}
