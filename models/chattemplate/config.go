package chattemplate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Sources are the templates of a model by name. The usual one is "default";
// "tool_use" renders conversations with tools; there may be others. A model
// that was not tuned to chat has none.
type Sources map[string]string

const (
	defaultSource = "default"
	toolSource    = "tool_use"
	// ChatTemplateFile is the file of a model folder that holds the default
	// template; those in files of ExtraTemplatesFolder are named for their files.
	ChatTemplateFile     = "chat_template.jinja"
	ExtraTemplatesFolder = "additional_chat_templates"
)

// ErrNoTemplate says that a model has no chat template.
var ErrNoTemplate = errors.New("the model has no chat template")

// Pick is the template that transformers takes for a conversation with or
// without tools. It is an error if there is none, or several and none for it.
func (s Sources) Pick(tools bool) (string, error) {
	if source, ok := s[toolSource]; ok && tools {
		return source, nil
	}
	if source, ok := s[defaultSource]; ok {
		return source, nil
	}
	if len(s) == 0 {
		return "", ErrNoTemplate
	}
	return "", fmt.Errorf("the model's chat templates are %s, and none is %q", strings.Join(slices.Sorted(maps.Keys(s)), ", "), defaultSource)
}

// FromConfig reads the templates out of a tokenizer_config.json, where
// chat_template is one template, a list of named ones, or an object of them.
func FromConfig(tokenizerConfig []byte) (Sources, error) {
	var config struct {
		ChatTemplate json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(tokenizerConfig, &config); err != nil {
		return nil, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	s := Sources{}
	raw := config.ChatTemplate
	if len(raw) == 0 || string(raw) == "null" {
		return s, nil
	}
	var named []struct{ Name, Template *string }
	var one string
	switch {
	case json.Unmarshal(raw, &one) == nil:
		s[defaultSource] = one
	case json.Unmarshal(raw, &named) == nil:
		for i, t := range named {
			if t.Name == nil || t.Template == nil {
				return nil, fmt.Errorf("tokenizer_config.json: item %d of chat_template has no name or no template", i)
			}
			s[*t.Name] = *t.Template
		}
	case json.Unmarshal(raw, &s) != nil:
		return nil, errors.New("tokenizer_config.json: chat_template is neither a text nor a list of named templates")
	}
	return s, nil
}

// FromFiles reads the templates out of files of their own, by their paths in
// the model folder: [ChatTemplateFile], and those in [ExtraTemplatesFolder].
// Other files are passed over. If there are any, those of the configuration do
// not count.
func FromFiles(files map[string][]byte) Sources {
	s := Sources{}
	for path, source := range files {
		name, isTemplate := strings.CutSuffix(path, ".jinja")
		extra, isExtra := strings.CutPrefix(name, ExtraTemplatesFolder+"/")
		switch {
		case path == ChatTemplateFile:
			// A template of that name in the folder comes later, and wins.
			if _, ok := s[defaultSource]; !ok {
				s[defaultSource] = string(source)
			}
		case isTemplate && isExtra && !strings.Contains(extra, "/"):
			s[extra] = string(source)
		}
	}
	return s
}

// SpecialTokens reads the named special tokens (bos_token, eos_token, and any
// other that ends in _token or stands in extra_special_tokens), which templates
// see as variables. legacy is a special_tokens_map.json, nil without one: it
// counts where the configuration does not list its added tokens, and then wins.
func SpecialTokens(tokenizerConfig, legacy []byte) (map[string]string, error) {
	var config map[string]json.RawMessage
	if err := json.Unmarshal(tokenizerConfig, &config); err != nil {
		return nil, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	tokens := make(map[string]string)
	if err := addTokens(tokens, config); err != nil {
		return nil, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	if _, listed := config["added_tokens_decoder"]; listed || legacy == nil {
		return tokens, nil
	}
	config = nil
	err := json.Unmarshal(legacy, &config)
	if err == nil {
		err = addTokens(tokens, config)
	}
	if err != nil {
		return nil, fmt.Errorf("special_tokens_map.json: %w", err)
	}
	return tokens, nil
}

func addTokens(dst map[string]string, config map[string]json.RawMessage) error {
	for name, raw := range config {
		if !strings.HasSuffix(name, "_token") {
			continue
		}
		text, ok := tokenText(raw)
		switch {
		case ok:
			dst[name] = text
		case standardToken(name) && string(raw) != "null":
			return fmt.Errorf("%s is neither a text nor a token with its content", name)
		}
	}
	var extra map[string]json.RawMessage
	if json.Unmarshal(config["extra_special_tokens"], &extra) != nil {
		return nil // a list has no names
	}
	for name, raw := range extra {
		text, ok := tokenText(raw)
		if !ok {
			return fmt.Errorf("extra_special_tokens: %s is neither a text nor a token with its content", name)
		}
		dst[name] = text
	}
	return nil
}

// standardToken says whether every tokenizer knows a special token; an
// add_bos_token, which is no text, is none of them.
func standardToken(name string) bool {
	switch name {
	case "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token":
		return true
	}
	return false
}

// tokenText is a token written as a text or as an object with its content.
func tokenText(raw json.RawMessage) (string, bool) {
	var text *string
	if json.Unmarshal(raw, &text) == nil && text != nil {
		return *text, true
	}
	var token struct{ Content *string }
	if json.Unmarshal(raw, &token) == nil && token.Content != nil {
		return *token.Content, true
	}
	return "", false
}
