// The server. Invariants:
//
//   - a slot answers one request at a time, and the others wait for their turn;
//   - a slot's tokens are what it evaluated last; its turn guards them.

package llamacpptest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// Options say how a server was started.
type Options struct {
	Alias    string      // --alias; empty is the model's path
	Path     string      // --model; empty is /models/tiny.gguf
	Pieces   [][]byte    // what the ids stand for
	Ends     []eft.Token // tokens that end a text
	Context  int         // of one slot; 0 is 2048
	Slots    int         // -np; 0 is 4
	Build    string      // empty is b1-tiny
	Key      string      // --api-key; empty is none
	Loading  bool        // it is still loading its model
	NoCache  bool        // every prompt is evaluated anew
	Grammars Grammars    // what it does with them
	// Size tells files of one name apart, as /v1/models does: 0 is 4096 bytes.
	Size int
}

// Grammars is what a server does with grammars of token ids.
type Grammars int

const (
	Forced  Grammars = iota // what it should
	Ignored                 // nothing, as servers do that do not know the field
	Refused                 // 400, as servers do that do not know token ids in grammars
)

// Server is the server. It is safe for concurrent use.
type Server struct {
	model    enginetest.Model
	vocab    int // ids that the model scores
	mux      *http.ServeMux
	requests enginetest.Requests // to /completion

	mu      sync.Mutex // guards what follows
	options Options
	slots   []*slot
}

// slot is a place for one text.
type slot struct {
	id     int
	turn   chan struct{} // one token: who has it answers
	tokens []eft.Token
}

// New makes a server; serve it with net/http/httptest.
func New(model enginetest.Model, options Options) *Server {
	s := &Server{model: model, vocab: len(model([]eft.Token{0})), mux: http.NewServeMux()}
	s.Restart(options)
	s.mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { reply(w, map[string]any{"status": "ok"}) })
	s.mux.HandleFunc("GET /props", s.props)
	s.mux.HandleFunc("GET /slots", s.listSlots)
	s.mux.HandleFunc("GET /v1/models", s.models)
	s.mux.HandleFunc("POST /tokenize", s.tokenize)
	s.mux.HandleFunc("POST /detokenize", s.detokenize)
	s.mux.HandleFunc("POST /completion", s.completion)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "not_found_error", "File Not Found")
	})
	return s
}

// Restart starts it again with other options, and nothing evaluated.
func (s *Server) Restart(options Options) {
	if options.Path == "" {
		options.Path = "/models/tiny.gguf"
	}
	if options.Alias == "" {
		options.Alias = options.Path
	}
	if options.Context == 0 {
		options.Context = 2048
	}
	if options.Slots == 0 {
		options.Slots = 4
	}
	if options.Build == "" {
		options.Build = "b1-tiny"
	}
	if options.Size == 0 {
		options.Size = 4096
	}
	slots := make([]*slot, options.Slots)
	for i := range slots {
		slots[i] = &slot{id: i, turn: make(chan struct{}, 1)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options, s.slots = options, slots
}

// Requests returns the bodies of all requests to /completion since the last call.
func (s *Server) Requests() []json.RawMessage { return s.requests.Take() }

func (s *Server) now() Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.options
}

// ServeHTTP serves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o := s.now()
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case o.Key != "" && key != o.Key && r.URL.Path != "/health":
		fail(w, http.StatusUnauthorized, "authentication_error", "Invalid API Key")
	case o.Loading:
		fail(w, http.StatusServiceUnavailable, "unavailable_error", "Loading model")
	default:
		s.mux.ServeHTTP(w, r)
	}
}

func (s *Server) props(w http.ResponseWriter, _ *http.Request) {
	o := s.now()
	reply(w, map[string]any{
		"default_generation_settings": map[string]any{"n_ctx": o.Context, "params": map[string]any{
			"temperature": 0.8, "n_predict": -1, "n_probs": 0, "ignore_eos": false, "stream": false, "lora": []any{},
		}},
		"total_slots": o.Slots, "model_alias": o.Alias, "model_path": o.Path, "build_info": o.Build,
		"modalities": map[string]bool{"vision": false, "audio": false}, "endpoint_slots": true, "endpoint_props": false,
		"chat_template": "", "bos_token": "", "eos_token": "", "is_sleeping": false,
	})
}

func (s *Server) listSlots(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	slots := slices.Clone(s.slots)
	s.mu.Unlock()
	list := []any{}
	for _, one := range slots {
		list = append(list, map[string]any{"id": one.id, "n_ctx": s.now().Context, "is_processing": len(one.turn) > 0})
	}
	reply(w, list)
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	o := s.now()
	name := o.Alias
	reply(w, map[string]any{
		"models": []any{map[string]any{"name": name, "model": name, "type": "model", "capabilities": []string{"completion"}}},
		"object": "list",
		"data": []any{map[string]any{
			"id": name, "aliases": []string{o.Alias}, "tags": []string{}, "object": "model", "created": 1, "owned_by": "llamacpp",
			"meta": map[string]any{
				"vocab_type": 2, "n_vocab": s.vocab, "n_ctx": o.Context, "n_ctx_train": o.Context, "n_embd": 8,
				"n_params": o.Size / 4, "size": o.Size, "ftype": "all F32",
			},
		}},
	})
}

func reply(w http.ResponseWriter, value any) { write(w, http.StatusOK, value) }

func fail(w http.ResponseWriter, status int, kind, message string) {
	write(w, status, map[string]any{"error": map[string]any{"code": status, "message": message, "type": kind}})
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	enginetest.Reply(w, status, value)
}
