package models

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/models/tokenizer"
)

// Description is what is known of a model, whether it can be run or not. What is not
// known is zero.
type Description struct {
	Name         string
	Graph        string // file in the folder
	Architecture string // as LlamaForCausalLM
	ModelType    string // as llama
	Context      int
	Ends         []eft.Token
	Template     string   // the file that the chat template is in; empty if there is none
	Notes        []string // as [Model.Notes]

	Facts        onnx.Facts    // of the graph
	Rows         int           // how many ids it scores
	Provider     onnx.Provider // what computes it; empty if it was not loaded
	ProviderNote string        // why not CUDA

	Faults []Fault // why it cannot be run; none for a loaded model

	model *Model // without a session if there are faults
}

// Part is the part of a folder that a fault is in.
type Part string

// The parts, in the order in which loading comes to them.
const (
	PartFolder        Part = "folder"
	PartTokenizer     Part = "tokenizer"
	PartConfiguration Part = "configuration"
	PartTemplate      Part = "chat template"
	PartContext       Part = "context"
	PartGraph         Part = "graph"
	PartVocabulary    Part = "vocabulary"
)

// Cause is the kind of a fault.
type Cause string

// The causes. Refused is what was read and cannot be used.
const (
	CauseMissing    Cause = "missing"
	CausePointer    Cause = "pointer"    // Git's, in place of a large file
	CauseUnreadable Cause = "unreadable" // for want of permission
	CauseDamaged    Cause = "damaged"    // cut short, or no such file
	CauseRefused    Cause = "refused"
	CauseUnfit      Cause = "unfit" // the provider asked for does not load
)

// Fault is one reason why a model cannot be run.
type Fault struct {
	Part  Part
	Cause Cause
	File  string // in the folder, if it is about a file
	Err   error  // as Load gives it, where it comes that far
}

// Describe tells what is known of a loaded model.
func (m *Model) Describe() Description {
	d := m.describe()
	d.Facts, d.Rows = m.session.Facts(), m.session.Vocabulary()
	d.Provider, d.ProviderNote = m.Provider()
	return d
}

// describe tells what was read beside the graph.
func (m *Model) describe() Description {
	d := Description{
		Name: m.name, Graph: m.graph, model: m,
		Architecture: m.config.architecture, ModelType: m.config.kind, Context: m.config.context,
		Ends: m.config.ends, Notes: m.Notes(),
	}
	if m.template != nil {
		d.Template = m.folder.templateFile()
	}
	return d
}

// Inspect reads a folder that Load refuses and finds everything that is wrong with it,
// part by part; the first fault is the one that Load stops at. With a nil env the
// graph is looked for and not opened.
func Inspect(env *onnx.Environment, folder Folder, o Options) Description {
	in := inspection{model: &Model{name: folder.String(), folder: folder}}
	in.readFiles(o)
	source, file, err := folder.graph(o.Graph, in.model.config.graph)
	in.model.graph = file
	d := in.model.describe()
	d.Template = in.template
	switch {
	case err != nil:
		in.fault(PartGraph, cmp.Or(file, o.Graph), err)
	case env != nil:
		in.open(env, source, o, &d)
	case folder.pointer(file):
		in.fault(PartGraph, file, &PointerError{folder.name + "/" + file})
	}
	d.Faults = in.faults
	return d
}

// GraphBytes is the size of the graph's file and of those beside it that continue its
// name, as external data does; 0 if there is none.
func (f Folder) GraphBytes(o Options) int64 {
	config, _ := f.config(nil) // what cannot be read names no graph
	_, file, err := f.graph(o.Graph, config.graph)
	if err != nil {
		return 0
	}
	entries, _ := fs.ReadDir(f.files, path.Dir(file)) // the graph was found in it
	total := int64(0)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasPrefix(entry.Name(), path.Base(file)) && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	return total
}

// inspection is the state of Inspect.
type inspection struct {
	model    *Model // as far as it can be read
	template string // the file with the template, parsed or not
	faults   []Fault
}

func (in *inspection) fault(part Part, file string, err error) {
	in.faults = append(in.faults, Fault{part, in.model.folder.cause(part, file, err), file, err})
}

// readFiles reads everything but the graph.
func (in *inspection) readFiles(o Options) {
	m, folder := in.model, in.model.folder
	var err error
	if m.tokenizer, err = folder.tokenizer(); err != nil {
		in.fault(PartTokenizer, "tokenizer.json", err)
	}
	m.config, err = folder.config(m.tokenizer)
	wrong := map[string]bool{}
	for _, one := range split(err) {
		file := folder.named(one)
		wrong[file] = true
		in.fault(PartConfiguration, file, one)
	}
	m.template, err = folder.template()
	if in.template = folder.templateFile(); m.template == nil && err == nil {
		in.template = ""
	}
	if err != nil && !wrong[in.template] {
		in.fault(PartTemplate, in.template, fmt.Errorf("model folder %s: %w", folder, err))
	}
	// A file that cannot be read is why there is no context.
	if err := m.setContext(o.Context); err != nil && !(m.config.context == 0 && len(wrong) > 0) {
		in.fault(PartContext, "config.json", err)
	}
}

