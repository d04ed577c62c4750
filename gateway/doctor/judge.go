package doctor

import (
	"fmt"
	"strings"
)

// judge turns a model's facts into findings, the worst first.
func (m *Model) judge(runtime *Runtime) {
	m.Findings = broken(m.Faults, m.fix)
	add := func(level Level, part, problem, fix string) {
		m.Findings = append(m.Findings, Finding{level, part, problem, fix})
	}
	if m.Loaded && m.ProviderNote != "" && runtime.CUDA() {
		add(Warning, "provider", "it runs on the CPU although the library can use a GPU: "+m.ProviderNote,
			"mend that, or say provider: cpu where it is meant")
	}
	if m.Probe != nil && m.Probe.Slow {
		add(Warning, "speed", fmt.Sprintf("its first %d tokens took longer than %v", firstPrompt, patience), "choose a smaller variant of the graph, or a GPU")
	}
	if m.Vocabulary != nil && len(m.EndTokens) == 0 {
		level := Remark
		if m.Speaks {
			level = Warning
		}
		add(level, "end tokens", "it has none: texts go on to the most tokens that are asked for", "name one as eos_token_id in generation_config.json")
	}
	for _, remark := range m.Remarks {
		add(Remark, "configuration", remark, "")
	}
	m.judgeTemplate(add)
	for _, difference := range m.Others {
		add(Remark, "vocabulary", difference, "models of one route need one vocabulary")
	}
	m.Verdict = verdict(m.Findings)
}

// judgeTemplate says what matters about the chat template of a model that is chatted
// with, and of one that is not.
func (m *Model) judgeTemplate(add func(level Level, part, problem, fix string)) {
	const part = "chat template"
	chatted := func(yes, no Level) Level {
		if m.Chatted {
			return yes
		}
		return no
	}
	if m.ChatTemplate.Status == TemplateNone {
		add(chatted(Warning, Remark), part, "there is none: the model completes text and cannot be chatted with",
			"add a chat_template.jinja, or set the route's prompt to plain or to a template file")
	}
	for _, trial := range m.ChatTemplate.Trials {
		what := map[string]string{TrialUser: "a user's turn", TrialSystem: "a system turn", TrialTools: "tools"}[trial.Conversation]
		switch {
		case m.ChatTemplate.Status == TemplateRefused && trial.Conversation != TrialUser:
			// What is refused to everybody need not be told thrice.
		case trial.Refusal != "" && trial.Conversation == TrialUser:
			add(chatted(Broken, Warning), part, "it refuses "+what+": "+trial.Refusal, "take the template of the model's own folder on the Hub, or set the route's prompt to a template file")
		case trial.Refusal != "":
			add(Remark, part, "it refuses "+what+": "+trial.Refusal, "")
		case trial.Ignored && trial.Conversation == TrialUser:
			add(chatted(Warning, Remark), part, "it leaves out what the user says", "take the template of the model's own folder on the Hub")
		case trial.Ignored && trial.Conversation == TrialSystem:
			add(Remark, part, "it leaves out what a system turn says", "")
		}
	}
	if len(m.ChatTemplate.Unknown) > 0 {
		add(Remark, part, "it writes "+strings.Join(m.ChatTemplate.Unknown, ", ")+", which are no tokens of this tokenizer and are spelled out",
			"right if the model was tuned so; else the template belongs to another tokenizer")
	}
}

// fix says how to mend a fault of the model.
func (m *Model) fix(f Fault) string {
	file := f.File
	if file == "" {
		file = "the file"
	}
	switch f.Cause {
	case Pointer:
		return "run `git lfs pull` in " + m.Folder + ", or fetch the folder with `graft pull OWNER/NAME`"
	case Unreadable:
		return "give this user the right to read " + file
	case TooLarge:
		return "free memory, or choose a smaller variant of the graph (graph: in the configuration, --graph here)"
	case Damaged:
		if f.Part == "graph" { // the error says which of the two it is
			return "fetch " + file + " again, whole (`graft pull` compares sizes and hashes), or choose another variant or export of the model"
		}
		return "fetch " + file + " again, whole: `graft pull` compares sizes and hashes"
	case Unfit:
		return "set provider: cpu or auto, or run `make build ORT=cuda` on a machine with an NVIDIA GPU"
	case Unloaded:
		return "mend ONNX Runtime first"
	case Missing:
		return missing(f.Part, file)
	}
	return refused(f.Part, file)
}

// missing says how to mend what is not there.
func missing(part, file string) string {
	switch part {
	case "folder":
		return "correct the path, or fetch the folder with `graft pull OWNER/NAME`"
	case "graph":
		return "fetch an ONNX export with `graft pull OWNER/NAME`, or name the graph that is meant (graph: in the configuration, --graph here)"
	}
	return "put " + file + " into the folder: `graft pull OWNER/NAME` fetches all that is needed"
}

// refused says how to mend what was read and cannot be used.
func refused(part, file string) string {
	switch part {
	case "graph":
		return "choose another graph (graph: in the configuration, --graph here), or export the model anew: `optimum-cli export onnx --task text-generation-with-past`, or onnxruntime-genai's builder"
	case "tokenizer":
		return "save it anew with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
	case "context":
		return "say context: TOKENS in the configuration (--context here), no more than the model has"
	case "vocabulary":
		return "take graph and tokenizer.json from the same model"
	case "chat template":
		return "correct " + file + ", or set the route's prompt to another template file"
	case "run":
		return "choose another variant of the graph (graph: in the configuration, --graph here)"
	}
	return "correct " + file
}

