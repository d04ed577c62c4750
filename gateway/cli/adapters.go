package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway"
	"github.com/graft-gateway/graft/gateway/openai"
	"github.com/graft-gateway/graft/models"
	"github.com/graft-gateway/graft/models/chattemplate"
	"github.com/graft-gateway/graft/models/tokenizer"
)

// base is a model as the decode loop wants its base.
type base struct{ model *models.Model }

func (b base) Open(_ context.Context, tenant string, prompt []eft.Token) (decode.Sequence, error) {
	return sequence{b.model.OpenFor(tenant, prompt)}, nil
}

type sequence struct{ *models.Sequence }

func (s sequence) Close() { logClose(s.Sequence.Close()) }

// small is a pair as the decode loop wants it.
type small struct{ pair *models.Pair }

func (s small) Open(_ context.Context, tenant string, prompts decode.PairPrompts) (decode.PairSequence, error) {
	return pairSequence{s.pair.OpenFor(tenant, prompts.Tuned, prompts.Untuned)}, nil
}

type pairSequence struct{ *models.PairSequence }

func (s pairSequence) Close() { logClose(s.PairSequence.Close()) }

// logClose tells of native memory that could not be given back; the answer is not
// touched by it.
func logClose(err error) {
	if err != nil {
		slog.Error("closing a sequence", "error", err)
	}
}

// chat renders conversations with a model's own template.
type chat struct{ model *models.Model }

func (c chat) Prompt(ctx context.Context, messages []openai.Message) ([]eft.Token, error) {
	return c.model.Prompt(ctx, templateMessages(messages))
}

// templated renders conversations with a template from a file.
type templated struct {
	template *chattemplate.Template
	model    *models.Model
}

func (t templated) Prompt(ctx context.Context, messages []openai.Message) ([]eft.Token, error) {
	return t.model.PromptWith(ctx, t.template, templateMessages(messages))
}

// plain joins the messages' texts, and adds nothing but what begins every text.
type plain struct{ model *models.Model }

func (p plain) Prompt(_ context.Context, messages []openai.Message) ([]eft.Token, error) {
	var texts []string
	for _, m := range messages {
		texts = append(texts, m.Content)
	}
	tokens := p.model.Tokenizer().Encode(strings.Join(texts, "\n\n"), true)
	if len(tokens) == 0 {
		return nil, errors.New("they have no text")
	}
	return tokens, nil
}

// templateMessages turns messages into what templates know: OpenAI's developer is
// their system.
func templateMessages(messages []openai.Message) []chattemplate.Message {
	var out []chattemplate.Message
	for _, m := range messages {
		role := m.Role
		if role == "developer" {
			role = "system"
		}
		out = append(out, chattemplate.Message{Role: role, Content: m.Content, Extra: extra(m)})
	}
	return out
}

// extra are the members that few messages have, nil for none.
func extra(m openai.Message) json.RawMessage {
	if m.Name == "" && m.ToolCallID == "" {
		return nil
	}
	object, err := json.Marshal(struct {
		Name       string `json:"name,omitempty"`
		ToolCallID string `json:"tool_call_id,omitempty"`
	}{m.Name, m.ToolCallID})
	if err != nil {
		panic("two strings that do not marshal: " + err.Error())
	}
	return object
}

// text is a tokenizer as the gateway wants it.
type text struct{ tokenizer *tokenizer.Tokenizer }

func (t text) Encode(s string, special bool) []eft.Token { return t.tokenizer.Encode(s, special) }

func (t text) Decode(ids []eft.Token) string { return t.tokenizer.Decode(ids, false) }

func (t text) Stream() gateway.TextStream { return t.tokenizer.Stream(true) }

func (t text) StreamSpecial() gateway.TextStream { return t.tokenizer.Stream(false) }
