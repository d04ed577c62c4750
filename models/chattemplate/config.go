package chattemplate

import (
	"encoding/json"
	"fmt"
)

// Sources are the templates that a tokenizer configuration carries.
type Sources struct {
	// Default renders conversations; empty means that there is no template, as
	// for models that were not tuned to chat.
	Default string
	// ToolUse renders conversations with tools; empty means that Default does.
	ToolUse string
}

// For picks the template for a conversation with or without tools.
func (s Sources) For(tools bool) string {
	if tools && s.ToolUse != "" {
		return s.ToolUse
	}
	return s.Default
}

// FromConfig reads the templates out of a tokenizer_config.json: one string, or
// a list of named ones, of which "default" and "tool_use" count.
func FromConfig(tokenizerConfig []byte) (Sources, error) {
	var config struct {
		ChatTemplate json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(tokenizerConfig, &config); err != nil {
		return Sources{}, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	raw := config.ChatTemplate
	if len(raw) == 0 || string(raw) == "null" {
		return Sources{}, nil
	}
	var s Sources
	if raw[0] == '"' {
		err := json.Unmarshal(raw, &s.Default)
		return s, err
	}
	var named []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &named); err != nil {
		return Sources{}, fmt.Errorf("tokenizer_config.json: chat_template is neither a string nor a list of named templates: %w", err)
	}
	for _, t := range named {
		switch t.Name {
		case "default":
			s.Default = t.Template
		case "tool_use":
			s.ToolUse = t.Template
		}
	}
	if s.Default == "" {
		return Sources{}, fmt.Errorf("tokenizer_config.json: chat_template names %d templates, but none is \"default\"", len(named))
	}
	return s, nil
}