// judge turns the facts of a route and the verdicts of its models into findings.
func (r *Route) judge(models []Model, servers []Server) {
	r.Findings = broken(r.Faults, r.fix)
	add := func(level Level, part, problem, fix string) {
		r.Findings = append(r.Findings, Finding{level, part, problem, fix})
	}
	byName := map[string]*Model{}
	for i := range models {
		byName[models[i].Name] = &models[i]
	}
	seen := map[string]bool{}
	for _, part := range r.parts() {
		m := byName[part.model]
		if m == nil || seen[part.model] {
			continue
		}
		seen[part.model] = true
		if m.Verdict == Broken {
			add(Broken, part.role, part.model+" is broken: "+first(m.Findings, Broken).Problem, "see the model")
		}
	}
	for _, s := range servers {
		if r.Server != s.Name {
			continue
		}
		if s.Verdict == Broken {
			add(Broken, "base", s.Name+" is broken: "+first(s.Findings, Broken).Problem, "see the base server")
		}
		r.Context, r.ContextOf = s.Context, s.Name
	}
	r.judgeContexts(byName, add)
	r.judgeEnds(byName, add)
	r.judgePadding(byName, add)
	r.Verdict = verdict(r.Findings)
}

// part is a model in its role, such as "tuned of chat".
type part struct{ role, model string }

func (r *Route) parts() []part {
	parts := []part{{"base", r.Base}} // no model where a server has it
	for _, e := range r.Experts {
		parts = append(parts, part{"tuned of " + e.Name, e.Tuned}, part{"untuned of " + e.Name, e.Untuned})
	}
	return parts
}

// judgeContexts finds which part makes the route's context shorter than its base's.
func (r *Route) judgeContexts(models map[string]*Model, add func(level Level, part, problem, fix string)) {
	for _, part := range r.parts() {
		m := models[part.model]
		if m == nil || m.Context == 0 {
			continue
		}
		if r.Context == 0 || m.Context < r.Context {
			r.Context, r.ContextOf = m.Context, part.model
		}
	}
	if base := models[r.Base]; base != nil && r.Context < base.Context {
		add(Remark, "context", fmt.Sprintf("%s has a context of %d tokens, the base one of %d: the smallest is the route's", r.ContextOf, r.Context, base.Context), "")
	}
}

// judgeEnds asks whether the base can say what ends the speaker's texts.
func (r *Route) judgeEnds(models map[string]*Model, add func(level Level, part, problem, fix string)) {
	speaker, base := models[r.Speaker], models[r.Base]
	if speaker == nil {
		return
	}
	r.EndTokens = speaker.EndTokens
	if base == nil || base.Vocabulary == nil || speaker == base {
		return
	}
	var unknown []string
	for _, end := range speaker.EndTokens {
		rows := base.Vocabulary.Rows
		if end.ID >= base.Vocabulary.Size || rows > 0 && end.ID >= rows {
			unknown = append(unknown, fmt.Sprintf("%d %q", end.ID, end.Piece))
		}
	}
	if len(unknown) > 0 {
		add(Broken, "end tokens", fmt.Sprintf("the base %s does not have %s, which end the texts of %s", r.Base, strings.Join(unknown, ", "), r.Speaker),
			"choose a base and a pair of one family")
	}
}

// judgePadding tells of graphs that score different numbers of ids.
func (r *Route) judgePadding(models map[string]*Model, add func(level Level, part, problem, fix string)) {
	least, most := (*Model)(nil), (*Model)(nil)
	for _, name := range r.models() {
		m := models[name]
		if m == nil || m.Vocabulary == nil || m.Vocabulary.Rows == 0 {
			continue
		}
		if least == nil || m.Vocabulary.Rows < least.Vocabulary.Rows {
			least = m
		}
		if most == nil || m.Vocabulary.Rows > most.Vocabulary.Rows {
			most = m
		}
	}
	if least != most && least.Vocabulary.Rows < most.Vocabulary.Rows && least.Vocabulary.Fingerprint == most.Vocabulary.Fingerprint {
		add(Remark, "padding", fmt.Sprintf("%s scores %d ids and %s %d: those beyond the %d of the vocabulary are masked",
			least.Name, least.Vocabulary.Rows, most.Name, most.Vocabulary.Rows, least.Vocabulary.Size), "")
	}
}

// fix says how to mend a fault between parts of a route.
func (r *Route) fix(f Fault) string {
	switch {
	case f.Cause == Differs:
		return "choose a base and pairs that share a tokenizer: compare the fingerprints of their vocabularies"
	case strings.HasPrefix(f.Part, "prompt."):
		return "set routes." + r.Name + "." + f.Part + " to chat, plain or a template file that renders this conversation"
	}
	return "correct routes." + r.Name + " in the configuration"
}

// first is the first finding of a level.
func first(findings []Finding, level Level) Finding {
	for _, f := range findings {
		if f.Level == level {
			return f
		}
	}
	return Finding{}
}
