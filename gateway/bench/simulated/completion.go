package simulated

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// completion is a request to POST /v1/completions, and what its answer says of itself.
type completion struct {
	sampling
	prompt    *prompts
	maxTokens int
	logprobs  *int
	echo      bool
	bestOf    *int

	id      string
	created int64
}

// defaultMaxTokens is OpenAI's.
const defaultMaxTokens = 16

func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	c := &completion{sampling: newSampling(), maxTokens: defaultMaxTokens, id: newID("cmpl-"), created: time.Now().Unix()}
	fields := c.fields()
	maps.Copy(fields, map[string]any{"prompt": &c.prompt, "max_tokens": &c.maxTokens, "logprobs": &c.logprobs, "echo": &c.echo, "best_of": &c.bestOf})
	if err := members(body, fields); err != nil {
		return err
	}
	texts, err := s.readCompletion(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	choices, err := s.choose(ctx, &c.sampling, texts, c.maxTokens)
	if err != nil {
		return err
	}
	if c.stream {
		return s.streamCompletion(ctx, w, c, texts, choices)
	}
	return s.wholeCompletion(ctx, w, c, texts, choices)
}

// readCompletion checks a request and returns its prompts in ids.
func (s *Server) readCompletion(c *completion) ([][]eft.Token, error) {
	switch {
	case c.echo:
		return nil, refuse("echo", "echo is not simulated: vLLM computes such prompts without its prefix cache")
	case c.bestOf != nil && *c.bestOf != c.n:
		return nil, refuse("best_of", "best_of must be n")
	case c.prompt == nil:
		return nil, refuse("prompt", "prompt is missing")
	}
	if err := s.checkModel(c.model); err != nil {
		return nil, err
	}
	if err := c.check(s.config.Scored); err != nil {
		return nil, err
	}
	if c.logprobs != nil && *c.logprobs < -1 {
		return nil, refuse("logprobs", "`logprobs` must be a non-negative value or -1.")
	}
	if c.named != nil && c.logprobs == nil {
		return nil, refuse("logprob_token_ids", "logprob_token_ids needs logprobs")
	}
	return s.tokens(c.prompt, c.addSpecial, c.maxTokens)
}

