package chattemplate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string
	Content string
	// Parts is a JSON list of content parts that takes the place of Content; nil
	// means that Content counts.
	Parts json.RawMessage
	// Extra are further members, as a JSON object: name, tool_calls,
	// tool_call_id, reasoning_content. Nil means none. A member "content" in it
	// wins (null, for a turn that only calls tools).
	Extra json.RawMessage
}

// Input is a conversation with what a tokenizer's configuration adds to it.
type Input struct {
	Messages []Message
	// AddGenerationPrompt asks for the head of the assistant's next turn.
	AddGenerationPrompt bool
	// Special are the tokenizer's named special tokens, such as bos_token: see
	// [SpecialTokens]. One that is not in it is undefined.
	Special map[string]string
	// Tools and Documents are JSON lists; nil means None.
	Tools, Documents json.RawMessage
	// Extra are further names by their JSON values, such as enable_thinking.
	// They win over the ones above.
	Extra map[string]json.RawMessage
	// Now is what strftime_now sees; the zero value means the current time.
	Now time.Time
}

// RenderInput is Render for a conversation in Go's types.
func (t *Template) RenderInput(ctx context.Context, in Input) (string, error) {
	data, err := in.dict()
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	now := in.Now
	if now.IsZero() {
		now = time.Now()
	}
	return t.render(ctx, data, now)
}

func (in Input) dict() (*dict, error) {
	messages := &list{make([]value, len(in.Messages))}
	for i, m := range in.Messages {
		d, err := m.dict()
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		messages.items[i] = d
	}
	data := newDict(8)
	for name, token := range in.Special {
		data.set(name, str(token))
	}
	data.set("messages", messages)
	for name, raw := range map[string]json.RawMessage{"tools": in.Tools, "documents": in.Documents} {
		v, err := orNone(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		data.set(name, v)
	}
	data.set("add_generation_prompt", boolean(in.AddGenerationPrompt))
	for name, raw := range in.Extra {
		v, err := readJSON(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		data.set(name, v)
	}
	return data, nil
}

func orNone(raw json.RawMessage) (value, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return none{}, nil
	}
	return readJSON(raw)
}

func (m Message) dict() (*dict, error) {
	d := newDict(4)
	d.set("role", str(m.Role))
	d.set("content", str(m.Content))
	if len(m.Parts) > 0 {
		parts, err := readJSON(m.Parts)
		if err != nil {
			return nil, fmt.Errorf("content: %w", err)
		}
		d.set("content", parts)
	}
	if len(m.Extra) == 0 {
		return d, nil
	}
	v, err := readJSON(m.Extra)
	if err != nil {
		return nil, err
	}
	extra, ok := v.(*dict)
	if !ok {
		return nil, fmt.Errorf("the further members are a JSON %s, not an object", typeName(v))
	}
	for _, e := range extra.entries {
		if err := d.put(e.key, e.value); err != nil {
			return nil, err
		}
	}
	return d, nil
}
