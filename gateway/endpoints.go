package gateway

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/graft-gateway/graft/gateway/openai"
)

// Handler is all that is served. Nothing else is answered or forwarded.
//
//	| path                      | needs a key | what                             |
//	|---------------------------|-------------|----------------------------------|
//	| POST /v1/chat/completions | yes         | chat, streamed or whole          |
//	| POST /v1/completions      | yes         | text completions                 |
//	| GET  /v1/models, /{id}    | yes         | the routes                       |
//	| POST /tokenize            | yes         | text or messages → ids           |
//	| POST /detokenize          | yes         | ids → text                       |
//	| GET  /tokenizer_info      | yes         | what harnesses ask               |
//	| GET  /healthz             | no          | the process lives                |
//	| GET  /readyz              | no          | it takes requests                |
//	| GET  /metrics             | no          | Prometheus                       |
func (s *Server) Handler() http.Handler {
	r := chi.NewRouter()
	r.Use(s.observe, middleware.GetHead)
	r.NotFound(s.serve(func(_ http.ResponseWriter, r *http.Request) error {
		return openai.EndpointNotFound(r.Method, r.URL.Path)
	}))
	r.MethodNotAllowed(s.serve(func(_ http.ResponseWriter, req *http.Request) error {
		return openai.MethodNotAllowed(req.Method, req.URL.Path, allowed(r, req.URL.Path)...)
	}))
	r.Get("/healthz", s.serve(s.health))
	r.Get("/readyz", s.serve(s.ready))
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	r.Group(func(r chi.Router) {
		r.Use(s.authenticate, s.bound)
		r.Post("/v1/chat/completions", s.serve(s.chat))
		r.Post("/v1/completions", s.serve(s.completions))
		r.Get("/v1/models", s.serve(s.models))
		r.Get("/v1/models/*", s.serve(s.model))
		r.Post("/tokenize", s.serve(s.tokenize))
		r.Post("/detokenize", s.serve(s.detokenize))
		r.Get("/tokenizer_info", s.serve(s.tokenizerInfo))
	})
	return r
}

// allowed lists the methods that a path answers.
func allowed(r chi.Routes, path string) []string {
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		if r.Match(chi.NewRouteContext(), m, path) {
			methods = append(methods, m)
		}
	}
	return methods
}

// bound holds a request's body to the limit.
func (s *Server) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, s.limits.Body)
		next.ServeHTTP(w, r)
	})
}

// health says that the process lives.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, map[string]string{"status": "ok"})
}

// ready says whether a load balancer should send requests here.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.draining.Load() {
		return openai.Unavailable("the server is shutting down", 0, nil)
	}
	return writeJSON(w, map[string]string{"status": "ready"})
}
