package gateway

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/graft-gateway/graft/gateway/openai"
)

// Upstream is a base's server as a route without experts needs it: the request goes
// there and the answer comes back, streamed or whole, as they are.
type Upstream interface {
	// Forward sends r with body in place of its own and writes what comes back,
	// whatever its status. It returns an error only if nothing was written; where an
	// answer breaks off later it panics with [http.ErrAbortHandler].
	Forward(w http.ResponseWriter, r *http.Request, body []byte) error
}

// pass forwards a completion request, of chat or text, if its route has an upstream.
// For other routes it reads no further than to know that.
func (s *Server) pass(w http.ResponseWriter, r *http.Request, body []byte) (passed bool, err error) {
	if !s.passes {
		return false, nil
	}
	request, err := openai.DecodeForward(body)
	if err != nil {
		return false, err
	}
	name, knob, err := openai.ResolveTuning(request.Model, r.Header, request.Tuning)
	if err != nil {
		return false, err
	}
	route, err := s.route(name)
	if err != nil || route.Upstream == nil {
		return false, err
	}
	note(r.Context(), func(n *notes) { n.route = route.Name })
	if err := route.passable(knob); err != nil {
		return false, err
	}
	return true, s.forward(w, r, route, request.Body(route.UpstreamModel))
}

// passTokens is pass for the tokenizer's endpoints, which know no knob and have a
// route by default.
func (s *Server) passTokens(w http.ResponseWriter, r *http.Request, body []byte) (passed bool, err error) {
	if !s.passes {
		return false, nil
	}
	request, err := openai.DecodeForward(body)
	if err != nil {
		return false, err
	}
	route, err := s.routeOrDefault(request.Model)
	if err != nil || route.Upstream == nil {
		return false, err
	}
	if request.Tuned {
		return false, openai.BadRequest("tuning", openai.CodeUnknown, "tuning is not a known parameter")
	}
	return true, s.forward(w, r, route, request.Body(route.UpstreamModel))
}

// forward hands a request to its route's upstream, without what is for the gateway
// alone: the client's key and the knob.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, route *Route, body []byte) error {
	note(r.Context(), func(n *notes) { n.route, n.passed = route.Name, true })
	leave, err := s.admission.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	out := r.Clone(r.Context())
	for name := range out.Header {
		if name == "Authorization" || name == "Content-Length" || strings.HasPrefix(name, openai.HeaderPrefix) {
			out.Header.Del(name)
		}
	}
	out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if query := out.URL.Query(); query.Has("model") {
		query.Set("model", route.UpstreamModel)
		out.URL.RawQuery = query.Encode()
	}
	writer := newPatientWriter(w)
	defer func() { _ = writer.rest() }() // a connection that is gone has no deadline
	return route.Upstream.Forward(writer, out, body)
}

// passable holds the knob to what can be done without a decode loop: nothing.
// What it says of experts is validated as on other routes, and then means nothing.
func (r *Route) passable(t openai.Tuning) error {
	w, err := r.weigh(t)
	if err != nil {
		return err
	}
	if _, err := r.drafter(t.Draft); err != nil {
		return err
	}
	refuse := func(field string) error {
		return openai.BadRequest("tuning."+field, openai.CodeUnsupported,
			"tuning.%s is not supported on route %s: it has no experts, and what its base answers is passed on as it is", field, r.Name)
	}
	switch {
	case t.Explain.Or(false):
		return refuse("explain")
	case w.mix.Base != 1:
		return refuse("base")
	case w.mix.Plausibility != 0:
		return refuse("plausibility")
	}
	return nil
}
