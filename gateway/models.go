package gateway

import (
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/graft-gateway/graft/gateway/openai"
)

// models answers GET /v1/models with the routes in the order of the configuration.
func (s *Server) models(w http.ResponseWriter, _ *http.Request) error {
	list := openai.ModelList{Object: openai.ObjectList, Data: []openai.Model{}}
	for _, route := range s.routes {
		list.Data = append(list.Data, route.model())
	}
	return writeJSON(w, list)
}

// model answers GET /v1/models/{id}.
func (s *Server) model(w http.ResponseWriter, r *http.Request) error {
	name, err := url.PathUnescape(chi.URLParam(r, "*"))
	if err != nil {
		return openai.ModelNotFound(chi.URLParam(r, "*"))
	}
	route, err := s.route(name)
	if err != nil {
		return err
	}
	return writeJSON(w, route.model())
}

// route finds a route by its name.
func (s *Server) route(name string) (*Route, error) {
	if name == "" {
		return nil, openai.BadRequest("model", openai.CodeMissing, "model is missing; GET /v1/models lists what there is")
	}
	for _, route := range s.routes {
		if route.Name == name {
			return route, nil
		}
	}
	return nil, openai.ModelNotFound(name)
}

// routeOrDefault finds a route by its name, the first one without a name: harnesses
// ask the tokenizer of a server, not of a model.
func (s *Server) routeOrDefault(name string) (*Route, error) {
	if name == "" {
		return s.routes[0], nil
	}
	return s.route(name)
}
