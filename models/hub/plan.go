package hub

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Plan is what to fetch for one variant.
type Plan struct {
	Listing *Listing
	Variant Variant
	// Home is the folder, within the repository, that is the model's: the one with
	// tokenizer.json. "." is the repository itself.
	Home  string
	Files []File
	// Notes are what a person should know of what is not there.
	Notes []string
}

// Bytes is the size of all files.
func (p Plan) Bytes() (total int64) {
	for _, f := range p.Files {
		total += f.Size
	}
	return total
}

// Graph is the graph's path within Home.
func (p Plan) Graph() string {
	return strings.TrimPrefix(p.Variant.Graph.Path, strings.TrimPrefix(p.Home+"/", "./"))
}

// companions are the files beside a graph that a model is made of.
func companions() []string {
	return []string{
		"config.json", "generation_config.json", "genai_config.json",
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"chat_template.jinja", "chat_template.json",
	}
}

func companion(base string) bool { return slices.Contains(companions(), base) }

// extra tells the named chat templates of the model in home, such as tool_use.
func extra(home, name string) bool {
	return path.Dir(name) == path.Join(home, "additional_chat_templates") && path.Ext(name) == ".jinja"
}

// Plan says what a variant needs.
func (l *Listing) Plan(v Variant) (Plan, error) {
	p := Plan{Listing: l, Variant: v}
	home, ok := l.home(v.Graph.Path)
	if !ok {
		return p, fmt.Errorf("%s has no tokenizer.json for %s: Graft reads no other kind of tokenizer; make one with\n\n    python -c \"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('%s').save_pretrained('./models/%s')\"",
			l.Repository, printable(v.Graph.Path), l.Repository, path.Base(l.Repository))
	}
	p.Home = home
	for _, name := range companions() {
		if f, ok := l.file(path.Join(home, name)); ok {
			p.Files = append(p.Files, f)
		}
	}
	for _, f := range l.Files {
		if extra(home, f.Path) {
			p.Files = append(p.Files, f)
		}
	}
	if !l.tellsContext(home) {
		p.Notes = append(p.Notes, "the repository has neither config.json nor genai_config.json, which tell a model's context and end tokens: serving it needs context in the configuration")
	}
	p.Files = append(append(p.Files, v.Graph), v.Data...)
	return p, nil
}

// tellsContext says whether a folder has one of the files that tell a model's context.
func (l *Listing) tellsContext(home string) bool {
	_, hub := l.file(path.Join(home, "config.json"))
	_, genai := l.file(path.Join(home, "genai_config.json"))
	return hub || genai
}

// home is the nearest folder above a graph that has a tokenizer. The Hub's folder
// onnx/ is a drawer for graphs, whatever else lies in it: the folder above comes first.
func (l *Listing) home(graph string) (string, bool) {
	folder := path.Dir(graph)
	if path.Base(folder) == "onnx" {
		if home, ok := l.home(folder); ok {
			return home, true
		}
	}
	for {
		if _, ok := l.file(path.Join(folder, "tokenizer.json")); ok {
			return folder, true
		}
		if folder == "." || folder == "/" {
			return "", false
		}
		folder = path.Dir(folder)
	}
}

func (l *Listing) file(name string) (File, bool) {
	i := slices.IndexFunc(l.Files, func(f File) bool { return f.Path == name })
	if i < 0 {
		return File{}, false
	}
	return l.Files[i], true
}
