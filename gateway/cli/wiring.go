package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway"
	"github.com/graft-gateway/graft/gateway/openai"
	"github.com/graft-gateway/graft/models"
	"github.com/graft-gateway/graft/models/chattemplate"
	"github.com/graft-gateway/graft/models/demo"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/proxy"
)

// wiring turns a configuration into routes. It owns the models: each folder is
// loaded once for each way to run it, however many routes have it, and closed by
// close. It owns the connections to base servers, and the caches of their rows and of the
// models' prompts.
type wiring struct {
	env     *onnx.Environment
	dir     string // of the configuration file; relative folders start there
	log     *slog.Logger
	loaded  map[loadKey]*models.Model
	order   []*models.Model
	clients map[string]*proxy.Client // by the base's name
	servers map[serverKey]*server
	rows    *rowCache                // nil without one
	prompts *promptCache             // nil without one
	meters  map[string]*decode.Meter // by the base's name
	garble  garble                   // nil leaves guesses as they are
}

// loadKey tells loaded models apart.
type loadKey struct {
	folder string
	run    Runtime
}

func newWiring(env *onnx.Environment, dir string, log *slog.Logger) *wiring {
	return &wiring{env: env, dir: dir, log: log, loaded: map[loadKey]*models.Model{}, clients: map[string]*proxy.Client{}, servers: map[serverKey]*server{}, meters: map[string]*decode.Meter{}}
}

// close closes the cache, the connections and all models, the last one first.
func (w *wiring) close() error {
	errs := []error{w.rows.close()}
	w.closeClients()
	for i := len(w.order) - 1; i >= 0; i-- {
		errs = append(errs, w.order[i].Close())
	}
	errs = append(errs, w.prompts.close()) // models fill it until they are closed
	return errors.Join(errs...)
}

// closeClients gives the connections to base servers back.
func (w *wiring) closeClients() {
	for _, client := range w.clients {
		client.Close()
	}
}

// routes loads what the configuration's routes are made of.
func (w *wiring) routes(ctx context.Context, c Config) ([]*gateway.Route, error) {
	var err error
	if w.rows, err = newRowCache(c, w.log); err != nil {
		return nil, err
	}
	if w.prompts, err = newPromptCache(c, w.log); err != nil {
		return nil, err
	}
	var routes []*gateway.Route
	for _, name := range c.Routes.names {
		route, err := w.route(ctx, c, name)
		if err != nil {
			return nil, fmt.Errorf("routes.%s: %w", name, err)
		}
		routes = append(routes, route)
	}
	return routes, nil
}

func (w *wiring) route(ctx context.Context, c Config, name string) (*gateway.Route, error) {
	config := c.Routes.values[name]
	large := c.Bases.values[config.Base]
	if large.remote() && len(config.Experts.names) == 0 {
		return w.passThrough(ctx, name, config.Base, large)
	}
	var pairs []*models.Pair
	for _, expert := range config.Experts.names {
		pair, err := w.pair(c.Experts.values[expert])
		if err != nil {
			return nil, fmt.Errorf("expert %s: %w", expert, err)
		}
		if len(pairs) > 0 {
			if err := models.CheckVocabularies(pairs[0].Tuned(), pair.Tuned()); err != nil {
				return nil, fmt.Errorf("expert %s: %w", expert, err)
			}
		}
		pairs = append(pairs, pair)
	}
	if large.remote() {
		speaker := pairs[0].Tuned()
		remote, err := w.server(ctx, config.Base, large, text{speaker.Tokenizer()}, speaker.Vocabulary())
		if err != nil {
			return nil, err
		}
		return w.assemble(name, config, part{remote.source(w.rows), remote.context(), nil}, pairs)
	}
	model, err := w.model(large.Folder, large.Runtime)
	if err != nil {
		return nil, err
	}
	for i, pair := range pairs {
		if err := models.CheckVocabularies(model, pair.Tuned()); err != nil {
			return nil, fmt.Errorf("expert %s: %w", config.Experts.names[i], err)
		}
	}
	source := decode.Base(base{model})
	if large.TopLogprobs > 0 && len(pairs) > 0 {
		source = truncated{source, model.Vocabulary(), large.TopLogprobs, large.named()}
	}
	route, err := w.assemble(name, config, part{source, model.Context(), model}, pairs)
	if err != nil || len(pairs) > 0 {
		return route, err
	}
	route.Fingerprint, err = w.fingerprint(large, model)
	return route, err
}

// part is the base of a route that is assembled.
type part struct {
	base    decode.Base
	context int           // tokens; 0 if a server does not tell
	model   *models.Model // nil for a server's
}

