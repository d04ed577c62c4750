package doctor

import (
	"slices"
	"strings"
	"testing"
)

var (
	gpu   = Runtime{Providers: []string{"CUDAExecutionProvider", "CPUExecutionProvider"}}
	noGPU = Runtime{Providers: []string{"CPUExecutionProvider"}}
)

// told is what a test expects to be found: levels and parts, and words of the first.
type told struct {
	verdict  Level
	findings []string // "warning provider"
	problem  string
	fix      string
}

func (want told) check(t *testing.T, verdict Level, findings []Finding) {
	t.Helper()
	var got []string
	for _, f := range findings {
		got = append(got, string(f.Level)+" "+f.Part)
	}
	if verdict != want.verdict || !slices.Equal(got, want.findings) {
		t.Errorf("%s %q, want %s %q", verdict, got, want.verdict, want.findings)
	}
	if len(findings) > 0 && (!strings.Contains(findings[0].Problem, want.problem) || !strings.Contains(findings[0].Fix, want.fix)) {
		t.Errorf("%+v, want %q and %q", findings[0], want.problem, want.fix)
	}
}

// sound is a model that nothing is wrong with.
func sound(name string) Model {
	return Model{
		Name: name, Folder: name, Graph: "model.onnx", Provider: "cpu", Loaded: true, Context: 2048,
		Vocabulary: &Vocabulary{Size: 1000, Rows: 1024, Padding: 24, Fingerprint: "f"}, EndTokens: []Token{{2, "</s>"}},
		ChatTemplate: Template{Status: TemplateOK, Trials: []Trial{{Conversation: TrialUser, Tokens: 9}}},
	}
}

