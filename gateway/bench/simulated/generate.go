package simulated

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

// generation is a request to SGLang's POST /generate.
type generation struct {
	ids            *prompts
	params         sglangParams
	returnLogprob  bool
	start          starts // logprob_start_len
	topLogprobs    int
	named          tokenIDs
	textInLogprobs bool
	stream         bool
	extraKey       string
	cacheSalt      string
	requestID      string
}

// sglangParams are SGLang's sampling_params.
type sglangParams struct {
	maxNew, minNew, n, topK         int
	temperature, topP, minP         float64
	frequency, presence, repetition float64
	ignoreEOS, skipSpecial          bool
	stop                            words
	stopIDs                         tokenIDs
	bias                            map[string]float64
	seed                            *int64
}

// starts is where the log-probs of the prompt begin: one number for all prompts, or one
// for each of a list. −1 is the end of the prompt, and so is none.
type starts []int

// UnmarshalJSON implements json.Unmarshaler.
func (s *starts) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return json.Unmarshal(data, (*[]int)(s))
	}
	var one int
	err := json.Unmarshal(data, &one)
	*s = starts{one}
	return err
}

// of is that of the i'th prompt.
func (s starts) of(i int) int {
	switch len(s) {
	case 0:
		return -1
	case 1:
		return s[0]
	}
	return s[i]
}

// UnmarshalJSON is strict.
func (p *sglangParams) UnmarshalJSON(data []byte) error {
	return members(data, map[string]any{
		"max_new_tokens": &p.maxNew, "min_new_tokens": &p.minNew, "n": &p.n, "temperature": &p.temperature, "top_k": &p.topK,
		"top_p": &p.topP, "min_p": &p.minP, "frequency_penalty": &p.frequency, "presence_penalty": &p.presence,
		"repetition_penalty": &p.repetition, "ignore_eos": &p.ignoreEOS, "skip_special_tokens": &p.skipSpecial,
		"stop": &p.stop, "stop_token_ids": &p.stopIDs, "logit_bias": &p.bias, "sampling_seed": &p.seed,
	})
}

