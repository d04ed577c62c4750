package openai

import (
	"slices"
	"strings"
)

// Message is one turn of a conversation.
type Message struct {
	Role       string // system, developer, user, assistant or tool
	Content    string // text parts are joined by a line feed, as other servers do
	Name       string // empty if not given
	ToolCallID string // of role tool only; empty if not given
}

// readMessages reads the list of messages; it must not be empty.
func readMessages(r *reader) ([]Message, error) {
	var messages []Message
	err := r.array(func(int) error {
		m, err := readMessage(r)
		messages = append(messages, m)
		return err
	})
	if err == nil && len(messages) == 0 {
		err = r.fail(CodeInvalidValue, "%s is empty; send at least one message", r.where())
	}
	return messages, err
}

func readMessage(r *reader) (Message, error) {
	var m Message
	var content Optional[string]
	err := r.object(func(key string) error {
		switch key {
		case "role":
			return readRole(r, &m.Role)
		case "content":
			return given(r, &content, func() (string, error) { return readContent(r) })
		case "name":
			return stringField(r, &m.Name)
		case "tool_call_id":
			return stringField(r, &m.ToolCallID)

		// What clients send back with an assistant's answer.
		case "tool_calls", "annotations":
			return refuse(r, "[]")
		case "function_call", "audio":
			return refuse(r)
		case "refusal", "reasoning", "reasoning_content":
			return refuse(r, `""`)
		}
		return unknown(r)
	})
	if err != nil {
		return m, err
	}
	m.Content = content.Value
	at := r.param()
	switch {
	case m.Role == "":
		return m, BadRequest(at+".role", CodeMissing, "%s.role is missing; it must be one of %s", at, roleNames())
	case !content.Set:
		return m, BadRequest(at+".content", CodeMissing,
			"%s.content is missing or null; it must be a string or a list of text parts", at)
	case m.ToolCallID != "" && m.Role != "tool":
		return m, BadRequest(at+".tool_call_id", CodeInvalidValue,
			"%s.tool_call_id is only allowed for the role tool, got %s", at, m.Role)
	}
	return m, nil
}

func roles() []string { return []string{"system", "developer", "user", "assistant", "tool"} }

func roleNames() string { return strings.Join(roles(), ", ") }

func readRole(r *reader, dst *string) error {
	role, err := r.text()
	if err != nil {
		return err
	}
	if !slices.Contains(roles(), role) {
		return r.fail(CodeInvalidValue, "%s must be one of %s, got %s", r.where(), roleNames(), quote(role))
	}
	*dst = role
	return nil
}

// readContent reads a string, or a list of text parts.
func readContent(r *reader) (string, error) {
	k, err := r.kind()
	if err != nil {
		return "", err
	}
	switch k {
	case kindString:
		return r.text()
	case kindArray:
		var parts []string
		err := r.array(func(int) error {
			text, err := readPart(r)
			parts = append(parts, text)
			return err
		})
		if err == nil && len(parts) == 0 {
			err = r.fail(CodeInvalidValue, "%s is an empty list; send a string or at least one text part", r.where())
		}
		return strings.Join(parts, "\n"), err
	}
	return "", r.wrongType("a string or a list of text parts", k)
}

// readPart reads {"type": "text", "text": …}.
func readPart(r *reader) (string, error) {
	var kind string
	var text Optional[string]
	err := r.object(func(key string) error {
		switch key {
		case "type":
			var err error
			if kind, err = r.text(); err == nil && kind != "text" {
				err = r.fail(CodeUnsupported, "%s must be \"text\": only text is supported, got %s", r.where(), quote(kind))
			}
			return err
		case "text":
			return given(r, &text, r.text)
		case "image_url", "input_audio", "audio_url", "video_url", "file", "refusal":
			return r.fail(CodeUnsupported, "%s is not supported: only text parts are", r.where())
		}
		return unknown(r)
	})
	at := r.param()
	switch {
	case err != nil:
		return "", err
	case kind == "":
		return "", BadRequest(at+".type", CodeMissing, "%s.type is missing; it must be \"text\"", at)
	case !text.Set:
		return "", BadRequest(at+".text", CodeMissing, "%s.text is missing or null; it must be a string", at)
	}
	return text.Value, nil
}
