package models

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/chattemplate"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/models/prefix"
	"github.com/graft-gateway/graft/models/tokenizer"
)

// Options say how to load a model. Their zero value suits most.
type Options struct {
	Graph    string        // file in the folder; empty: the one that the folder names, the usual one, or the only one
	Provider onnx.Provider // empty: CUDA if it loads, else CPU
	Device   int           // which GPU
	Threads  int           // of one run; 0: the runtime's default
	Context  int           // shortens the model's own; 0 does not
	Exact    bool          // rows on CPU do not depend on how tokens were grouped, to the last bit; see onnx.Options.ExactShapes
}

// Model is a loaded model folder. It owns its session and is safe for concurrent
// use.
type Model struct {
	name      string
	folder    Folder
	graph     string // the file in it
	tokenizer *tokenizer.Tokenizer
	template  *chattemplate.Template // nil if the folder has none
	config    config
	session   *onnx.Session
	prompts   atomic.Pointer[prefix.Model] // nil before KeepPrompts is ready
	keeping   keeping
}

// Load reads a folder and opens its graph. The model belongs to the caller, who
// closes it before env.
func Load(env *onnx.Environment, folder Folder, o Options) (*Model, error) {
	m, err := read(folder)
	if err != nil {
		return nil, err
	}
	if err := m.setContext(o.Context); err != nil {
		return nil, err
	}
	source, file, err := folder.graph(o.Graph, m.config.graph)
	if err != nil {
		return nil, err
	}
	m.graph = file
	m.session, err = onnx.OpenSession(env, source, onnx.Options{
		Provider: o.Provider, Device: o.Device, Threads: o.Threads, Context: m.config.context, ExactShapes: o.Exact, Trial: m.trial(),
	})
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", m.name, err)
	}
	m.config.context = m.session.Context()
	if err := cmp.Or(m.roomy(m.config.context), m.scoresAll(m.session.Vocabulary())); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// trial is a text for a new session to be tried on: ids of one are never rows of zeros,
// as those of padding and of tokens that are not in use can be.
func (m *Model) trial() []eft.Token {
	return m.tokenizer.Encode("The river rises in the hills.", false)
}

// scoresAll fails if so many scores in a row are fewer than the tokenizer's ids.
func (m *Model) scoresAll(rows int) error {
	if size := m.Vocabulary().Size(); rows < size {
		return fmt.Errorf("model %s scores %d ids, its tokenizer has %d", m.name, rows, size)
	}
	return nil
}

// setContext takes what is asked for, within what the folder says.
func (m *Model) setContext(asked int) error {
	switch known := m.config.context; {
	case known == 0 && asked == 0 && m.config.twoParts:
		return fmt.Errorf("model folder %s holds an encoder-decoder (%s): only decoders that read nothing but text can be run", m.name, cmp.Or(m.config.architecture, m.config.kind))
	case known == 0 && asked == 0:
		return fmt.Errorf("model folder %s does not say its context: config.json has no max_position_embeddings; give the number of tokens as context in the configuration", m.name)
	case known > 0 && asked > known:
		return fmt.Errorf("model %s has a context of %d tokens, %d are asked for", m.name, known, asked)
	case asked > 0:
		m.config.context, m.config.shortened = asked, 0
	}
	return m.roomy(m.config.context)
}

// roomy fails if texts cannot have a token of prompt and one of answer.
func (m *Model) roomy(context int) error {
	if context < 2 {
		return fmt.Errorf("model %s has a context of %d tokens, which leaves no room for an answer: it takes 2, and with exact: true 3", m.name, context)
	}
	return nil
}

// read reads everything but the graph.
func read(folder Folder) (*Model, error) {
	m := &Model{name: folder.String(), folder: folder}
	var err error
	if m.tokenizer, err = folder.tokenizer(); err != nil {
		return nil, err
	}
	if m.config, err = folder.config(m.tokenizer); err != nil {
		return nil, err
	}
	if m.template, err = folder.template(); err != nil {
		return nil, fmt.Errorf("model folder %s: %w", folder, err)
	}
	return m, nil
}