func (s *Server) generate(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	g := &generation{params: sglangParams{maxNew: 128, n: 1, topK: -1, temperature: 1, topP: 1, repetition: 1, skipSpecial: true}}
	var text *prompts
	err = members(body, map[string]any{
		"text": &text, "input_ids": &g.ids, "sampling_params": &g.params, "return_logprob": &g.returnLogprob,
		"logprob_start_len": &g.start, "top_logprobs_num": &g.topLogprobs, "token_ids_logprob": &g.named,
		"return_text_in_logprobs": &g.textInLogprobs, "stream": &g.stream, "extra_key": &g.extraKey,
		"cache_salt": &g.cacheSalt, "rid": &g.requestID,
	})
	if err != nil {
		return err
	}
	if text != nil && (text.ids != nil || g.ids != nil) {
		return refuse("text", "text must be texts, and excludes input_ids")
	}
	if text != nil {
		g.ids = text
	}
	texts, err := s.readGeneration(g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	all, err := s.generations(ctx, g, texts)
	if err != nil {
		return err
	}
	if g.stream {
		return s.streamGeneration(ctx, w, g, all[0])
	}
	return s.wholeGenerations(ctx, w, g, all)
}

// readGeneration checks a request and returns its prompts in ids.
func (s *Server) readGeneration(g *generation) ([][]eft.Token, error) {
	p := &g.params
	neutral := p.temperature == 0 || p.temperature == 1 || p.topK == 1
	switch {
	case g.ids == nil:
		return nil, refuse("input_ids", "Either text or input_ids should be provided.")
	case g.stream && g.ids.list:
		return nil, refuse("stream", "streams of lists are not simulated: stream one text")
	case p.n != 1:
		return nil, refuse("n", "n other than 1 is not simulated")
	case p.repetition != 1:
		return nil, refuse("repetition_penalty", "repetition_penalty is not simulated: leave it at 1")
	case g.returnLogprob && (!neutral || len(p.bias) > 0 || p.frequency != 0 || p.presence != 0):
		return nil, refuse("return_logprob", "log-probs behind temperature, bias and penalties, as SGLang has them, are not simulated: ask for temperature 1 and neither")
	case g.topLogprobs < 0 || g.topLogprobs > s.config.Scored:
		return nil, refuse("top_logprobs_num", "top_logprobs_num %d: the model scores %d ids", g.topLogprobs, s.config.Scored)
	case p.maxNew < 0:
		return nil, refuse("max_new_tokens", "max_new_tokens must be at least 0, got %d.", p.maxNew)
	}
	for key := range p.bias {
		if id, err := strconv.Atoi(key); err != nil || id < 0 || id >= s.config.Scored {
			return nil, refuse("logit_bias", "logit_bias must has keys in [0, %d], got %s.", s.config.Scored-1, key)
		}
	}
	for _, id := range g.named {
		if int(id) >= s.config.Scored {
			return nil, refuse("token_ids_logprob", "token_ids_logprob contains out-of-vocabulary token id %d; valid range is [0, %d).", id, s.config.Scored)
		}
	}
	texts := make([][]eft.Token, 0, len(g.ids.ids)+len(g.ids.texts))
	for _, ids := range g.ids.ids {
		texts = append(texts, ids)
	}
	for _, text := range g.ids.texts {
		texts = append(texts, s.config.Text.Encode(text, true))
	}
	if n := len(g.start); n > 1 && n != len(texts) {
		return nil, refuse("logprob_start_len", "%d logprob_start_len for %d prompts", n, len(texts))
	}
	for i, ids := range texts {
		if err := s.checkInput(g.start.of(i), ids); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// reserved is how many tokens of its context SGLang keeps from prompts.
const reserved = 6

func (s *Server) checkInput(start int, ids []eft.Token) error {
	switch most := s.config.Context - reserved; {
	case len(ids) == 0:
		return refuse("input_ids", "input_ids is empty")
	case len(ids) >= most:
		return refuse("input_ids", "Input length (%d tokens) exceeds the maximum allowed length (%d tokens). Use a shorter input or enable --allow-auto-truncate.", len(ids), most)
	case start > len(ids):
		return refuse("logprob_start_len", "logprob_start_len=%d is higher than the number of input tokens %d", start, len(ids))
	case start < -1:
		return refuse("logprob_start_len", "logprob_start_len must be -1 or more, got %d", start)
	}
	for _, id := range ids {
		if int(id) >= s.config.Scored {
			return refuse("input_ids", "Token id %d is out of vocabulary", id)
		}
	}
	return nil
}

// generated is one answer of /generate under way.
type generated struct {
	choice
	prompt []eft.Token
	first  int // the first position of the prompt whose log-prob is told; len(prompt) for none
}

// generations asks the engine for an answer to every text, all at once.
func (s *Server) generations(ctx context.Context, g *generation, texts [][]eft.Token) ([]*generated, error) {
	p := &g.params
	ends := append([]eft.Token(nil), p.stopIDs...)
	if !p.ignoreEOS {
		ends = append(ends, s.config.Ends...)
	}
	in := sampling{temperature: p.temperature, topP: p.topP, minP: p.minP, presence: p.presence, frequency: p.frequency, topK: p.topK, minTokens: p.minNew, bias: p.bias, seed: p.seed}
	if p.topK == 1 {
		in.temperature, in.topK = 0, 0
	}
	var asks []Ask
	var all []*generated
	for i, text := range texts {
		params, err := in.params(i, s.config.Scored, ends)
		if err != nil {
			return nil, err
		}
		first := len(text)
		if start := g.start.of(i); g.returnLogprob && start >= 0 {
			first = start
		}
		tokens := min(p.maxNew, s.config.Context-len(text))
		asks = append(asks, Ask{
			Prompt: text, From: min(len(text), first+1), Tokens: tokens, Salt: saltOf(g), Choose: chooser(s.config.Vocabulary, params),
			Ends: func(id eft.Token) bool { return slices.Contains(ends, id) },
		})
		one := choice{index: i, prompt: i, text: s.config.Text.Stream(!p.skipSpecial), stop: stopper{stops: p.stop}}
		all = append(all, &generated{choice: one, prompt: text, first: first})
	}
	for i, job := range s.engine.Submit(ctx, asks...) {
		all[i].job = job
	}
	return all, nil
}

// saltOf parts the cache by both keys. A text of vLLM's has no such salt.
func saltOf(g *generation) string {
	if g.extraKey == "" && g.cacheSalt == "" {
		return ""
	}
	return g.extraKey + "\x00" + g.cacheSalt
}

func (s *Server) wholeGenerations(ctx context.Context, w http.ResponseWriter, g *generation, all []*generated) error {
	var out []byte
	for i, one := range all {
		a := s.newAnswer(g, one)
		for !a.finished() {
			if err := a.take(ctx); err != nil {
				return err
			}
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = a.append(out)
	}
	if g.ids.list {
		out = append(append([]byte{'['}, out...), ']')
	}
	replyRaw(w, http.StatusOK, out)
	return nil
}

// streamGeneration sends an event for each token, with all that came before, as SGLang
// does.
func (s *Server) streamGeneration(ctx context.Context, w http.ResponseWriter, g *generation, one *generated) error {
	out, a := newEvents(w), s.newAnswer(g, one)
	for !a.finished() {
		if err := a.take(ctx); err != nil {
			return out.fail(err)
		}
		if err := out.send(a.append(nil)); err != nil {
			return nil // the client left
		}
	}
	out.done()
	return nil
}

func (s *Server) modelInfo(w http.ResponseWriter, _ *http.Request) error {
	reply(w, http.StatusOK, map[string]any{
		"model_path": s.config.Name, "tokenizer_path": s.config.Name, "is_generation": true,
		"preferred_sampling_params": nil, "weight_version": "default",
	})
	return nil
}

func (s *Server) serverInfo(w http.ResponseWriter, _ *http.Request) error {
	reply(w, http.StatusOK, map[string]any{
		"version": sglangVersion, "model_path": s.config.Name, "served_model_name": s.config.Name, "dtype": "auto",
		"quantization": nil, "kv_cache_dtype": "auto", "revision": nil, "max_req_input_len": s.config.Context - reserved,
		"disable_radix_cache": false, "page_size": BlockTokens, "internal_states": []any{},
	})
	return nil
}

// appendEntry writes one [log-prob, id, text], null for what JSON cannot write.
func appendEntry(dst []byte, logProb float32, id eft.Token, text Text) []byte {
	dst = append(dst, '[')
	if math.IsInf(float64(logProb), 0) {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendFloat(dst, float64(logProb), 'g', -1, 32)
	}
	dst = strconv.AppendInt(append(dst, ','), int64(id), 10)
	if text == nil {
		return append(dst, ",null]"...)
	}
	return append(appendString(append(dst, ','), text.Decode([]eft.Token{id})), ']')
}
