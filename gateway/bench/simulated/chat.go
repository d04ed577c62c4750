package simulated

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// chatting is a request to POST /v1/chat/completions.
type chatting struct {
	completion
	messages    []message
	most        *int
	wanted      bool // log-probs
	topLogprobs int
}

// message is strict. Its content is a text, or parts that are.
type message struct{ Message }

// UnmarshalJSON joins parts.
func (m *message) UnmarshalJSON(data []byte) error {
	var content json.RawMessage
	var name string
	if err := members(data, map[string]any{"role": &m.Role, "content": &content, "name": &name}); err != nil {
		return err
	}
	if m.Role == "" {
		return refuse("messages", "a message has no role")
	}
	if len(content) == 0 || json.Unmarshal(content, &m.Content) == nil {
		return nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(content, &parts); err != nil {
		return refuse("messages", "content is neither a text nor a list of parts")
	}
	for _, part := range parts {
		var kind, text string
		if err := members(part, map[string]any{"type": &kind, "text": &text}); err != nil {
			return err
		}
		if kind != "text" {
			return refuse("messages", "a part of type %q is no text", kind)
		}
		m.Content += text
	}
	return nil
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	c := &chatting{completion: completion{sampling: newSampling(), id: newID("chatcmpl-"), created: time.Now().Unix()}}
	fields := c.fields()
	maps.Copy(fields, map[string]any{
		"messages": &c.messages, "max_tokens": &c.most, "max_completion_tokens": &c.most, "logprobs": &c.wanted, "top_logprobs": &c.topLogprobs,
	})
	if err := members(body, fields); err != nil {
		return err
	}
	text, err := s.readChat(r.Context(), c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	choices, err := s.choose(ctx, &c.sampling, text, c.maxTokens)
	if err != nil {
		return err
	}
	if c.stream {
		return s.streamChat(ctx, w, c, len(text[0]), choices)
	}
	return s.wholeChat(ctx, w, c, len(text[0]), choices)
}

// readChat checks a request and renders its conversation. Without a number of tokens there
// may be as many as the context holds.
func (s *Server) readChat(ctx context.Context, c *chatting) ([][]eft.Token, error) {
	switch {
	case len(c.messages) == 0:
		return nil, refuse("messages", "messages are missing")
	case c.named != nil:
		return nil, refuse("logprob_token_ids", "log-probs by id are simulated on /v1/completions only")
	case c.topLogprobs != 0 && !c.wanted:
		return nil, refuse("top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true.")
	case c.topLogprobs < -1:
		return nil, refuse("top_logprobs", "`top_logprobs` must be a non-negative value or -1.")
	}
	if err := s.checkModel(c.model); err != nil {
		return nil, err
	}
	if err := c.check(s.config.Scored); err != nil {
		return nil, err
	}
	messages := make([]Message, len(c.messages))
	for i, m := range c.messages {
		messages[i] = m.Message
	}
	ids, err := s.config.Prompt(ctx, messages)
	if err != nil {
		return nil, refuse("messages", "the chat template refuses the messages: %v", err)
	}
	if c.maxTokens = max(1, s.config.Context-len(ids)); c.most != nil {
		c.maxTokens = *c.most
	}
	return [][]eft.Token{ids}, s.checkPrompt(ids, c.maxTokens)
}

// listing is how log-probs are listed.
func (c *chatting) listing(text Text) listing {
	l := listing{k: c.topLogprobs, text: text}
	if c.tokensAsIDs {
		l.text = nil
	}
	return l
}

// appendContent writes the chat's logprobs object.
func (l listing) appendContent(dst []byte, pieces []piece, vocabulary *eft.Vocabulary) []byte {
	entry := func(dst []byte, p piece, id eft.Token) []byte {
		dst = appendString(append(dst, `{"token":`...), l.name(id))
		dst = appendLogProb(append(dst, `,"logprob":`...), p.row.LogProbs[id])
		bytes := []int{}
		for _, b := range vocabulary.Piece(id) {
			bytes = append(bytes, int(b))
		}
		return appendJSON(append(dst, `,"bytes":`...), bytes)
	}
	dst = append(dst, `{"content":[`...)
	for i, p := range pieces {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(entry(dst, p, p.token), `,"top_logprobs":[`...)
		k := l.k
		if k < 0 {
			k = len(p.row.LogProbs)
		}
		for j, id := range p.row.Best(k) {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = append(entry(dst, p, id), '}')
		}
		dst = append(dst, "]}"...)
	}
	return append(dst, "]}"...)
}

func (s *Server) wholeChat(ctx context.Context, w http.ResponseWriter, c *chatting, prompt int, choices []*choice) error {
	out := c.appendHead(nil, "chat.completion")
	tokens, cached := 0, 0
	for i, one := range choices {
		pieces, err := one.rest(ctx)
		if err != nil {
			return err
		}
		if i > 0 {
			out = append(out, ',')
		}
		var text strings.Builder
		ids := make([]eft.Token, len(pieces))
		for j, p := range pieces {
			text.WriteString(p.text)
			ids[j] = p.token
		}
		out = strconv.AppendInt(append(out, `{"index":`...), int64(one.index), 10)
		out = appendString(append(out, `,"message":{"role":"assistant","content":`...), text.String())
		out = append(out, `,"refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning":null}`...)
		out = s.appendWanted(out, c, pieces)
		out = c.appendReturned(append(appendFinish(out, pieces[len(pieces)-1]), `,"token_ids":`...), ids)
		out = append(out, '}')
		tokens, cached = tokens+len(pieces), cached+pieces[0].cached
	}
	out = appendJSON(append(out, `],"service_tier":null,"system_fingerprint":"`+fingerprint+`","usage":`...), usageOf(prompt, tokens, cached))
	replyRaw(w, http.StatusOK, append(out, `,"prompt_logprobs":null,"prompt_token_ids":null,"kv_transfer_params":null}`...))
	return nil
}

// appendWanted writes log-probs if they were asked for.
func (s *Server) appendWanted(dst []byte, c *chatting, pieces []piece) []byte {
	dst = append(dst, `,"logprobs":`...)
	if !c.wanted {
		return append(dst, "null"...)
	}
	return c.listing(s.config.Text).appendContent(dst, pieces, s.config.Vocabulary)
}

// streamChat sends an event with the role for each choice, and then one for each token.
func (s *Server) streamChat(ctx context.Context, w http.ResponseWriter, c *chatting, prompt int, choices []*choice) error {
	out := newEvents(w)
	for _, one := range choices {
		data := strconv.AppendInt(append(c.appendHead(nil, "chat.completion.chunk"), `{"index":`...), int64(one.index), 10)
		if err := out.send(append(data, `,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}`...)); err != nil {
			return nil // the client left
		}
	}
	tokens, cached := 0, 0
	err := together(ctx, choices, func(one *choice, p piece) error {
		data := strconv.AppendInt(append(c.appendHead(nil, "chat.completion.chunk"), `{"index":`...), int64(one.index), 10)
		data = append(appendString(append(data, `,"delta":{"content":`...), p.text), '}')
		data = appendFinish(s.appendWanted(data, c, []piece{p}), p)
		data = append(c.appendReturned(append(data, `,"token_ids":`...), []eft.Token{p.token}), "}]"...)
		tokens++
		if p.nth == 1 {
			cached += p.cached
		}
		if c.options.ContinuousUsageStats {
			data = appendJSON(append(data, `,"usage":`...), usageOf(prompt, p.nth, p.cached))
		}
		return out.send(append(data, '}'))
	})
	if err != nil {
		return out.fail(err)
	}
	if c.options.IncludeUsage {
		if err := out.send(append(appendJSON(append(c.appendHead(nil, "chat.completion.chunk"), `],"usage":`...), usageOf(prompt, tokens, cached)), '}')); err != nil {
			return nil // the client left
		}
	}
	out.done()
	return nil
}
