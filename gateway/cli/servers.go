// Connections to base servers. Invariants:
//
//   - a server is connected to once for each vocabulary that routes expect of it;
//   - a base that serves rows was proven to have that vocabulary.

package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/rowcache"
)

// serverKey tells connections apart.
type serverKey struct {
	base       string // its name in the configuration
	vocabulary string // fingerprint
}

// server is a base behind a server.
type server struct {
	name       string
	base       *proxy.Base
	limit      int // the configuration's context, 0 for none
	vocabulary string
}

// context is how many tokens a text can have, 0 if nobody tells.
func (s *server) context() int {
	context := s.base.Caps().Context
	if s.limit > 0 && (context == 0 || s.limit < context) {
		return s.limit
	}
	return context
}

// source gives the server's rows to the decode loop, through the cache if there is one.
func (s *server) source(rows *rowCache) decode.Base { return remote{s, rows} }

// remote is a server's model as the decode loop wants its base.
type remote struct {
	server *server
	rows   *rowCache
}

func (r remote) Open(ctx context.Context, tenant string, prompt []eft.Token) (decode.Sequence, error) {
	base := r.server.base
	if r.rows == nil {
		return base.Open(tenant, prompt), nil
	}
	// Rows that are kept may be all that the text needs, and no request would tell that
	// the server has another model by now.
	identity, err := base.Current(ctx)
	if err != nil {
		return nil, err
	}
	caps := base.Caps()
	scope := rowcache.Scope{
		Tenant: tenant, Base: r.server.name, Identity: identity, Vocabulary: r.server.vocabulary,
		K: caps.TopLogprobs, Dense: caps.Dense, Names: base.Names(),
	}
	return r.rows.cache.Open(scope, prompt, func() (rowcache.Source, error) {
		source := base.Open(tenant, prompt)
		if source.Identity() != identity {
			source.Close()
			return nil, &proxy.Error{Fault: proxy.Changed, Base: r.server.name, Op: "open a text", Message: "it has another model than when the text began"}
		}
		return source, nil
	}), nil
}

// server connects to a base server, or finds the connection.
func (w *wiring) server(ctx context.Context, name string, large BaseModel, tokenizer text, vocabulary *eft.Vocabulary) (*server, error) {
	key := serverKey{name, vocabulary.Fingerprint()}
	if s, ok := w.servers[key]; ok {
		return s, nil
	}
	client, err := w.client(name, large.BaseServer)
	if err != nil {
		return nil, err
	}
	dialects, err := large.dialects()
	if err != nil {
		return nil, fmt.Errorf("base %s: %w", name, err)
	}
	config := proxy.Config{
		Name: name, Client: client, Dialects: dialects, Names: large.named(), Log: w.log,
		Want:      proxy.Want{Model: large.Model, TopLogprobs: large.TopLogprobs, Vocabulary: vocabulary},
		Tokenizer: tokenizer,
	}
	if large.Named == nil {
		config.LongRows = longRow // k may be the server's choice
	}
	base, err := await(ctx, w.log, name, large.Wait, func() (*proxy.Base, error) { return proxy.Connect(ctx, config) })
	if err != nil {
		return nil, err
	}
	s := &server{name: name, base: base, limit: large.Context, vocabulary: key.vocabulary}
	w.servers[key] = s
	return s, nil
}

// await asks a server that may not be there yet until it answers, for as long as wait.
func await[T any](ctx context.Context, log *slog.Logger, base string, wait time.Duration, ask func() (T, error)) (T, error) {
	const pause, telling = 2 * time.Second, 15 * time.Second
	began, told := time.Now(), time.Time{}
	for {
		answer, err := ask()
		if err == nil || !comesLater(err) || time.Since(began)+pause > wait {
			return answer, err
		}
		if time.Since(told) > telling {
			log.Warn("waiting for a base server", "base", base, "error", err, "patience", (wait - time.Since(began)).Round(time.Second).String())
			told = time.Now()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return answer, ctx.Err()
		}
	}
}

// comesLater says whether a server that failed so may be starting.
func comesLater(err error) bool {
	var fault *proxy.Error
	if !errors.As(err, &fault) || distrusted(err) {
		return false
	}
	switch fault.Fault {
	case proxy.Unreachable, proxy.TimedOut, proxy.Overloaded, proxy.Failed, proxy.Open:
		return true
	}
	return false
}

// distrusted says that the server showed a certificate which is not the right one, and
// will do so again.
func distrusted(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate)
}

// bases are the servers whose rows are mixed, by name.
func (w *wiring) bases() []*server {
	return slices.SortedFunc(maps.Values(w.servers), func(a, b *server) int { return cmp.Compare(a.name, b.name) })
}

// client speaks to a base server as the configuration says, over the same connections
// for all routes.
func (w *wiring) client(name string, c BaseServer) (*proxy.Client, error) {
	if client, ok := w.clients[name]; ok {
		return client, nil
	}
	endpoint := proxy.Endpoint{
		Name: name, URL: c.URL, Key: os.Getenv(c.APIKeyEnv), // empty where no variable is named
		TLS:      proxy.TLS{CA: w.file(c.TLS.CA), Certificate: w.file(c.TLS.Cert), PrivateKey: w.file(c.TLS.Key), ServerName: c.TLS.ServerName, Insecure: c.TLS.Insecure},
		Timeouts: proxy.Timeouts{Connect: c.Timeouts.Connect, FirstByte: c.Timeouts.FirstByte, Stall: c.Timeouts.Stall},
	}
	if c.Retries != nil {
		endpoint.Retries = *c.Retries
		if endpoint.Retries == 0 {
			endpoint.Retries = -1
		}
	}
	client, err := proxy.NewClient(endpoint)
	if err != nil {
		return nil, fmt.Errorf("base %s: %w", name, err)
	}
	w.clients[name] = client
	return client, nil
}

// file is a path of the configuration, empty for none.
func (w *wiring) file(name string) string {
	if name == "" {
		return ""
	}
	return w.path(name)
}

// passThrough makes a route without experts over a base server.
func (w *wiring) passThrough(ctx context.Context, name, base string, large BaseModel) (*gateway.Route, error) {
	client, err := w.client(base, large.BaseServer)
	if err != nil {
		return nil, err
	}
	model := large.Model
	if model == "" {
		if model, err = await(ctx, w.log, base, large.Wait, func() (string, error) { return proxy.OnlyModel(ctx, client) }); err != nil {
			return nil, err
		}
	}
	return &gateway.Route{
		Name: name, BaseName: base, Upstream: client, UpstreamModel: model, Context: large.Context, Created: time.Now().Unix(),
	}, nil
}
