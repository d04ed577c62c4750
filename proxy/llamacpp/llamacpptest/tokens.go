package llamacpptest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// tokenize takes text, ids, or a list of both, and gives ids, with their pieces if that
// is asked for.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Content json.RawMessage `json:"content"`
		Pieces  bool            `json:"with_pieces"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", err.Error())
		return
	}
	o, ids := s.now(), []eft.Token{}
	if len(in.Content) > 0 {
		var err error
		if ids, err = o.cut(in.Content); err != nil {
			fail(w, http.StatusBadRequest, "invalid_request_error", err.Error())
			return
		}
	}
	if !in.Pieces {
		reply(w, map[string]any{"tokens": ids})
		return
	}
	out := []any{}
	for _, id := range ids {
		if int(id) >= s.vocab || id < 0 {
			fail(w, http.StatusInternalServerError, "server_error", "vector::_M_range_check")
			return
		}
		out = append(out, map[string]any{"id": id, "piece": piece(o.piece(id))})
	}
	reply(w, map[string]any{"tokens": out})
}

// piece is text, or a list of bytes where that is no UTF-8.
func piece(bytes []byte) any {
	if utf8.Valid(bytes) {
		return string(bytes)
	}
	return numbers(bytes)
}

func numbers(bytes []byte) []int {
	out := make([]int, len(bytes))
	for i, b := range bytes {
		out[i] = int(b)
	}
	return out
}

func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Tokens []eft.Token `json:"tokens"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", err.Error())
		return
	}
	o, text := s.now(), []byte{}
	for _, id := range in.Tokens {
		text = append(text, o.piece(id)...)
	}
	reply(w, map[string]any{"content": strings.ToValidUTF8(string(text), "\uFFFD")})
}

// piece is what an id stands for.
func (o *Options) piece(id eft.Token) []byte {
	if id >= 0 && int(id) < len(o.Pieces) {
		return o.Pieces[id]
	}
	return nil
}

// cut makes ids of a prompt: text, ids, or a list in which both may be.
func (o *Options) cut(raw json.RawMessage) ([]eft.Token, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return o.cutText(text)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf(`"prompt" elements must be a string, a list of tokens, or a list of mixed strings and tokens: %s`, raw)
	}
	ids := []eft.Token{}
	for _, element := range list {
		var id eft.Token
		if json.Unmarshal(element, &id) == nil {
			ids = append(ids, id)
			continue
		}
		if err := json.Unmarshal(element, &text); err != nil {
			return nil, fmt.Errorf("%s is no token and no text", element)
		}
		more, err := o.cutText(text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	return ids, nil
}

// cutText takes the longest piece that fits, which is enough for tests.
func (o *Options) cutText(text string) ([]eft.Token, error) {
	ids := []eft.Token{}
	for text != "" {
		id, rest, ok := enginetest.Longest(o.Pieces, text)
		if !ok {
			return nil, fmt.Errorf("no token begins %q", text)
		}
		ids, text = append(ids, id), rest
	}
	return ids, nil
}
