package simulated

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/graft-gateway/graft/eft"
)

const (
	// vLLMVersion and sglangVersion are those whose answers are imitated.
	vLLMVersion   = "0.32.0"
	sglangVersion = "0.5.5"
	fingerprint   = "vllm-" + vLLMVersion + "-simulated"
	bodyMost      = 64 << 20
	grace         = 2 * time.Second
)

// Server is both faces over one engine.
type Server struct {
	config  Config
	engine  *Engine
	mux     *http.ServeMux
	created int64
}

// New starts the engine. Close ends it.
func New(c Config) *Server {
	s := &Server{config: c, engine: NewEngine(c), mux: http.NewServeMux(), created: time.Now().Unix()}
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /v1/completions":      s.completions,
		"POST /v1/chat/completions": s.chat,
		"POST /generate":            s.generate,
		"POST /tokenize":            s.tokenize,
		"POST /detokenize":          s.detokenize,
		"GET /v1/models":            s.models,
		"GET /version":              says(map[string]any{"version": vLLMVersion}),
		"GET /model_info":           s.modelInfo,
		"GET /get_model_info":       s.modelInfo,
		"GET /server_info":          s.serverInfo,
		"GET /get_server_info":      s.serverInfo,
		"GET /stats":                s.stats,
		"GET /health":               well,
		"GET /health_generate":      well,
		"GET /ping":                 well,
	} {
		s.mux.HandleFunc(pattern, s.answering(handle))
	}
	return s
}

// Close ends the engine, and with it what is under way.
func (s *Server) Close() { s.engine.Close() }

// Stats returns what the engine counted so far.
func (s *Server) Stats() Stats { return s.engine.Stats() }

// ServeHTTP serves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Serve serves until ctx is done, and lets what is under way end for a moment.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.config.Log.Handler(), slog.LevelWarn)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }() // ends with Shutdown or Close
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(late); err != nil {
		server.Close()
	}
	<-served
	return nil
}

// answering writes the errors of a handler, which has written nothing then.
func (s *Server) answering(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		if err == nil || r.Context().Err() != nil {
			return
		}
		status, body := errorBody(err)
		if status >= 500 {
			s.config.Log.Error("a request failed", "path", r.URL.Path, "error", err)
		}
		reply(w, status, body)
	}
}

// errorBody is an error as vLLM writes it. SGLang's clients read its message, too.
func errorBody(err error) (int, map[string]any) {
	said := &refusal{http.StatusInternalServerError, "", err.Error()}
	kind := "InternalServerError"
	if errors.As(err, &said) {
		kind = "BadRequestError"
	}
	if said.status == http.StatusNotFound {
		kind = "NotFoundError"
	}
	var param any
	if said.param != "" {
		param = said.param
	}
	return said.status, map[string]any{"error": map[string]any{"message": said.message, "type": kind, "param": param, "code": said.status}}
}

// fail ends a stream that has begun with an error.
func (e *events) fail(err error) error {
	_, body := errorBody(err)
	e.send(appendJSON(nil, body)) // fails for a client that left
	e.done()
	return nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMost))
	if err != nil {
		return nil, refuse("", "the body cannot be read: %v", err)
	}
	return body, nil
}

// checkModel refuses models that there are not. No name is the one there is.
func (s *Server) checkModel(name string) error {
	if name == "" || name == s.config.Name {
		return nil
	}
	return &refusal{http.StatusNotFound, "model", "The model `" + name + "` does not exist."}
}

func says(value any) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		reply(w, http.StatusOK, value)
		return nil
	}
}

func well(http.ResponseWriter, *http.Request) error { return nil }

func (s *Server) stats(w http.ResponseWriter, _ *http.Request) error {
	reply(w, http.StatusOK, s.engine.Stats())
	return nil
}

// models is vLLM's list, in which SGLang's clients find what they look for.
func (s *Server) models(w http.ResponseWriter, _ *http.Request) error {
	permission := map[string]any{
		"id": "modelperm-simulated", "object": "model_permission", "created": s.created, "allow_create_engine": false,
		"allow_sampling": true, "allow_logprobs": true, "allow_search_indices": false, "allow_view": true,
		"allow_fine_tuning": false, "organization": "*", "group": nil, "is_blocking": false,
	}
	reply(w, http.StatusOK, map[string]any{"object": "list", "data": []any{map[string]any{
		"id": s.config.Name, "object": "model", "created": s.created, "owned_by": "vllm", "root": s.config.Name,
		"parent": nil, "max_model_len": s.config.Context, "permission": []any{permission},
	}}})
	return nil
}

func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	var model string
	var prompt *string
	special, strs := true, false
	if err := members(body, map[string]any{"model": &model, "prompt": &prompt, "add_special_tokens": &special, "return_token_strs": &strs}); err != nil {
		return err
	}
	if prompt == nil {
		return refuse("prompt", "prompt is missing")
	}
	if err := s.checkModel(model); err != nil {
		return err
	}
	ids := s.config.Text.Encode(*prompt, special)
	var named []string
	if strs {
		for _, id := range ids {
			named = append(named, string(s.config.Vocabulary.Piece(id)))
		}
	}
	reply(w, http.StatusOK, map[string]any{"count": len(ids), "max_model_len": s.config.Context, "tokens": json.RawMessage(appendIDs(nil, ids)), "token_strs": named})
	return nil
}

// detokenize answers with both names of the text.
func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	var model string
	var ids tokenIDs
	skip := false
	if err := members(body, map[string]any{"model": &model, "tokens": &ids, "skip_special_tokens": &skip}); err != nil {
		return err
	}
	if err := s.checkModel(model); err != nil {
		return err
	}
	for _, id := range ids {
		if int(id) >= s.config.Scored {
			return refuse("tokens", "Token id %d is out of vocabulary", id)
		}
	}
	text := s.config.Text.Decode(ids)
	if skip {
		text = s.decoded(ids)
	}
	reply(w, http.StatusOK, map[string]any{"prompt": text, "text": text})
	return nil
}

// decoded is a text without special tokens.
func (s *Server) decoded(ids []eft.Token) string {
	stream, text := s.config.Text.Stream(false), ""
	for _, id := range ids {
		text += stream.Push(id)
	}
	return text + stream.Flush()
}
