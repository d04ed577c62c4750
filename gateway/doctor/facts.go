package doctor

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

// fact is one line of a block; those without a value are left out.
type fact struct{ word, value string }

func (c *Configuration) facts(r *Report) []fact {
	if c.Listen == "" {
		return []fact{{"examined", plural(len(r.Models), "model folder", "model folders")}}
	}
	keys := "none in " + c.KeysEnv + ": everybody may call"
	if c.Keys > 0 {
		keys = fmt.Sprintf("%d in %s", c.Keys, c.KeysEnv)
	}
	return []fact{{"listens on", c.Listen}, {"clients' keys", keys}, {"examined", plural(len(r.Routes), "route", "routes") + ", " + plural(len(r.Models), "model", "models")}}
}

func (r *Runtime) facts() []fact {
	var providers []string
	for _, p := range r.Providers {
		providers = append(providers, strings.TrimSuffix(p, "ExecutionProvider"))
	}
	facts := []fact{{"library", r.Library}, {"named by", r.NamedBy}, {"providers", strings.Join(providers, ", ")}}
	return facts
}

func (m *Machine) facts() []fact {
	processors := fmt.Sprint(m.Processors)
	if m.Threads != m.Processors {
		processors += fmt.Sprintf(", %d of them for this process", m.Threads)
	}
	memory := "not known"
	if m.Memory > 0 {
		memory = fmt.Sprintf("%s free of %s", bytesOf(m.Free), bytesOf(m.Memory))
	}
	if m.Needed > 0 {
		memory += fmt.Sprintf("; the models need about %s", bytesOf(m.Needed))
	}
	return []fact{{"processors", processors}, {"memory", memory}}
}

func (m *Model) facts(cuda bool) []fact {
	architecture := m.Architecture
	if architecture == "" {
		architecture = m.ModelType
	} else if m.ModelType != "" {
		architecture += " (" + m.ModelType + ")"
	}
	folder := m.Folder
	if folder == m.Name {
		folder = ""
	}
	facts := []fact{{"folder", folder}, {"serves", strings.Join(m.Serves, ", ")}, {"graph", m.Graph}, {"architecture", architecture}}
	if m.Parameters > 0 {
		facts = append(facts, fact{"parameters", humanize.Comma(m.Parameters)})
	}
	for _, note := range m.Notes {
		facts = append(facts, fact{"graph note", note})
	}
	facts = append(facts, fact{"weights", m.weights()}, fact{"KV cache", m.cache()}, fact{"provider", m.provider(cuda)}, fact{"memory", m.memory()})
	if m.Context > 0 {
		facts = append(facts, fact{"context", humanize.Comma(int64(m.Context)) + " tokens"})
	}
	return append(facts, fact{"vocabulary", m.vocabulary()}, fact{"end tokens", pieces(m.EndTokens)},
		fact{"chat template", m.ChatTemplate.line()}, fact{"speed", m.Probe.speed()}, fact{"epsilon", m.Probe.epsilon()})
}

func (m *Model) weights() string {
	if m.Memory.Weights == 0 {
		return m.DType
	}
	return m.DType + ", " + bytesOf(m.Memory.Weights)
}

func (m *Model) cache() string {
	if m.KVStrategy == "" {
		return ""
	}
	line := fmt.Sprintf("%s, %s, %s a token", m.KVStrategy, m.CacheDType, bytesOf(m.Memory.CachePerStep))
	if m.Memory.CachePerText > 0 {
		line += fmt.Sprintf(", %s at full context", bytesOf(m.Memory.CachePerText))
	}
	return line
}

// provider says what computes the model, and why not a GPU. That the library was built
// without is said in fewer words than the note's, for every model has it.
func (m *Model) provider(cuda bool) string {
	switch {
	case m.ProviderNote == "":
		return m.Provider
	case !cuda:
		return m.Provider + ", for this ONNX Runtime was built without CUDA"
	}
	return m.Provider + ", not on a GPU: " + m.ProviderNote
}

func (m *Model) memory() string {
	if !m.Loaded {
		return ""
	}
	return fmt.Sprintf("the process grew by %s; loaded in %.2g s", bytesOf(m.Memory.Growth), m.LoadSeconds)
}

func (m *Model) vocabulary() string {
	v := m.Vocabulary
	if v == nil {
		return ""
	}
	rows := ""
	if v.Rows > 0 {
		rows = fmt.Sprintf(", %s scored", humanize.Comma(int64(v.Rows)))
	}
	if v.Padding > 0 {
		rows += fmt.Sprintf(" (%s padding)", humanize.Comma(int64(v.Padding)))
	}
	return fmt.Sprintf("%s ids%s; fingerprint %.16s", humanize.Comma(int64(v.Size)), rows, v.Fingerprint)
}

func pieces(tokens []Token) string {
	var all []string
	for _, t := range tokens {
		all = append(all, fmt.Sprintf("%q (%d)", t.Piece, t.ID))
	}
	return strings.Join(all, ", ")
}

func (t *Template) line() string {
	if t.Status == "" || t.Status == TemplateNone {
		return t.Status
	}
	line := t.Status
	if t.Source != "" {
		line += ", from " + t.Source
	}
	for i, trial := range t.Trials {
		sep := ", "
		if i == 0 {
			sep = "; "
		}
		switch {
		case trial.Refusal != "":
			line += fmt.Sprintf("%srefuses %s", sep, trial.Conversation)
		case trial.Ignored:
			line += fmt.Sprintf("%sleaves out %s", sep, trial.Conversation)
		case trial.Tokens == 0:
			line += sep + trial.Conversation + " renders"
		default:
			line += fmt.Sprintf("%s%s in %d tokens", sep, trial.Conversation, trial.Tokens)
		}
	}
	return line
}

func (p *Probe) speed() string {
	if p == nil || p.Slow {
		return ""
	}
	return fmt.Sprintf("%s tokens/s one at a time, %s tokens/s of a prompt of %d", speedOf(p.StepsPerSecond), speedOf(p.PromptPerSecond), p.Prompt)
}

// speedOf shows a rate with as many digits as it is worth.
func speedOf(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.2g", rate)
	}
	return humanize.Comma(int64(rate + 0.5))
}

func (p *Probe) epsilon() string {
	switch {
	case p == nil:
		return ""
	case p.Epsilon == nil:
		return p.EpsilonNote
	}
	return fmt.Sprintf("%.2g nats between one token at a time and many", *p.Epsilon)
}

func (r *Route) facts() []fact {
	facts := []fact{{"base", r.Base}}
	for _, e := range r.Experts {
		facts = append(facts, fact{"expert " + e.Name, fmt.Sprintf("%g × (%s − %s)", e.Weight, e.Tuned, e.Untuned)})
	}
	if len(r.Experts) > 0 {
		facts = append(facts, fact{"speaks as", r.Speaker})
	}
	if r.Context > 0 {
		facts = append(facts, fact{"context", humanize.Comma(int64(r.Context)) + " tokens"})
	}
	facts = append(facts, fact{"end tokens", pieces(r.EndTokens)})
	var prompts []string
	for _, p := range r.Prompts {
		prompt := p.Role + " " + p.How
		if p.Tokens > 0 {
			prompt += fmt.Sprintf(" (%d tokens)", p.Tokens)
		}
		prompts = append(prompts, prompt)
	}
	return append(facts, fact{"prompts", strings.Join(prompts, ", ")})
}
