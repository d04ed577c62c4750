package models

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/graft-gateway/graft/models/chattemplate"
)

// Trial is a small conversation and what the chat template makes of it.
type Trial struct {
	Name    string // user, system or tools
	Tokens  int    // of the prompt; 0 without a tokenizer
	Err     error  // why the template refuses it
	Ignored bool   // what the conversation is named for leaves no trace in the prompt
}

// The words by which a trial is found again in its prompt.
const (
	triedUser   = "Which river rises in the hills?"
	triedSystem = "Answer in one short sentence."
	triedTool   = "look_up_river"
)

// tried are the conversations, by what is to be seen of them.
func tried() []struct {
	name, trace string
	in          chattemplate.Input
} {
	user := chattemplate.Message{Role: "user", Content: triedUser}
	return []struct {
		name, trace string
		in          chattemplate.Input
	}{
		{"user", triedUser, chattemplate.Input{Messages: []chattemplate.Message{user}}},
		{"system", triedSystem, chattemplate.Input{Messages: []chattemplate.Message{{Role: "system", Content: triedSystem}, user}}},
		{"tools", triedTool, chattemplate.Input{Messages: []chattemplate.Message{user}, Tools: json.RawMessage(`[{"type": "function", "function": {
			"name": "` + triedTool + `", "description": "Tells where a river rises.",
			"parameters": {"type": "object", "properties": {"name": {"type": "string", "description": "The river's name."}}, "required": ["name"]}}}]`)}},
	}
}

// Try renders small conversations with the folder's template. marks are what it writes
// in the manner of special tokens, such as <|user|>, and the tokenizer does not know.
// Both are nil without a template.
func (d *Description) Try(ctx context.Context) (trials []Trial, marks []string, err error) {
	if d.model == nil || d.model.template == nil {
		return nil, nil, nil
	}
	m := d.model
	for _, c := range tried() {
		c.in.AddGenerationPrompt, c.in.Special = true, m.config.special
		text, err := m.template.RenderInput(ctx, c.in)
		if ctx.Err() != nil {
			return nil, nil, errors.Join(ctx.Err(), err)
		}
		t := Trial{Name: c.name, Err: err, Ignored: err == nil && !strings.Contains(text, c.trace)}
		if m.tokenizer != nil && err == nil {
			t.Tokens = len(m.tokenizer.Encode(text, false))
			marks = m.unknownMarks(text, marks)
		}
		trials = append(trials, t)
	}
	return trials, marks, nil
}

// unknownMarks appends the marks in text that are no token, each once.
func (m *Model) unknownMarks(text string, marks []string) []string {
	// The marks of ChatML, Llama 3, Phi, Gemma and their like, and of Llama 2.
	pattern := regexp.MustCompile(`<\|[^|<>\s]{1,40}\|>|<(?:start|end)_of_turn>|</?s>`)
	for _, mark := range pattern.FindAllString(text, -1) {
		if _, known := m.tokenizer.ID(mark); !known && !slices.Contains(marks, mark) {
			marks = append(marks, mark)
		}
	}
	return marks
}
