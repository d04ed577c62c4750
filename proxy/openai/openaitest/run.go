package openaitest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// run is one prompt being answered.
type run struct {
	server  *Server
	options Options
	in      *request
	ids     []eft.Token // the prompt, and behind it what was generated
	out     []told
	finish  any
}

// told is a generated token and its row, which is nil if it is not told.
type told struct {
	token eft.Token
	row   []float32
}

// step generates a token, and says whether another will follow.
func (r *run) step() bool {
	raw := r.server.model(r.ids)
	logits := slices.Clone(raw)
	if !r.options.Unbiased {
		for key, bias := range r.in.LogitBias {
			if id, err := strconv.Atoi(key); err == nil && id >= 0 && id < len(logits) {
				logits[id] += float32(bias)
			}
		}
	}
	if r.in.IgnoreEOS && r.options.Forbids {
		raw = slices.Clone(raw)
		for _, end := range r.options.Ends {
			raw[end], logits[end] = -1e9, -1e9
		}
	}
	shown := raw
	if r.options.Biased {
		shown = logits
	}
	token := r.draw(logits)
	if r.options.Divided {
		shown = slices.Clone(shown)
		for i := range shown {
			shown[i] /= float32(max(r.in.temperature, 1e-3))
		}
	}
	ends := slices.Contains(r.options.Ends, token) && !(r.in.IgnoreEOS && r.options.Ignores)
	r.ids = append(slices.Clip(r.ids), token)
	if !ends || r.options.TellEnds {
		r.out = append(r.out, told{token, enginetest.LogSoftmax(shown)})
	}
	switch {
	case ends:
		r.finish = "stop"
	case len(r.out) >= r.in.MaxTokens:
		r.finish = "length"
	}
	return r.finish == nil
}

// draw samples by Gumbel noise, none at temperature 0.
func (r *run) draw(logits []float32) eft.Token {
	r.server.mu.Lock()
	r.server.drawn++
	source := rand.New(rand.NewPCG(r.server.drawn, 7))
	r.server.mu.Unlock()
	best, token := math.Inf(-1), eft.Token(0)
	for id, logit := range logits {
		score := float64(logit)
		if r.in.temperature > 0 {
			score = score/r.in.temperature - math.Log(-math.Log(source.Float64()))
		}
		if score > best {
			best, token = score, eft.Token(id)
		}
	}
	return token
}

// choice tells what was generated behind the first sent tokens.
func (r *run) choice(index, sent int) map[string]any {
	var text []byte
	for _, t := range r.out[sent:] {
		if !slices.Contains(r.options.Ends, t.token) {
			text = append(text, r.options.piece(t.token)...)
		}
	}
	choice := map[string]any{"index": index, "text": strings.ToValidUTF8(string(text), "\uFFFD"), "finish_reason": r.finish, "logprobs": nil}
	last, _ := utf8.DecodeLastRune(text)
	if mute := r.options.Mute && len(text) > 0 && last == utf8.RuneError; r.in.k > 0 && !mute {
		choice["logprobs"] = r.logprobs(r.out[sent:])
	}
	return choice
}

func (r *run) logprobs(out []told) map[string]any {
	if r.options.Chat {
		content := []any{}
		for _, t := range out {
			own := r.content(t.token, t.row[t.token])
			top := []any{}
			for _, id := range enginetest.Best(t.row, r.in.k) {
				top = append(top, r.content(id, t.row[id]))
			}
			own["top_logprobs"] = top
			content = append(content, own)
		}
		return map[string]any{"content": content}
	}
	names, own, top := []string{}, []float32{}, []map[string]float32{}
	for _, t := range out {
		// As servers do in Python: of tokens that share a name the last stays.
		listed := map[string]float32{}
		for _, id := range enginetest.Best(t.row, r.in.k) {
			listed[r.name(id)] = t.row[id]
		}
		listed[r.name(t.token)] = t.row[t.token]
		names, own, top = append(names, r.name(t.token)), append(own, t.row[t.token]), append(top, listed)
	}
	return map[string]any{"tokens": names, "token_logprobs": own, "top_logprobs": top}
}

func (r *run) content(id eft.Token, logProb float32) map[string]any {
	entry := map[string]any{"token": r.name(id), "logprob": logProb}
	if r.options.Bytes {
		list := []int{}
		for _, b := range []byte(r.options.piece(id)) {
			list = append(list, int(b))
		}
		entry["bytes"] = list
	}
	if r.options.IDs {
		entry["token_id"] = id
	}
	return entry
}

// name is what the server calls a token.
func (r *run) name(id eft.Token) string {
	piece := r.options.piece(id)
	switch o := r.options; {
	case o.AsIDs && r.in.AsIDs:
		return fmt.Sprintf("token_id:%d", id)
	case o.Tokens == Ignored:
		return strings.ToValidUTF8(piece, "")
	case o.Tokens == Stripped:
		return strings.TrimPrefix(strings.ToValidUTF8(piece, "\uFFFD"), " ")
	case o.Tokens == Escaped && !utf8.ValidString(piece):
		name := "bytes:"
		for _, b := range []byte(piece) {
			name += fmt.Sprintf(`\x%02x`, b)
		}
		return name
	}
	return strings.ToValidUTF8(piece, "\uFFFD")
}

func (o *Options) piece(id eft.Token) string {
	if int(id) < len(o.Pieces) {
		return string(o.Pieces[id])
	}
	return ""
}
