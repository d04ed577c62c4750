package llamacpptest

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// run is one prompt being answered. The slot's turn is its own.
type run struct {
	server    *Server
	options   Options
	in        *request
	slot      *slot
	index     int
	ids       []eft.Token // the prompt, and behind it what was generated
	prompt    int
	cached    int
	said      []byte
	positions []any
	unsent    []byte // what was said since the last event
	stop      string // why it ended; empty is not yet
}

// start evaluates a prompt.
func (s *Server) start(in *request, slot *slot, index int, prompt []eft.Token) *run {
	r := &run{server: s, options: s.now(), in: in, slot: slot, index: index, ids: slices.Clone(prompt), prompt: len(prompt)}
	if (in.CachePrompt == nil || *in.CachePrompt) && !r.options.NoCache {
		r.cached = min(enginetest.Common(slot.tokens, prompt), len(prompt)-1)
	}
	if in.Predict != nil && *in.Predict == 0 {
		r.stop = "limit"
	}
	slot.tokens = slices.Clone(prompt)
	return r
}

// step generates a token, and says whether another will follow. A token behind which the
// text ends within a character has no position: nobody ever learns its row.
func (r *run) step() (bool, *refusal) {
	if r.stop != "" {
		return false, nil
	}
	logits := r.server.model(r.ids)
	token, no := r.choose(logits)
	if no != nil {
		return false, no
	}
	r.slot.tokens = slices.Clone(r.ids)
	r.ids = append(r.ids, token)
	ends := slices.Contains(r.options.Ends, token)
	if !ends {
		r.said = append(r.said, r.options.piece(token)...)
		r.unsent = append(r.unsent, r.options.piece(token)...)
	}
	if r.in.Probs > 0 && !open(r.said) {
		r.positions = append(r.positions, r.position(token, enginetest.LogSoftmax(logits)))
	}
	switch count := len(r.ids) - r.prompt; {
	case ends && !r.in.IgnoreEnd:
		r.stop = "eos"
	case r.in.Predict != nil && *r.in.Predict >= 0 && count >= *r.in.Predict, len(r.ids) >= r.options.Context:
		r.stop = "limit"
	}
	return r.stop == "", nil
}

// choose takes the best token by biased logits, among those that the grammar allows.
func (r *run) choose(logits []float32) (eft.Token, *refusal) {
	count := len(r.ids) - r.prompt
	if count < len(r.in.path) {
		token := r.in.path[count]
		if !r.matches(token) {
			return 0, &refusal{http.StatusInternalServerError, "server_error", fmt.Sprintf(
				"got exception: Unexpected empty grammar stack after accepting piece: %s (%d)", strings.ToValidUTF8(string(r.options.piece(token)), "\uFFFD"), token)}
		}
		return token, nil
	}
	allowed := func(eft.Token) bool { return true }
	if len(r.in.path) > 0 { // nothing but the end is behind the grammar's
		allowed = func(id eft.Token) bool { return slices.Contains(r.options.Ends, id) }
	}
	best, token := math.Inf(-1), eft.Token(-1)
	for id, logit := range logits {
		score := float64(logit)
		for _, bias := range r.in.LogitBias {
			if int(bias[0]) == id {
				score += bias[1]
			}
		}
		if allowed(eft.Token(id)) && (score > best || token < 0) {
			best, token = score, eft.Token(id)
		}
	}
	if token < 0 {
		return 0, &refusal{http.StatusInternalServerError, "server_error", "got exception: Unexpected empty grammar stack"}
	}
	return token, nil
}

// matches says whether a grammar can match a token: it knows it by its text.
func (r *run) matches(id eft.Token) bool {
	piece := r.options.piece(id)
	return len(piece) > 0 && piece[0] != 0 && utf8.Valid(piece) && !slices.Contains(r.options.Ends, id)
}

// open says whether text ends within a character, by its leading byte alone, as
// llama-server sees it: what follows need not be a continuation.
func open(text []byte) bool {
	for i := 1; i <= 4 && i <= len(text); i++ {
		c := text[len(text)-i]
		if c&0xE0 == 0xC0 && i < 2 || c&0xF0 == 0xE0 && i < 3 || c&0xF8 == 0xF0 && i < 4 {
			return true
		}
	}
	return false
}

// position tells a token and the best of the row that it was chosen from, which is the
// model's own whatever chose.
func (r *run) position(token eft.Token, row []float32) any {
	top := []any{}
	for _, id := range enginetest.Best(row, r.in.Probs) {
		top = append(top, r.entry(id, row[id]))
	}
	entry := r.entry(token, row[token])
	entry["top_logprobs"] = top
	return entry
}

// entry writes the lowest float32 for −∞, as the server does.
func (r *run) entry(id eft.Token, logProb float32) map[string]any {
	piece := r.options.piece(id)
	text := ""
	if utf8.Valid(piece) && !slices.Contains(r.options.Ends, id) {
		text = string(piece)
	}
	return map[string]any{"id": id, "token": text, "bytes": numbers(piece), "logprob": max(logProb, -math.MaxFloat32)}
}

// stream sends an event for each token behind which no character is open, and a last
// one; there is no [DONE] behind it.
func (r *run) stream(w http.ResponseWriter, ctx context.Context) {
	enginetest.Stream(w)
	for more := r.stop == ""; more && ctx.Err() == nil; {
		var no *refusal
		if more, no = r.step(); no != nil {
			enginetest.Send(w, map[string]any{"error": map[string]any{"code": no.status, "message": no.message, "type": no.kind}})
			return
		}
		if open(r.said) {
			continue
		}
		event := map[string]any{
			"index": r.index, "content": strings.ToValidUTF8(string(r.unsent), "\uFFFD"), "tokens": r.ids[len(r.ids)-1:],
			"stop": false, "id_slot": r.slot.id, "tokens_predicted": len(r.ids) - r.prompt, "tokens_evaluated": r.prompt,
		}
		if n := len(r.positions); r.in.Probs > 0 {
			event["completion_probabilities"] = r.positions[n-1:]
		}
		enginetest.Send(w, event)
		r.unsent = r.unsent[:0]
	}
	if ctx.Err() == nil {
		enginetest.Send(w, r.last())
	}
}

// last is the whole answer, or a stream's last event: the latter has no positions. Of
// its fields those that were asked for by name stay.
func (r *run) last() map[string]any {
	all := map[string]any{
		"index": r.index, "content": "", "tokens": []eft.Token{}, "id_slot": r.slot.id, "stop": true, "model": r.options.Alias,
		"tokens_predicted": len(r.ids) - r.prompt, "tokens_evaluated": r.prompt, "has_new_line": false, "truncated": false,
		"stop_type": r.stop, "stopping_word": "", "tokens_cached": len(r.ids) - 1,
		"timings": map[string]any{"cache_n": r.cached, "prompt_n": r.prompt - r.cached, "predicted_n": len(r.ids) - r.prompt},
	}
	if !r.in.Stream {
		all["content"], all["tokens"] = strings.ToValidUTF8(string(r.said), "\uFFFD"), r.ids[r.prompt:]
		if r.in.Probs > 0 && len(r.positions) > 0 {
			all["completion_probabilities"] = r.positions
		}
	}
	if len(r.in.Fields) == 0 {
		return all
	}
	some := map[string]any{}
	for _, name := range r.in.Fields {
		if value, ok := all[name]; ok {
			some[name] = value
		}
	}
	return some
}
