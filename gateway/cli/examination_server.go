package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/graft-gateway/graft/gateway/doctor"
	"github.com/graft-gateway/graft/gateway/store"
	"github.com/graft-gateway/graft/proxy"
)

// servers examines the bases behind servers, and the cache of their rows.
func (e *examination) servers(ctx context.Context, c Config) error {
	for _, name := range c.Bases.names {
		large := c.Bases.values[name]
		if !large.remote() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Fprintf(e.progress, "\r\x1b[Kasking base server %s", name)
		e.report.Servers = append(e.report.Servers, e.server(ctx, c, name, large))
	}
	if len(e.report.Servers) > 0 {
		e.report.Store = examineStore(ctx, c.Cache)
	}
	return ctx.Err()
}

// server finds out what a base server can do, for the pairs of its routes.
func (e *examination) server(ctx context.Context, c Config, name string, large BaseModel) doctor.Server {
	out := doctor.Server{Name: name, URL: large.URL, Model: large.Model, Serves: []string{}}
	if u, err := url.Parse(large.URL); err == nil {
		out.URL = u.Redacted()
	}
	fault := func(part string, cause doctor.Cause, err error) {
		out.Faults = append(out.Faults, doctor.Fault{Part: part, Cause: cause, Problem: err.Error()})
	}
	if err := large.check(); err != nil {
		fault("configuration", doctor.Refused, err)
		return out
	}
	speakers, through := e.speakers(c, name, &out)
	wiring := newWiring(e.env, e.dir, e.log)
	defer wiring.closeClients()
	if t := &large.Timeouts; t.FirstByte == 0 || t.FirstByte > serverPatience {
		t.FirstByte = serverPatience
	}
	if out.PassThrough = len(speakers) == 0 && through; out.PassThrough {
		if err := wiring.tryPassThrough(ctx, name, large, &out); err != nil {
			fault("server", causeOf(err), err)
		}
		return out
	}
	if len(speakers) == 0 {
		fault("vocabulary", doctor.Unloaded, errors.New("the tokenizer of its routes' pairs cannot be read: it was not asked"))
		return out
	}
	for _, speaker := range speakers {
		tokenizer := speaker.description.Tokenizer()
		server, err := wiring.server(ctx, name, large, text{tokenizer}, tokenizer.Vocabulary())
		if err != nil {
			fault("server", causeOf(err), err)
			return out
		}
		describeServer(&out, server)
		if e.probe > 0 {
			rows, err := doctor.MeasureServer(ctx, tokenizer.Vocabulary(), func() doctor.ServerText {
				return server.base.Open("", tokenizer.Encode("The river rises in the hills, and the town on its bank has an old mill.", true))
			})
			if err != nil {
				fault("rows", causeOf(err), err)
			} else {
				out.Rows = &rows
			}
		}
	}
	return out
}

// speakers are the tuned models of the server's routes whose tokenizers could be read,
// one for each vocabulary; through says that a route has no experts.
func (e *examination) speakers(c Config, base string, out *doctor.Server) (speakers []*examined, through bool) {
	seen := map[string]bool{}
	for _, name := range c.Routes.names {
		route := c.Routes.values[name]
		if route.Base != base {
			continue
		}
		out.Serves = append(out.Serves, name)
		if len(route.Experts.names) == 0 {
			through = true
			continue
		}
		pair, ok := c.Experts.values[route.Experts.names[0]]
		if !ok {
			continue
		}
		speaker := e.known[loadKey{pair.Tuned, pair.Runtime}]
		if t := speaker.description.Tokenizer(); t != nil && !seen[t.Vocabulary().Fingerprint()] {
			seen[t.Vocabulary().Fingerprint()] = true
			speakers = append(speakers, speaker)
		}
	}
	return speakers, through
}

// tryPassThrough asks a server that requests are passed on to whether it is there, takes
// the key, and has the model. Serving finds that out with the first request.
func (w *wiring) tryPassThrough(ctx context.Context, name string, large BaseModel, out *doctor.Server) error {
	client, err := w.client(name, large.BaseServer)
	if err != nil {
		return err
	}
	names, err := proxy.Models(ctx, client)
	var fault *proxy.Error
	switch {
	case large.Model != "" && errors.As(err, &fault) && (fault.Status == http.StatusNotFound || fault.Status == http.StatusMethodNotAllowed):
		out.Notes = append(out.Notes, "it lists no models: whether it has "+large.Model+" shows the first request")
		return nil
	case err != nil:
		return err
	case large.Model == "" && len(names) != 1:
		return fmt.Errorf("base %s: the server has %d models, say which as model: %s", name, len(names), strings.Join(names, ", "))
	case large.Model == "":
		out.Model = names[0]
	case !slices.Contains(names, large.Model):
		return fmt.Errorf("base %s: the server has no model %q; it has %s", name, large.Model, strings.Join(names, ", "))
	}
	return nil
}

// causeOf is the kind of fault that an error of a base server is.
func causeOf(err error) doctor.Cause {
	var fault *proxy.Error
	if !errors.As(err, &fault) {
		return doctor.Refused
	}
	switch {
	case fault.Status == http.StatusUnauthorized || fault.Status == http.StatusForbidden:
		return doctor.Denied
	case distrusted(err):
		return doctor.Refused
	case slices.Contains([]proxy.Fault{proxy.Unreachable, proxy.TimedOut, proxy.Open}, fault.Fault):
		return doctor.Missing
	}
	return doctor.Refused
}

// describeServer puts what a server can do into the report.
func describeServer(out *doctor.Server, s *server) {
	c := s.base.Caps()
	out.Dialect, out.Version, out.Model, out.Identity = c.Dialect, c.Version, c.Model, c.Identity
	out.Context, out.VocabSize = s.context(), c.VocabSize
	out.TopLogprobs, out.TopLogprobsCap, out.CapFlag, out.Dense = c.TopLogprobs, c.TopLogprobsCap, c.CapFlag, c.Dense
	out.Names, out.Tokens, out.Batch, out.Scoring = c.Names, string(c.Tokens), c.Batch, string(c.Scoring)
	out.Stream, out.PrefixCache, out.Isolation, out.Notes = c.Stream, c.PrefixCache, c.Isolation, c.Notes
}

// examineStore looks whether the cache's tiers work.
func examineStore(ctx context.Context, c Cache) *doctor.Store {
	out := &doctor.Store{Memory: c.memory()}
	if c.Redis == "" {
		return out
	}
	if u, err := url.Parse(c.Redis); err == nil {
		out.Redis = u.Redacted()
	}
	fault := func(err error) {
		out.Faults = append(out.Faults, doctor.Fault{Part: "redis", Cause: doctor.Refused, Problem: err.Error()})
	}
	tiers, err := store.Open(c.options())
	if err != nil {
		fault(err)
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	began := time.Now()
	err = errors.Join(tiers.Check(ctx), tiers.Close())
	if err != nil {
		fault(err)
		return out
	}
	out.Seconds = time.Since(began).Seconds()
	return out
}

// serverPatience is what a server has to begin its answer to the examination.
const serverPatience = 15 * time.Second

// storePatience is what Redis has to answer the examination.
const storePatience = 3 * time.Second
