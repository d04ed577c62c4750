package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/graft-gateway/graft/models/chattemplate"
)

// render is the command that shows what a chat template makes of conversations,
// line by line.
type render struct {
	Template string     `arg:"" help:"A template, or the tokenizer_config.json that holds one." placeholder:"TEMPLATE"`
	Now      *time.Time `help:"What strftime_now sees, as 2025-07-10T12:00:00Z; the current time otherwise." placeholder:"TIME"`
}

// Help is what `graft render --help` says below its first line.
func (*render) Help() string {
	return `Reads JSON lines of template data from standard input and writes one line for each:

  {"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true, "bos_token": "<s>"}
    →  {"text": "<s>[INST] Hi [/INST]"}
  what the template refuses  →  {"error": "…"}

A tokenizer_config.json also gives its special tokens, unless the data has its own, and a
template for tools where it names one.`
}

// Run answers until standard input ends.
func (c *render) Run(ctx context.Context) error {
	chat, err := loadChat(c.Template)
	if err != nil {
		return err
	}
	now := time.Now
	if c.Now != nil {
		now = func() time.Time { return *c.Now }
	}
	return eachLine(ctx, os.Stdin, os.Stdout, func(line []byte) any { return chat.answer(ctx, line, now()) })
}

// chatFile is what a template file holds.
type chatFile struct {
	plain, tools *chattemplate.Template // tools is nil where plain renders them too
	defaults     []byte                 // members that the data may leave out, as JSON without braces
}

// loadChat reads a tokenizer_config.json, known by its ending, or a template.
func loadChat(name string) (*chatFile, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	sources, f := chattemplate.Sources{"default": string(data)}, &chatFile{}
	if filepath.Ext(name) == ".json" {
		if sources, err = chattemplate.FromConfig(data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(sources) == 0 {
			return nil, fmt.Errorf("%s has no chat_template; look for a chat_template.jinja beside it", name)
		}
		tokens, err := chattemplate.SpecialTokens(data, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		members, err := json.Marshal(tokens)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		f.defaults = bytes.Trim(members, "{}")
	}
	plain, err := sources.Pick(false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if f.plain, err = chattemplate.Parse(plain); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if tools, err := sources.Pick(true); err == nil && tools != plain {
		if f.tools, err = chattemplate.Parse(tools); err != nil {
			return nil, fmt.Errorf("%s: the template tool_use: %w", name, err)
		}
	}
	return f, nil
}

// answer renders one line of data. Members that come later win, so the defaults go
// in front.
func (f *chatFile) answer(ctx context.Context, data []byte, now time.Time) any {
	var asked struct {
		Tools json.RawMessage `json:"tools"`
	}
	if err := json.Unmarshal(data, &asked); err != nil {
		return notUnderstood(err)
	}
	template := f.plain
	if f.tools != nil && asked.Tools != nil && string(asked.Tools) != "null" {
		template = f.tools
	}
	if rest, ok := bytes.CutPrefix(data, []byte("{")); ok && len(f.defaults) > 0 {
		comma := ","
		if bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
			comma = ""
		}
		data = slices.Concat([]byte("{"), f.defaults, []byte(comma), rest)
	}
	text, err := template.Render(ctx, data, now)
	if err != nil {
		return failure{err.Error()}
	}
	return textLine{text}
}
