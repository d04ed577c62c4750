package gateway

import (
	"net/http"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/openai"
)

// tokenize answers POST /tokenize: a text, or messages as the base's template
// renders them.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if passed, err := s.passTokens(w, r, body); passed || err != nil {
		return err
	}
	request, err := openai.DecodeTokenize(body)
	if err != nil {
		return err
	}
	route, err := s.routeOrDefault(request.Model)
	if err != nil {
		return err
	}
	leave, err := s.admission.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	tokens := []eft.Token{}
	if request.Prompt.Set {
		tokens = append(tokens, route.Text.Encode(request.Prompt.Value, request.AddSpecialTokens)...)
	} else {
		p := plan{route: route}
		if err := p.chatPrompt(r.Context(), request.Messages); err != nil {
			return err
		}
		tokens = p.prompts[0].base
	}
	return writeJSON(w, openai.TokenizeResponse{Count: len(tokens), MaxModelLen: route.Context, Tokens: tokens})
}

// detokenize answers POST /detokenize.
func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if passed, err := s.passTokens(w, r, body); passed || err != nil {
		return err
	}
	request, err := openai.DecodeDetokenize(body)
	if err != nil {
		return err
	}
	route, err := s.routeOrDefault(request.Model)
	if err != nil {
		return err
	}
	for _, id := range request.Tokens {
		if route.Vocabulary.Piece(id) == nil {
			return openai.BadRequest("tokens", openai.CodeInvalidValue, "tokens has id %d, for which the vocabulary has no token", id)
		}
	}
	return writeJSON(w, openai.DetokenizeResponse{Prompt: route.Text.Decode(request.Tokens)})
}

// tokenizerInfo answers GET /tokenizer_info for the first route, or for ?model=.
func (s *Server) tokenizerInfo(w http.ResponseWriter, r *http.Request) error {
	route, err := s.routeOrDefault(r.URL.Query().Get("model"))
	if err != nil {
		return err
	}
	if route.Upstream != nil {
		return s.forward(w, r, route, nil)
	}
	return writeJSON(w, route.Info)
}