// open opens the graph for as long as it takes to read its facts.
func (in *inspection) open(env *onnx.Environment, source onnx.Source, o Options, d *Description) {
	m := in.model
	options := onnx.Options{Provider: o.Provider, Device: o.Device, Threads: o.Threads, Context: m.config.context, ExactShapes: o.Exact}
	if m.tokenizer != nil {
		options.Trial = m.trial()
	}
	if options.Context == 0 { // not known: nothing is run, any will do
		options.Context, options.ExactShapes = 2, false
	}
	session, err := onnx.OpenSession(env, source, options)
	if err != nil {
		in.fault(PartGraph, m.graph, fmt.Errorf("model %s: %w", m.name, err))
		if o.Provider == "" || o.Provider == onnx.Auto || o.Provider == onnx.CPU {
			return
		}
		// What is known of the graph does not depend on the provider that was asked for.
		options.Provider = onnx.CPU
		if session, err = onnx.OpenSession(env, source, options); err != nil {
			return
		}
		in.faults[len(in.faults)-1].Cause = CauseUnfit
	} else {
		d.Provider, d.ProviderNote = session.Provider(), session.ProviderNote()
	}
	d.Facts, d.Rows = session.Facts(), session.Vocabulary()
	if err := m.roomy(session.Context()); err != nil && m.config.context >= 2 {
		in.fault(PartContext, "config.json", err)
	}
	if m.tokenizer != nil {
		if err := m.scoresAll(d.Rows); err != nil {
			in.fault(PartVocabulary, "tokenizer.json", err)
		}
	}
	if err := session.Close(); err != nil {
		in.fault(PartGraph, m.graph, fmt.Errorf("model %s: %w", m.name, err))
	}
}

// split takes joined errors apart.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, split(one)...)
	}
	return all
}

// named is the configuration file that an error of config begins with.
func (f Folder) named(err error) string {
	text, _ := strings.CutPrefix(err.Error(), f.name+"/")
	return text[:max(0, strings.IndexAny(text, ": "))]
}

// templateFile is the file that the chat template is in, or would be.
func (f Folder) templateFile() string {
	if _, err := fs.Stat(f.files, "chat_template.jinja"); err == nil {
		return "chat_template.jinja"
	}
	return "tokenizer_config.json"
}

// cause tells why reading a file failed.
func (f Folder) cause(part Part, file string, err error) Cause {
	var pointer *PointerError
	var refused *onnx.RefusedError
	var unknown *tokenizer.LoadError
	var syntax *json.SyntaxError
	_, missing := fs.Stat(f.files, path.Clean(file))
	switch {
	case part == PartContext:
		return CauseRefused
	case errors.As(err, &pointer) || f.pointer(file):
		return CausePointer
	case errors.Is(missing, fs.ErrNotExist) || file == "":
		return CauseMissing
	case errors.Is(err, fs.ErrPermission):
		return CauseUnreadable
	case errors.As(err, &refused) || errors.As(err, &unknown):
		return CauseRefused
	case errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || part == PartGraph:
		return CauseDamaged
	}
	return CauseRefused
}

// pointer says whether Git's pointer lies in a file's place.
func (f Folder) pointer(file string) bool {
	if f.regular(path.Clean(file)) != nil {
		return false
	}
	opened, err := f.files.Open(path.Clean(file))
	if err != nil {
		return false
	}
	defer opened.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(opened, head) // a short file is read as far as it goes
	return isPointer(head[:n])
}

// Shares fails as [CheckVocabularies] does, and where one of the two has no tokenizer
// to compare.
func (d *Description) Shares(other *Description) error {
	for _, one := range []*Description{d, other} {
		if one.Tokenizer() == nil {
			return fmt.Errorf("the vocabulary of %s is not known", one.Name)
		}
	}
	return CheckVocabularies(d.model, other.model)
}

// Tokenizer is nil if it cannot be read.
func (d *Description) Tokenizer() *tokenizer.Tokenizer {
	if d.model == nil {
		return nil
	}
	return d.model.tokenizer
}

// Epsilon measures how far a model's rows depend on how tokens are grouped into runs:
// see [onnx.Epsilon].
func (m *Model) Epsilon(ctx context.Context, tokens []eft.Token) ([]onnx.Difference, error) {
	return onnx.Epsilon(ctx, m.session, tokens)
}
