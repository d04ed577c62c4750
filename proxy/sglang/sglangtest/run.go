package sglangtest

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/enginetest"
)

// run is one prompt being answered.
type run struct {
	server  *Server
	in      *request
	options Options
	ids     []eft.Token // the prompt, and behind it what was generated
	prompt  int
	cached  int
	input   []position // of the prompt, from logprob_start_len on
	out     []eft.Token
	output  []position
	finish  map[string]any
}

// position is what is told of one token: its own log-prob, the best, the named ones.
type position struct{ token, top, named any }

// start takes a prompt in and computes what was asked of its tokens, those from the
// position from on; −1 is none.
func (s *Server) start(in *request, ids []eft.Token, from int) (*run, error) {
	o := s.now()
	if len(ids) == 0 {
		return nil, refusal("input_ids is empty")
	}
	if most := o.Context - 6; len(ids) >= most {
		if !o.AutoTruncate {
			return nil, refusal(fmt.Sprintf("Input length (%d tokens) exceeds the maximum allowed length (%d tokens). Use a shorter input or enable --allow-auto-truncate.", len(ids), most))
		}
		ids = ids[:most]
	}
	first := len(ids)
	if in.ReturnLogprob && from >= 0 {
		first = from
	}
	if first > len(ids) {
		return nil, fmt.Errorf("req.logprob_start_len=%d is higher than the number of input tokens", first)
	}
	if o.OutputOnly && first < len(ids) {
		return nil, refusal("Prompt input logprobs (logprob_start_len) are not supported on the MLX sampling path; omit logprob_start_len to get output logprobs.")
	}
	r := &run{server: s, in: in, options: o, ids: slices.Clone(ids), prompt: len(ids)}
	r.cached = s.cached(in.ExtraKey+"\x00"+in.CacheSalt, ids, min(len(ids)-1, first))
	for at := first; at < len(ids); at++ {
		said := ids[at]
		if int(said) >= s.vocab-1 {
			said = 0 // as the server writes its last id
		}
		if at == first {
			r.input = append(r.input, position{token: [3]any{nil, said, nil}})
			continue
		}
		row := enginetest.LogSoftmax(s.model(ids[:at]))
		r.input = append(r.input, r.tell(row, said, row[ids[at]]))
	}
	if in.params.MaxNewTokens == 0 {
		r.finish = map[string]any{"type": "length", "length": 0}
	}
	return r, nil
}

// step generates a token, and says whether another will follow.
func (r *run) step() bool {
	if r.finish != nil {
		return false
	}
	p := r.in.params
	logits := slices.Clone(r.server.model(r.ids))
	for key, bias := range p.LogitBias {
		id, _ := strconv.Atoi(key)
		logits[id] += float32(bias)
	}
	if p.RepetitionPenalty != 1 || p.FrequencyPenalty != 0 || p.PresencePenalty != 0 {
		for _, id := range r.out {
			logits[id] -= float32(p.FrequencyPenalty + p.PresencePenalty + p.RepetitionPenalty - 1)
		}
	}
	if len(r.out) < p.MinNewTokens {
		for _, id := range r.options.Ends {
			logits[id] = float32(math.Inf(-1))
		}
	}
	// A temperature of 0 is greedy, and so is top_k 1: neither divides.
	if greedy := p.Temperature < 1e-6 || p.TopK == 1; !greedy {
		for i := range logits {
			logits[i] /= float32(p.Temperature)
		}
	}
	row := enginetest.LogSoftmax(logits)
	token := eft.Token(0)
	for id, logProb := range row {
		if logProb > row[token] {
			token = eft.Token(id)
		}
	}
	r.out, r.ids = append(r.out, token), append(r.ids, token)
	r.output = append(r.output, r.tell(row, token, row[token]))
	switch {
	case !p.IgnoreEOS && slices.Contains(r.options.Ends, token):
		r.finish = map[string]any{"type": "stop", "matched": token}
	case len(r.out) >= p.MaxNewTokens || len(r.ids) >= r.options.Context-1:
		r.finish = map[string]any{"type": "length", "length": len(r.out)}
	}
	return r.finish == nil
}

// tell writes one position as the server does, null for what JSON cannot write.
func (r *run) tell(row []float32, token eft.Token, logProb float32) position {
	entry := func(id eft.Token, logProb float32) [3]any {
		var text any
		if r.in.ReturnText && int(id) < len(r.options.Pieces) {
			text = string(r.options.Pieces[id])
		}
		if math.IsInf(float64(logProb), 0) {
			return [3]any{nil, id, text}
		}
		return [3]any{logProb, id, text}
	}
	p := position{token: entry(token, logProb)}
	if r.in.TopLogprobs > 0 {
		best := [][3]any{}
		for _, id := range enginetest.Best(row, len(row))[:r.in.TopLogprobs] { // more than there are breaks the server, too
			best = append(best, entry(id, row[id]))
		}
		p.top = best
	}
	if r.in.Named != nil {
		named := [][3]any{}
		for _, id := range r.in.Named {
			named = append(named, entry(id, row[id]))
		}
		p.named = named
	}
	return p
}

// whole is the answer so far.
func (r *run) whole() map[string]any {
	meta := map[string]any{
		"id": "0", "finish_reason": r.finish, "prompt_tokens": r.prompt, "weight_version": r.options.Weights,
		"completion_tokens": len(r.out), "cached_tokens": r.cached,
	}
	if r.finish == nil {
		meta["finish_reason"] = nil
	}
	if r.in.ReturnLogprob {
		lists(meta, "input", r.input, r.in)
		lists(meta, "output", r.output, r.in)
	}
	return map[string]any{"text": "", "output_ids": r.out, "meta_info": meta}
}

// cut leaves of the answer so far what an incremental stream sends: what was generated
// behind the first sent tokens.
func (r *run) cut(event map[string]any, sent int) {
	event["output_ids"] = r.out[sent:]
	if r.in.ReturnLogprob {
		lists(event["meta_info"].(map[string]any), "output", r.output[sent:], r.in)
	}
}

func lists(meta map[string]any, side string, positions []position, in *request) {
	tokens, top, named := []any{}, []any{}, []any{}
	for _, p := range positions {
		tokens, top, named = append(tokens, p.token), append(top, p.top), append(named, p.named)
	}
	meta[side+"_token_logprobs"] = tokens
	if in.TopLogprobs > 0 {
		meta[side+"_top_logprobs"] = top
	}
	if in.Named != nil {
		meta[side+"_token_ids_logprobs"] = named
	}
}