func TestModelsAreJudged(t *testing.T) {
	type change = func(m *Model)
	refuses := func(conversation string) change {
		return func(m *Model) {
			if conversation == TrialUser {
				m.ChatTemplate.Status = TemplateRefused
			}
			m.ChatTemplate.Trials = []Trial{{Conversation: TrialUser}, {Conversation: TrialSystem}, {Conversation: TrialTools}}
			for i := range m.ChatTemplate.Trials {
				if m.ChatTemplate.Trials[i].Conversation == conversation {
					m.ChatTemplate.Trials[i].Refusal = "not this"
				}
			}
		}
	}
	ignores := func(conversation string) change {
		return func(m *Model) { m.ChatTemplate.Trials = []Trial{{Conversation: conversation, Ignored: true}} }
	}
	both := func(a, b change) change { return func(m *Model) { a(m); b(m) } }
	chatted := func(m *Model) { m.Chatted = true }
	noTemplate := func(m *Model) { m.ChatTemplate = Template{Status: TemplateNone} }
	noEnds := func(m *Model) { m.EndTokens = nil }
	onCPU := func(m *Model) { m.ProviderNote = "no kernel" }
	fault := func(part string, cause Cause, file string) change {
		return func(m *Model) { m.Faults = append(m.Faults, Fault{part, cause, file, "the error"}) }
	}
	for name, c := range map[string]struct {
		change  change
		runtime Runtime
		want    told
	}{
		"all is well":                    {func(*Model) {}, noGPU, told{verdict: OK}},
		"on the CPU for want of CUDA":    {onCPU, noGPU, told{verdict: OK}},
		"on the CPU beside a GPU":        {onCPU, gpu, told{Warning, []string{"warning provider"}, "no kernel", "provider: cpu"}},
		"no template, chatted with":      {both(noTemplate, chatted), noGPU, told{Warning, []string{"warning chat template"}, "there is none", "chat_template.jinja"}},
		"no template, untuned":           {noTemplate, noGPU, told{OK, []string{"remark chat template"}, "there is none", ""}},
		"refuses users, chatted with":    {both(refuses(TrialUser), chatted), noGPU, told{Broken, []string{"broken chat template"}, "not this", "template"}},
		"refuses users":                  {refuses(TrialUser), noGPU, told{Warning, []string{"warning chat template"}, "a user's turn: not this", "template"}},
		"refuses system turns":           {both(refuses(TrialSystem), chatted), noGPU, told{OK, []string{"remark chat template"}, "a system turn: not this", ""}},
		"refuses tools":                  {refuses(TrialTools), noGPU, told{OK, []string{"remark chat template"}, "tools: not this", ""}},
		"leaves out users, chatted with": {both(ignores(TrialUser), chatted), noGPU, told{Warning, []string{"warning chat template"}, "leaves out", "template"}},
		"leaves out system turns":        {ignores(TrialSystem), noGPU, told{OK, []string{"remark chat template"}, "system", ""}},
		"leaves out tools":               {ignores(TrialTools), noGPU, told{verdict: OK}},
		"foreign marks":                  {func(m *Model) { m.ChatTemplate.Unknown = []string{"<|user|>"} }, noGPU, told{OK, []string{"remark chat template"}, "<|user|>", "another tokenizer"}},
		"no end token, speaks":           {both(noEnds, func(m *Model) { m.Speaks = true }), noGPU, told{Warning, []string{"warning end tokens"}, "none", "eos_token_id"}},
		"no end token, untuned":          {noEnds, noGPU, told{OK, []string{"remark end tokens"}, "none", "eos_token_id"}},
		"a remark of the folder":         {func(m *Model) { m.Remarks = []string{"a shorter context"} }, noGPU, told{OK, []string{"remark configuration"}, "a shorter context", ""}},
		"too slow":                       {func(m *Model) { m.Probe = &Probe{Slow: true} }, noGPU, told{Warning, []string{"warning speed"}, "longer than", "smaller"}},
		"another vocabulary beside it":   {func(m *Model) { m.Others = []string{"id 3 is"} }, noGPU, told{OK, []string{"remark vocabulary"}, "id 3", ""}},
		"everything at once": {both(both(fault("tokenizer", Missing, "tokenizer.json"), fault("graph", Damaged, "model.onnx")), both(noTemplate, chatted)), noGPU,
			told{Broken, []string{"broken tokenizer", "broken graph", "warning chat template"}, "the error", "tokenizer.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := sound("x")
			c.change(&m)
			m.judge(&c.runtime)
			c.want.check(t, m.Verdict, m.Findings)
		})
	}
}

func TestTheFixDependsOnPartAndCause(t *testing.T) {
	for name, c := range map[string]struct {
		part  string
		cause Cause
		file  string
		fix   string
	}{
		"no folder":                {"folder", Missing, "x", "graft pull OWNER/NAME"},
		"no graph":                 {"graph", Missing, "", "--graph"},
		"a graph without a cache":  {"graph", Refused, "model.onnx", "text-generation-with-past"},
		"a graph cut short":        {"graph", Damaged, "model.onnx", "fetch model.onnx again"},
		"a graph too large":        {"graph", TooLarge, "model.onnx", "smaller variant"},
		"a pointer":                {"tokenizer", Pointer, "tokenizer.json", "git lfs pull"},
		"no tokenizer":             {"tokenizer", Missing, "tokenizer.json", "put tokenizer.json"},
		"a foreign tokenizer":      {"tokenizer", Refused, "tokenizer.json", "save_pretrained"},
		"no permission":            {"tokenizer", Unreadable, "tokenizer.json", "right to read"},
		"no context":               {"context", Refused, "config.json", "--context"},
		"too few rows":             {"vocabulary", Refused, "tokenizer.json", "same model"},
		"a broken template":        {"chat template", Refused, "chat_template.jinja", "correct chat_template.jinja"},
		"a wrong configuration":    {"configuration", Refused, "config.json", "correct config.json"},
		"no such provider":         {"graph", Unfit, "model.onnx", "ORT=cuda"},
		"no runtime":               {"graph", Unloaded, "", "ONNX Runtime first"},
		"rows that are no numbers": {"run", Refused, "model.onnx", "another variant"},
	} {
		t.Run(name, func(t *testing.T) {
			m := sound("x")
			m.Faults = []Fault{{c.part, c.cause, c.file, "the error"}}
			m.judge(&noGPU)
			told{Broken, []string{"broken " + c.part}, "the error", c.fix}.check(t, m.Verdict, m.Findings)
		})
	}
}

