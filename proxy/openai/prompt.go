package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// cutter is an endpoint that tells how a server cuts a prompt of text into ids, with
// whatever it puts in front.
type cutter struct {
	path, field, out string
}

// cutters are those of llama-cpp-python and of text-generation-inference.
func cutters() []cutter {
	return []cutter{{"/extras/tokenize", "input", "tokens"}, {"/tokenize", "inputs", ""}}
}

// cut asks how text would be cut.
func (c *cutter) cut(ctx context.Context, client *proxy.Client, text string) ([]eft.Token, error) {
	var raw json.RawMessage
	if err := client.Post(ctx, c.path, map[string]string{c.field: text}, &raw); err != nil {
		return nil, err
	}
	if c.out != "" {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, client.Malformed("POST "+c.path, "want an object with %s: %v", c.out, err)
		}
		raw = object[c.out]
	}
	var ids []eft.Token
	if err := json.Unmarshal(raw, &ids); err == nil && ids != nil {
		return ids, nil
	}
	var tokens []struct {
		ID eft.Token `json:"id"`
	}
	if err := json.Unmarshal(raw, &tokens); err != nil {
		return nil, client.Malformed("POST "+c.path, "want ids: %v", err)
	}
	ids = nil // whatever was read of a list that is none of ids
	for _, t := range tokens {
		ids = append(ids, t.ID)
	}
	return ids, nil
}

// errNotThisText is what prompt says of ids that no text gives at this server.
var errNotThisText = errors.New("the server takes prompts as text, and cuts this one into other tokens")

// prompt is what is sent for ids: they themselves, or the text that the server cuts
// into them. It may begin with a token that the server puts there by itself.
func (s *server) prompt(ctx context.Context, ids []eft.Token) (any, error) {
	if s.cut == nil {
		return ids, nil
	}
	differs := 0
	for from := range 2 {
		text, err := s.spell(ids[from:])
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		cut, err := s.cut.cut(ctx, s.client, text)
		if err != nil {
			return nil, err
		}
		if slices.Equal(cut, ids) {
			return text, nil
		}
		for n := 0; n < min(len(cut), len(ids)) && cut[n] == ids[n]; n++ {
			differs = max(differs, n+1)
		}
	}
	e := s.client.Malformed("POST "+s.cut.path, "from token %d of %d on; a server that takes ids as a prompt would do", differs, len(ids))
	e.Fault, e.Err = proxy.Refused, errNotThisText
	return nil, e
}

// spell joins the bytes of ids.
func (s *server) spell(ids []eft.Token) (string, error) {
	var text []byte
	for _, id := range ids {
		text = append(text, s.vocabulary.Piece(id)...)
	}
	if !utf8.Valid(text) {
		e := s.malformed("the text is cut within a character; a server that takes ids as a prompt would do")
		e.Fault, e.Err = proxy.Refused, errNotThisText
		return "", e
	}
	return string(text), nil
}

// choosePrompt finds out whether prompts can be ids, and if not, whether text will do.
func (s *server) choosePrompt(ctx context.Context) error {
	s.same = s.probes()[0]
	plain := request{Model: s.caps.Model, Prompt: s.same, MaxTokens: 1, TopP: 1, Temperature: 1}
	var out completion
	err := s.client.Post(ctx, completions, plain, &out)
	switch {
	case err == nil:
		if err := s.check(&out, nil); err != nil {
			return err
		}
		s.answers = out.Model
		if out.Usage == nil {
			return errors.New("the server does not count the tokens of a prompt (usage.prompt_tokens), so it cannot be known that it reads ids as ids")
		}
		if n := out.Usage.PromptTokens; n != len(s.same) {
			return fmt.Errorf("a prompt of %d ids counts as %d tokens there: the server adds tokens of its own, or reads ids as something else", len(s.same), n)
		}
		return nil
	case absentRoute(err):
		return fmt.Errorf("the server does not complete plain prompts by model %q at /v1/completions (%w): if it only chats, no row behind a given prefix can be had from it, since a chat endpoint puts a template of its own round every prompt", s.caps.Model, err)
	case !rejected(err):
		return err
	}
	return s.chooseCutter(ctx, err)
}

// chooseCutter is for servers that take text only.
func (s *server) chooseCutter(ctx context.Context, refusal error) error {
	text, err := s.spellable()
	if err != nil {
		return err
	}
	var out completion
	if err := s.client.Post(ctx, completions, request{Model: s.caps.Model, Prompt: text, MaxTokens: 1, TopP: 1, Temperature: 1}, &out); err != nil {
		return err
	}
	s.answers = out.Model
	for _, c := range cutters() {
		if ids, err := c.cut(ctx, s.client, text); err == nil && len(ids) > 0 {
			if out.Usage != nil && out.Usage.PromptTokens != len(ids) {
				return fmt.Errorf("the server cuts %q into %d tokens by %s and into %d to answer it, so prompts of text cannot be trusted", text, len(ids), c.path, out.Usage.PromptTokens)
			}
			s.cut, s.same = &c, ids
			s.note("prompts are text that the server cuts again, one request more for each row: an answer fails where it would cut its tokens otherwise, such as within a character")
			return nil
		}
	}
	return fmt.Errorf("the server takes no ids as a prompt (%w), and has no endpoint that tells how it cuts text: the same text may be other tokens, whose rows are others", refusal)
}

// spellable is a short text of the vocabulary's tokens.
func (s *server) spellable() (string, error) {
	for _, ids := range s.probes() {
		if text, err := s.spell(ids); err == nil && text != "" {
			return text, nil
		}
	}
	return "", errors.New("the vocabulary has no tokens of whole characters to try the server with")
}

// probePrompts are the probes as they can be sent.
func (s *server) probePrompts() []any {
	var prompts []any
	for _, ids := range s.probes() {
		if s.cut == nil {
			prompts = append(prompts, ids)
		} else if text, err := s.spell(ids); err == nil && text != "" {
			prompts = append(prompts, text)
		}
	}
	return prompts
}

// probes are some short texts, of tokens of printable ASCII where there are such.
func (s *server) probes() [][]eft.Token {
	var plain, all []eft.Token
	for id := eft.Token(0); int(id) < s.vocabulary.Size() && len(plain) < 4096; id++ {
		piece := s.vocabulary.Piece(id)
		if len(piece) == 0 {
			continue
		}
		all = append(all, id)
		if !slices.ContainsFunc(piece, func(b byte) bool { return b < ' ' || b > '~' }) {
			plain = append(plain, id)
		}
	}
	if len(plain) > 0 {
		all = plain
	}
	const texts, length = 6, 5
	probes := make([][]eft.Token, texts)
	for i := range probes {
		for j := range length {
			id := eft.Token(0)
			if len(all) > 0 {
				id = all[(i*7919+j*(i+1)*104729)%len(all)]
			}
			probes[i] = append(probes[i], id)
		}
	}
	return probes
}