// tokenizer loads the folder's tokenizer.
func (f Folder) tokenizer() (*tokenizer.Tokenizer, error) {
	data, err := f.read("tokenizer.json")
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.Load(data)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("model folder %s: %w: it is no JSON, or cut off: fetch it again", f, err)
	}
	if err != nil {
		return nil, fmt.Errorf("model folder %s: %w", f, err)
	}
	return t, nil
}

// template parses the folder's chat template, nil if it has none.
func (f Folder) template() (*chattemplate.Template, error) {
	sources, err := f.templateSources()
	if err != nil || len(sources) == 0 {
		return nil, err
	}
	source, err := sources.Pick(false)
	if err != nil {
		return nil, err
	}
	t, err := chattemplate.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.templateFile(), err)
	}
	return t, nil
}

// templateSources are the folder's chat templates: those in files of their own, or
// else those of the tokenizer's configuration.
func (f Folder) templateSources() (chattemplate.Sources, error) {
	extra, err := fs.Glob(f.files, chattemplate.ExtraTemplatesFolder+"/*.jinja")
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, name := range append(extra, chattemplate.ChatTemplateFile) {
		source, err := f.readOptional(name)
		if err != nil {
			return nil, err
		}
		if source != nil {
			files[name] = source
		}
	}
	if len(files) > 0 {
		return chattemplate.FromFiles(files), nil
	}
	config, err := f.readOptional("tokenizer_config.json")
	if err != nil || config == nil {
		return nil, err
	}
	return chattemplate.FromConfig(config)
}

// Close frees the session. Sequences must be closed before.
func (m *Model) Close() error {
	m.keeping.end()
	if prompts := m.prompts.Load(); prompts != nil {
		prompts.Close()
	}
	return m.session.Close()
}

// Name is where the model came from.
func (m *Model) Name() string { return m.name }

// Tokenizer turns text into the model's tokens.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tokenizer }

// Vocabulary is the tokenizer's.
func (m *Model) Vocabulary() *eft.Vocabulary { return m.tokenizer.Vocabulary() }

// Ends are the tokens that end a text.
func (m *Model) Ends() []eft.Token { return m.config.ends }

// Context is how many tokens a text can have.
func (m *Model) Context() int { return m.config.context }

// Provider is what computes the model, and a note if it is not what was wished for.
func (m *Model) Provider() (onnx.Provider, string) {
	return m.session.Provider(), m.session.ProviderNote()
}

// Tally is what the model's graph has run.
func (m *Model) Tally() onnx.Tally { return m.session.Tally() }

// Notes are what should be known of the model and does not hinder it.
func (m *Model) Notes() []string { return m.config.notes() }

// BOS and EOS are the special tokens that begin and end texts, empty if the folder
// names none.
func (m *Model) BOS() string { return m.config.special["bos_token"] }

// EOS is described at BOS.
func (m *Model) EOS() string { return m.config.special["eos_token"] }

// ErrNoTemplate says that a model cannot chat.
var ErrNoTemplate = errors.New("the model has no chat template: give its folder a chat_template.jinja, or set the route's prompt to plain or to a template file")

// Prompt renders a conversation with the model's template and returns the tokens
// that an answer continues. A template that refuses the conversation gives its own
// message.
func (m *Model) Prompt(ctx context.Context, messages []chattemplate.Message) ([]eft.Token, error) {
	if m.template == nil {
		return nil, ErrNoTemplate
	}
	return m.PromptWith(ctx, m.template, messages)
}

// PromptWith is Prompt with another template.
func (m *Model) PromptWith(ctx context.Context, template *chattemplate.Template, messages []chattemplate.Message) ([]eft.Token, error) {
	text, err := template.RenderInput(ctx, chattemplate.Input{
		Messages: messages, AddGenerationPrompt: true,
		Special: m.config.special,
	})
	if err != nil {
		return nil, err
	}
	// The template writes the special tokens itself.
	tokens := m.tokenizer.Encode(text, false)
	if len(tokens) == 0 {
		return nil, errEmptyPrompt
	}
	return tokens, nil
}

// errEmptyPrompt says that a template makes nothing of a conversation: no model can go on
// from a text without tokens.
var errEmptyPrompt = errors.New("it makes an empty prompt of them")