func TestRoutesAreJudged(t *testing.T) {
	type change = func(base, tuned, untuned *Model, r *Route)
	for name, c := range map[string]struct {
		change change
		want   told
	}{
		"all is well": {func(_, _, _ *Model, _ *Route) {}, told{verdict: OK}},
		"a broken part": {func(_, _, untuned *Model, _ *Route) { untuned.Faults = []Fault{{"graph", Damaged, "", "cut short"}} },
			told{Broken, []string{"broken untuned of chat"}, "untuned is broken: cut short", "see the model"}},
		"a broken base and a broken pair": {func(base, tuned, _ *Model, _ *Route) {
			base.Faults, tuned.Faults = []Fault{{"graph", Damaged, "", "cut short"}}, []Fault{{"tokenizer", Missing, "", "not there"}}
		}, told{Broken, []string{"broken base", "broken tuned of chat"}, "cut short", ""}},
		"another vocabulary": {func(_, _, _ *Model, r *Route) { r.Faults = []Fault{{"vocabulary", Differs, "", "id 7 is"}} },
			told{Broken, []string{"broken vocabulary"}, "id 7 is", "share a tokenizer"}},
		"a weight out of bounds": {func(_, _, _ *Model, r *Route) { r.Faults = []Fault{{"configuration", Refused, "", "weight 3"}} },
			told{Broken, []string{"broken configuration"}, "weight 3", "routes.demo"}},
		"a template that refuses": {func(_, _, _ *Model, r *Route) { r.Faults = []Fault{{"prompt.base", Refused, "", "no"}} },
			told{Broken, []string{"broken prompt.base"}, "no", "routes.demo.prompt.base"}},
		"a shorter context": {func(_, _, untuned *Model, _ *Route) { untuned.Context = 512 },
			told{OK, []string{"remark context"}, "untuned has a context of 512 tokens, the base one of 2048", ""}},
		"other padding": {func(base, _, _ *Model, _ *Route) { base.Vocabulary.Rows = 1152 },
			told{OK, []string{"remark padding"}, "tuned scores 1024 ids and base 1152: those beyond the 1000", ""}},
		"end tokens that the base lacks": {func(base, tuned, _ *Model, _ *Route) {
			base.Vocabulary.Size, tuned.EndTokens = 900, []Token{{2, "</s>"}, {950, "<end>"}}
		}, told{Broken, []string{"broken end tokens"}, `950 "<end>"`, "one family"}},
	} {
		t.Run(name, func(t *testing.T) {
			base, tuned, untuned := sound("base"), sound("tuned"), sound("untuned")
			r := Route{Name: "demo", Base: "base", Speaker: "tuned", Experts: []Expert{{"chat", "tuned", "untuned", 1}}}
			c.change(&base, &tuned, &untuned, &r)
			report := Report{Models: []Model{base, tuned, untuned}, Routes: []Route{r}}
			report.Judge()
			c.want.check(t, report.Routes[0].Verdict, report.Routes[0].Findings)
			if report.Verdict != c.want.verdict {
				t.Errorf("the report is %s", report.Verdict)
			}
		})
	}
}

func TestARouteSpeaksWithItsSpeakersEnds(t *testing.T) {
	base, tuned := sound("base"), sound("tuned")
	tuned.EndTokens, tuned.Context = []Token{{7, "<end>"}}, 100
	r := Report{Models: []Model{base, tuned}, Routes: []Route{{Name: "r", Base: "base", Speaker: "tuned", Experts: []Expert{{"e", "tuned", "base", 1}}}}}
	r.Judge()
	if got := r.Routes[0]; got.Context != 100 || got.ContextOf != "tuned" || !slices.Equal(got.EndTokens, tuned.EndTokens) {
		t.Errorf("%+v", got)
	}
}