// assemble makes a route of loaded parts. Template and end tokens are those of the
// first tuned model, the base's own on a route without experts.
func (w *wiring) assemble(name string, config RouteConfig, large part, pairs []*models.Pair) (*gateway.Route, error) {
	speaker, context := large.model, large.context
	for i, pair := range pairs {
		if i == 0 {
			speaker = pair.Tuned()
		}
		if context == 0 || pair.Context() < context {
			context = pair.Context()
		}
	}
	prompters, err := w.prompters(config.Prompt, speaker)
	if err != nil {
		return nil, err
	}
	vocabulary := speaker.Vocabulary()
	route := &gateway.Route{
		Name: name, BaseName: config.Base, Base: large.base, Prompter: prompters.base,
		Text: text{speaker.Tokenizer()}, Vocabulary: vocabulary, Ends: speaker.Ends(), Context: context,
		Bounds: config.Bounds.orDefault(), Tail: config.Tail, Created: time.Now().Unix(),
		TopLogprobs:        logprobsCap(config.Logprobs.Chat, vocabulary.Size()),
		CompletionLogprobs: logprobsCap(config.Logprobs.Completions, vocabulary.Size()),
		Info:               openai.TokenizerInfo{BOSToken: speaker.BOS(), EOSToken: speaker.EOS(), ModelMaxLength: context},
	}
	if len(pairs) > 0 {
		route.Drafters = w.drafters(config.Base)
	}
	for i, pair := range pairs {
		expert := config.Experts.names[i]
		route.Experts = append(route.Experts, gateway.Expert{
			Name: expert, Small: small{pair}, Tuned: prompters.tuned, Untuned: prompters.untuned, Weight: config.Experts.values[expert],
		})
	}
	return route, nil
}

// fingerprint tells another gateway, whose base the route is, when its model is
// another one.
func (w *wiring) fingerprint(large BaseModel, model *models.Model) (string, error) {
	files, err := w.folder(large.Folder)
	if err != nil {
		return "", err
	}
	sum, err := files.Fingerprint()
	if err != nil {
		return "", err
	}
	provider, _ := model.Provider()
	whole := sha256.Sum256(fmt.Appendf(nil, "%s %s %q %v %s", sum, model.Vocabulary().Fingerprint(), large.Graph, large.Exact, provider))
	return hex.EncodeToString(whole[:16]), nil
}

// logprobsCap reads a cap of the configuration.
func logprobsCap(configured, vocabulary int) int {
	switch {
	case configured < 0:
		return vocabulary
	case configured == 0:
		return min(20, vocabulary)
	}
	return min(configured, vocabulary)
}

// prompters are what each role sees of a conversation.
type prompters struct{ base, tuned, untuned gateway.Prompter }

func (w *wiring) prompters(config Prompt, speaker *models.Model) (p prompters, err error) {
	for _, role := range []struct {
		name, how string
		dst       *gateway.Prompter
	}{{"base", config.Base, &p.base}, {"tuned", config.Tuned, &p.tuned}, {"untuned", config.Untuned, &p.untuned}} {
		if *role.dst, err = w.prompter(role.how, speaker); err != nil {
			return p, fmt.Errorf("prompt.%s: %w", role.name, err)
		}
	}
	return p, nil
}

// prompter is chat, plain or a template file.
func (w *wiring) prompter(how string, speaker *models.Model) (gateway.Prompter, error) {
	switch how {
	case "", "chat":
		return chat{speaker}, nil
	case "plain":
		return plain{speaker}, nil
	}
	source, err := os.ReadFile(w.path(how))
	if err != nil {
		return nil, fmt.Errorf("must be chat, plain or a template file: %w", err)
	}
	template, err := chattemplate.Parse(string(source))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", how, err)
	}
	return templated{template, speaker}, nil
}

func (w *wiring) pair(config ExpertPair) (*models.Pair, error) {
	tuned, err := w.model(config.Tuned, config.Runtime)
	if err != nil {
		return nil, err
	}
	untuned, err := w.model(config.Untuned, config.Runtime)
	if err != nil {
		return nil, err
	}
	return models.NewPair(tuned, untuned)
}

// model loads a folder, or finds it loaded.
func (w *wiring) model(folder string, run Runtime) (*models.Model, error) {
	key := loadKey{folder, run}
	if m, ok := w.loaded[key]; ok {
		return m, nil
	}
	files, err := w.folder(folder)
	if err != nil {
		return nil, err
	}
	m, err := models.Load(w.env, files, run.options())
	if err != nil {
		return nil, err
	}
	w.loaded[key] = m
	w.order = append(w.order, m)
	w.prompts.keep(m, w.log)
	return m, nil
}

func (r Runtime) options() models.Options {
	return models.Options{Graph: r.Graph, Provider: r.Provider, Device: r.Device, Threads: r.Threads, Context: r.Context, Exact: r.Exact}
}

// folder finds a model folder on disk or in the binary.
func (w *wiring) folder(name string) (models.Folder, error) {
	member, embedded := strings.CutPrefix(name, "embedded:")
	if !embedded {
		return models.OpenFolder(w.path(name))
	}
	files, err := demo.Folder(member)
	if errors.Is(err, fs.ErrNotExist) {
		return models.Folder{}, fmt.Errorf("%s is not in the embedded family: %s", name, strings.Join(demo.Names(), ", "))
	}
	return models.InMemory(name, files), err
}

func (w *wiring) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(w.dir, name)
}
