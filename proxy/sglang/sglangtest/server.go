package sglangtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// Options say how a server was started.
type Options struct {
	Name    string   // served_model_name; empty is "tiny"
	Weights string   // weight_version; empty is "default"
	Pieces  [][]byte // the tokenizer's pieces; without any there is no /tokenize
	Ends    []eft.Token
	Context int    // context_length; 0 is 2048
	Version string // empty is 0.5.23
	// Incremental is --incremental-streaming-output, Interval is --stream-interval.
	Incremental  bool
	Interval     int
	AutoTruncate bool            // --allow-auto-truncate
	Preferred    json.RawMessage // --preferred-sampling-params
	NoCache      bool            // --disable-radix-cache
	// OutputOnly refuses log-probs of prompts, as some back ends do.
	OutputOnly bool
	OneStart   bool   // takes no list of logprob_start_len
	OldNames   bool   // get_model_info and get_server_info only
	Shared     bool   // extra_key and cache_salt part nothing
	Adapter    string // a LoRA adapter's name
}

// Server is the server. It is safe for concurrent use.
type Server struct {
	model    enginetest.Model
	vocab    int // ids that the model scores
	mux      *http.ServeMux
	requests enginetest.Requests // to /generate

	mu       sync.Mutex // guards what follows
	options  Options
	prefixes map[string][][]eft.Token // by extra_key and cache_salt, what was computed
}

// New makes a server; serve it with net/http/httptest.
func New(model enginetest.Model, options Options) *Server {
	s := &Server{model: model, vocab: len(model([]eft.Token{0})), mux: http.NewServeMux(), prefixes: map[string][][]eft.Token{}}
	s.Restart(options)
	for _, prefix := range []string{"", "get_"} {
		s.mux.HandleFunc("GET /"+prefix+"model_info", s.named(prefix, s.modelInfo))
		s.mux.HandleFunc("GET /"+prefix+"server_info", s.named(prefix, s.serverInfo))
	}
	s.mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	s.mux.HandleFunc("GET /v1/models", s.models)
	s.mux.HandleFunc("POST /generate", s.generate)
	s.mux.HandleFunc("POST /tokenize", s.tokenize)
	s.mux.HandleFunc("POST /detokenize", s.detokenize)
	return s
}

// Restart starts it again with other options, and nothing cached.
func (s *Server) Restart(options Options) {
	if options.Name == "" {
		options.Name = "tiny"
	}
	if options.Weights == "" {
		options.Weights = "default"
	}
	if options.Context == 0 {
		options.Context = 2048
	}
	if options.Version == "" {
		options.Version = "0.5.23"
	}
	if options.Interval == 0 {
		options.Interval = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options = options
	clear(s.prefixes)
}

// Requests returns the bodies of all requests to /generate since the last call.
func (s *Server) Requests() []json.RawMessage { return s.requests.Take() }

func (s *Server) now() Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.options
}

// ServeHTTP serves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) named(prefix string, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.now().OldNames && prefix == "" {
			http.NotFound(w, r)
			return
		}
		handler(w, r)
	}
}

func (s *Server) modelInfo(w http.ResponseWriter, _ *http.Request) {
	o := s.now()
	reply(w, map[string]any{
		"model_path": "/models/" + o.Name, "served_model_name": o.Name, "tokenizer_path": "/models/" + o.Name,
		"is_generation": true, "preferred_sampling_params": o.Preferred, "weight_version": o.Weights,
	})
}

func (s *Server) serverInfo(w http.ResponseWriter, _ *http.Request) {
	o := s.now()
	reply(w, map[string]any{
		"version": o.Version, "dtype": "auto", "quantization": nil, "kv_cache_dtype": "auto", "revision": nil,
		"max_req_input_len": o.Context - 6, "disable_radix_cache": o.NoCache, "internal_states": []any{map[string]any{}},
	})
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	o := s.now()
	list := []map[string]any{{"id": o.Name, "object": "model", "owned_by": "sglang", "root": o.Name, "parent": nil, "max_model_len": o.Context}}
	if o.Adapter != "" {
		list = append(list, map[string]any{"id": o.Adapter, "object": "model", "owned_by": "sglang", "root": "/adapters", "parent": o.Name, "max_model_len": nil})
	}
	reply(w, map[string]any{"object": "list", "data": list})
}

// tokenize takes the longest piece that fits, which is enough for tests.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) {
	pieces := s.now().Pieces
	if pieces == nil {
		http.NotFound(w, r)
		return
	}
	var in struct{ Prompt string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	ids := []eft.Token{}
	for rest := in.Prompt; rest != ""; {
		id, behind, ok := enginetest.Longest(pieces, rest)
		if !ok {
			fail(w, http.StatusBadRequest, fmt.Sprintf("no token begins %q", rest))
			return
		}
		ids, rest = append(ids, id), behind
	}
	reply(w, map[string]any{"tokens": ids, "count": len(ids), "max_model_len": s.now().Context})
}

func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) {
	pieces := s.now().Pieces
	if pieces == nil {
		http.NotFound(w, r)
		return
	}
	var in struct{ Tokens []eft.Token }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	var text []byte
	for _, id := range in.Tokens {
		if id < 0 || int(id) >= len(pieces) {
			fail(w, http.StatusInternalServerError, "Internal server error during detokenization")
			return
		}
		text = append(text, pieces[id]...)
	}
	reply(w, map[string]any{"text": strings.ToValidUTF8(string(text), "\uFFFD")})
}

// cached is how many leading tokens of ids the server has computed under key, at most
// most; then it has them all.
func (s *Server) cached(key string, ids []eft.Token, most int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options.NoCache {
		return 0
	}
	if s.options.Shared {
		key = ""
	}
	longest := 0
	for _, known := range s.prefixes[key] {
		longest = max(longest, enginetest.Common(known, ids))
	}
	s.prefixes[key] = append(s.prefixes[key], slices.Clone(ids))
	return min(longest, most)
}

func reply(w http.ResponseWriter, value any) { enginetest.Reply(w, http.StatusOK, value) }

func fail(w http.ResponseWriter, status int, message string) {
	enginetest.Reply(w, status, map[string]any{"error": map[string]string{"message": message}})
}