func TestTheRestIsJudged(t *testing.T) {
	for name, c := range map[string]struct {
		report Report
		of     func(r *Report) (Level, []Finding)
		want   told
	}{
		"a configuration with a mistake": {Report{Configuration: Configuration{Faults: []Fault{{"configuration", Refused, "", "[3:4]"}}}},
			func(r *Report) (Level, []Finding) { return r.Configuration.Verdict, r.Configuration.Findings },
			told{Broken, []string{"broken configuration"}, "[3:4]", "correct it"}},
		"open to everybody": {Report{Configuration: Configuration{Open: true, Listen: "0.0.0.0:80", KeysEnv: "KEYS"}},
			func(r *Report) (Level, []Finding) { return r.Configuration.Verdict, r.Configuration.Findings },
			told{Warning, []string{"warning keys"}, "0.0.0.0:80", "KEYS"}},
		"open with keys": {Report{Configuration: Configuration{Open: true, Keys: 2}},
			func(r *Report) (Level, []Finding) { return r.Configuration.Verdict, r.Configuration.Findings },
			told{verdict: OK}},
		"an unused base": {Report{Configuration: Configuration{Unused: []string{"bases.x"}}},
			func(r *Report) (Level, []Finding) { return r.Configuration.Verdict, r.Configuration.Findings },
			told{OK, []string{"remark bases.x"}, "no route", ""}},
		"no library": {Report{Runtime: Runtime{Faults: []Fault{{"library", Missing, "", "none"}}}},
			func(r *Report) (Level, []Finding) { return r.Runtime.Verdict, r.Runtime.Findings },
			told{Broken, []string{"broken library"}, "none", "make build"}},
		"no library where one is named": {Report{Runtime: Runtime{NamedBy: "--onnxruntime", Faults: []Fault{{"library", Missing, "", "none"}}}},
			func(r *Report) (Level, []Finding) { return r.Runtime.Verdict, r.Runtime.Findings },
			told{Broken, []string{"broken library"}, "none", "--onnxruntime"}},
		"too little memory": {Report{Machine: Machine{Free: 100}, Models: []Model{{Provider: "cpu", Memory: Memory{Weights: 60, CachePerText: 50}}}},
			func(r *Report) (Level, []Finding) { return r.Machine.Verdict, r.Machine.Findings },
			told{Warning, []string{"warning memory"}, "110 B", "smaller"}},
		"a GPU's memory is not the machine's": {Report{Machine: Machine{Free: 100}, Models: []Model{{Provider: "cuda", Memory: Memory{Weights: 500}}}},
			func(r *Report) (Level, []Finding) { return r.Machine.Verdict, r.Machine.Findings },
			told{verdict: OK}},
		"memory that is not told": {Report{Models: []Model{{Provider: "cpu", Memory: Memory{Weights: 500}}}},
			func(r *Report) (Level, []Finding) { return r.Machine.Verdict, r.Machine.Findings },
			told{verdict: OK}},
	} {
		t.Run(name, func(t *testing.T) {
			c.report.Judge()
			verdict, findings := c.of(&c.report)
			c.want.check(t, verdict, findings)
		})
	}
}

func TestEveryBrokenThingNamesAFix(t *testing.T) {
	m := sound("x")
	for _, part := range []string{"folder", "tokenizer", "configuration", "chat template", "context", "graph", "vocabulary", "run"} {
		for _, cause := range []Cause{Missing, Pointer, Unreadable, Damaged, Refused, Unfit, TooLarge, Differs, Unloaded} {
			m.Faults = append(m.Faults, Fault{part, cause, "", "x"})
		}
	}
	m.judge(&noGPU)
	for _, f := range m.Findings {
		if f.Level == Broken && len(f.Fix) < 10 {
			t.Errorf("%+v", f)
		}
	}
}
