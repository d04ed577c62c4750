package openaitest

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// Naming is how a server writes tokens.
type Naming string

const (
	Replaced Naming = "replaced" // text, U+FFFD for parts of characters
	Ignored  Naming = "ignored"  // text, parts of characters left out (llama-cpp-python)
	Stripped Naming = "stripped" // text without the space that begins it
	Escaped  Naming = "escaped"  // text, or bytes:\x… where it would not do (OpenAI)
)

// Options say what kind of server it is.
type Options struct {
	Name    string // empty is "tiny"
	Answers string // the model that answers name; empty is Name
	Pieces  [][]byte
	Ends    []eft.Token
	Tokens  Naming // empty is Replaced
	// AsIDs knows return_tokens_as_token_ids, Chat writes {content: […]}, with bytes
	// where Bytes says so and with token_id where IDs does.
	AsIDs, Chat, Bytes, IDs bool
	Strict                  bool // fields that OpenAI does not know are refused
	Most                    int  // log-probs at a position; 0 is no cap
	Clamp                   bool // more of them give Most, and not 400
	Lists                   bool // list of lists as a prompt
	Reverse                 bool // choices come last first
	TextOnly                bool // no ids as a prompt
	Cutter                  bool // /extras/tokenize
	First                   []eft.Token
	FirstToIDs              bool // First is put before prompts of ids, too, not only of text
	NoUsage                 bool
	CountFirst              bool // usage is that of the first prompt only (llama-server)
	Divided                 bool // log-probs are after temperature
	Biased                  bool // log-probs are after bias
	Unbiased                bool // bias is ignored
	TellEnds                bool // an end token that ends the text has log-probs
	Ignores                 bool // ignore_eos goes on behind an end token
	Forbids                 bool // ignore_eos forbids end tokens, in the log-probs too
	Mute                    bool // a token that ends within a character has none (llama-server)
	SilentStream            bool // no log-probs in streams
	ChatOnly, NoList        bool // no /v1/completions, no /v1/models
	BareList                bool // the list of models is no object
	Models                  []map[string]any
	Key                     string
}

// Server is the server. It is safe for concurrent use.
type Server struct {
	model    enginetest.Model
	mux      *http.ServeMux
	requests enginetest.Requests // for completions

	mu      sync.Mutex // guards what follows
	options Options
	drawn   uint64 // what was sampled, to draw other numbers each time
}

// New makes a server; serve it with net/http/httptest.
func New(model enginetest.Model, options Options) *Server {
	s := &Server{model: model, mux: http.NewServeMux()}
	s.Restart(options)
	s.mux.HandleFunc("GET /v1/models", s.models)
	s.mux.HandleFunc("POST /v1/completions", s.completions)
	s.mux.HandleFunc("POST /extras/tokenize", s.tokenize)
	return s
}

// Restart makes it another kind of server.
func (s *Server) Restart(options Options) {
	if options.Name == "" {
		options.Name = "tiny"
	}
	if options.Answers == "" {
		options.Answers = options.Name
	}
	if options.Tokens == "" {
		options.Tokens = Replaced
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options = options
}

// Requests returns the bodies of all requests for completions since the last call.
func (s *Server) Requests() []json.RawMessage { return s.requests.Take() }

func (s *Server) now() Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.options
}

// ServeHTTP serves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if key := s.now().Key; key != "" && r.Header.Get("Authorization") != "Bearer "+key {
		fail(w, http.StatusUnauthorized, "Incorrect API key provided")
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) models(w http.ResponseWriter, r *http.Request) {
	o := s.now()
	if o.NoList {
		http.NotFound(w, r)
		return
	}
	list := o.Models
	if list == nil {
		list = []map[string]any{{"id": o.Name, "object": "model", "owned_by": "somebody", "context_length": 512}}
	}
	if o.BareList {
		reply(w, list)
		return
	}
	reply(w, map[string]any{"object": "list", "data": list})
}

func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) {
	o := s.now()
	var in struct{ Input string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !o.Cutter {
		http.NotFound(w, r)
		return
	}
	reply(w, map[string]any{"tokens": o.cut(in.Input)})
}

// cut takes the longest piece that fits, behind what begins every prompt.
func (o *Options) cut(text string) []eft.Token {
	ids := append([]eft.Token{}, o.First...)
	for text != "" {
		id, rest, ok := enginetest.Longest(o.Pieces, text)
		if !ok {
			text = text[1:]
			continue
		}
		ids, text = append(ids, id), rest
	}
	return ids
}

func reply(w http.ResponseWriter, value any) { enginetest.Reply(w, http.StatusOK, value) }

func fail(w http.ResponseWriter, status int, message string) {
	enginetest.Reply(w, status, map[string]any{"error": map[string]any{"message": message, "type": "invalid_request_error"}})
}