// tokens are the prompts in ids, each with room for most tokens behind it.
func (s *Server) tokens(p *prompts, special bool, most int) ([][]eft.Token, error) {
	var all [][]eft.Token
	for _, ids := range p.ids {
		all = append(all, ids)
	}
	for _, text := range p.texts {
		all = append(all, s.config.Text.Encode(text, special))
	}
	for _, ids := range all {
		if err := s.checkPrompt(ids, most); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// checkPrompt refuses prompts as vLLM does.
func (s *Server) checkPrompt(ids []eft.Token, most int) error {
	context := s.config.Context
	switch {
	case len(ids) == 0:
		return refuse("prompt", "The decoder prompt cannot be empty")
	case most < 1:
		return refuse("max_tokens", "max_tokens must be at least 1, got %d. (parameter=max_tokens, value=%d)", most, most)
	case len(ids)+most > context:
		return refuse("input_tokens", "This model's maximum context length is %d tokens. However, you requested %d output tokens and your prompt contains at least %d input tokens, for a total of at least %d tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=%d)", context, most, len(ids), len(ids)+most, len(ids))
	}
	for _, id := range ids {
		if int(id) >= s.config.Scored {
			return refuse("", "Token id %d is out of vocabulary", id)
		}
	}
	return nil
}

// choose asks the engine for n choices of every prompt, all at once.
func (s *Server) choose(ctx context.Context, in *sampling, texts [][]eft.Token, most int) ([]*choice, error) {
	var asks []Ask
	var choices []*choice
	ends := s.config.Ends
	if in.ignoreEOS {
		ends = nil
	}
	for i, text := range texts {
		for range in.n {
			params, err := in.params(len(choices)%in.n, s.config.Scored, ends)
			if err != nil {
				return nil, err
			}
			ask := Ask{Prompt: text, From: len(text), Tokens: most, Choose: chooser(s.config.Vocabulary, params), Ends: func(id eft.Token) bool { return slices.Contains(params.Ends, id) }}
			if in.salt != nil {
				ask.Salt = *in.salt
			}
			asks = append(asks, ask)
			choices = append(choices, &choice{index: len(choices), prompt: i, text: s.config.Text.Stream(!in.skipSpecial), stop: stopper{stops: in.stop}, stopIDs: in.stopIDs})
		}
	}
	for i, job := range s.engine.Submit(ctx, asks...) {
		choices[i].job = job
	}
	return choices, nil
}

// listing is how a completion's log-probs are listed.
func (s *Server) listing(c *completion) listing {
	l := listing{named: c.named}
	if c.logprobs != nil {
		l.k = *c.logprobs
	}
	if !c.tokensAsIDs {
		l.text = s.config.Text
	}
	return l
}

func (s *Server) wholeCompletion(ctx context.Context, w http.ResponseWriter, c *completion, texts [][]eft.Token, choices []*choice) error {
	out := c.appendHead(nil, "text_completion")
	list := s.listing(c)
	tokens, cached, prompt := 0, 0, 0
	for i, one := range choices {
		pieces, err := one.rest(ctx)
		if err != nil {
			return err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out, _ = c.appendChoice(out, list, one, pieces, 0)
		out = append(out, `,"prompt_logprobs":null,"prompt_token_ids":`...)
		out = c.appendReturned(out, texts[one.prompt])
		out = append(out, `,"routed_experts":null}`...)
		tokens, cached = tokens+len(pieces), cached+pieces[0].cached
	}
	for _, text := range texts {
		prompt += len(text)
	}
	out = append(out, `],"service_tier":null,"system_fingerprint":"`+fingerprint+`","usage":`...)
	out = appendJSON(out, usageOf(prompt, tokens, cached))
	out = append(out, `,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}`...)
	replyRaw(w, http.StatusOK, out)
	return nil
}

func (c *completion) appendHead(dst []byte, object string) []byte {
	dst = append(dst, `{"id":"`+c.id+`","object":"`+object+`","created":`...)
	dst = append(strconv.AppendInt(dst, c.created, 10), `,"model":`...)
	return append(appendString(dst, c.model), `,"choices":[`...)
}

// appendChoice writes a choice's pieces, and leaves its object open.
func (c *completion) appendChoice(dst []byte, list listing, one *choice, pieces []piece, offset int) ([]byte, int) {
	text, last := "", piece{}
	ids := make([]eft.Token, 0, len(pieces))
	for _, p := range pieces {
		text, last, ids = text+p.text, p, append(ids, p.token)
	}
	dst = strconv.AppendInt(append(dst, `{"index":`...), int64(one.index), 10)
	dst = append(appendString(append(dst, `,"text":`...), text), `,"logprobs":`...)
	if c.logprobs == nil {
		dst = append(dst, "null"...)
	} else {
		dst, offset = list.appendLogprobs(dst, pieces, offset)
	}
	dst = appendFinish(dst, last)
	return c.appendReturned(append(dst, `,"token_ids":`...), ids), offset
}

func appendFinish(dst []byte, last piece) []byte {
	dst = append(dst, `,"finish_reason":`...)
	if last.finish == GoesOn {
		dst = append(dst, "null"...)
	} else {
		dst = appendString(dst, string(last.finish))
	}
	return appendJSON(append(dst, `,"stop_reason":`...), last.reason)
}

// appendReturned writes ids if they were asked for.
func (c *completion) appendReturned(dst []byte, ids []eft.Token) []byte {
	if !c.returnIDs {
		return append(dst, "null"...)
	}
	return appendIDs(dst, ids)
}

// streamCompletion sends an event for each token.
func (s *Server) streamCompletion(ctx context.Context, w http.ResponseWriter, c *completion, texts [][]eft.Token, choices []*choice) error {
	list := s.listing(c)
	offsets := make([]int, len(choices))
	out := newEvents(w)
	prompt, tokens, cached := 0, 0, 0
	for _, text := range texts {
		prompt += len(text)
	}
	err := together(ctx, choices, func(one *choice, p piece) error {
		data, at := c.appendHead(nil, "text_completion"), 0
		data, at = c.appendChoice(data, list, one, []piece{p}, offsets[one.index])
		offsets[one.index] = at
		data = append(data, `,"prompt_token_ids":`...)
		if p.nth > 1 {
			data = append(data, "null"...)
		} else {
			data = c.appendReturned(data, texts[one.prompt])
			cached += p.cached
		}
		data = append(data, "}]"...)
		tokens++
		if c.options.ContinuousUsageStats {
			data = appendJSON(append(data, `,"usage":`...), usageOf(len(texts[one.prompt]), p.nth, p.cached))
		}
		return out.send(append(data, '}'))
	})
	if err != nil {
		return out.fail(err)
	}
	if c.options.IncludeUsage {
		data := appendJSON(append(c.appendHead(nil, "text_completion"), `],"usage":`...), usageOf(prompt, tokens, cached))
		if err := out.send(append(data, `,"system_fingerprint":"`+fingerprint+`"}`...)); err != nil {
			return nil // the client left
		}
	}
	out.done()
	return nil
}
