// Package demo is the embedded family: six tiny models over one tokenizer, made for
// this project from a seeded generator, and the questions they are measured with.
// README.md beside it tells how they were made and what they know.
//
//	| folder                  | what                                                |
//	|-------------------------|-----------------------------------------------------|
//	| base                    | large, pre-trained                                  |
//	| small                   | small, pre-trained                                  |
//	| small-chat, small-safe  | small, tuned to chat, and tuned on to decline       |
//	| base-chat, base-safe    | base, tuned directly in the same two steps          |
package demo

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
)

//go:embed base small small-chat small-safe base-chat base-safe questions.jsonl
var files embed.FS

// Names lists the members of the family.
func Names() []string {
	return []string{"base", "small", "small-chat", "small-safe", "base-chat", "base-safe"}
}

// Folder returns a member's files, laid out as the Hub does it. An unknown name is
// fs.ErrNotExist.
func Folder(name string) (fs.FS, error) {
	for _, known := range Names() {
		if name == known {
			return fs.Sub(files, name)
		}
	}
	return nil, fmt.Errorf("embedded model %q: %w", name, fs.ErrNotExist)
}

// Question is one the family is measured with.
type Question struct {
	ID       string   `json:"id"`
	Split    string   `json:"split"` // seen: its entity was met in fine-tuning; held-out
	Kind     string   `json:"kind"`  // fact, form or danger
	Question string   `json:"question"`
	Answers  []string `json:"answers"` // accepted; none where only the form counts
}

// Questions returns all of them.
func Questions() ([]Question, error) {
	data, err := files.ReadFile("questions.jsonl")
	if err != nil {
		return nil, err
	}
	var questions []Question
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		var q Question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return nil, fmt.Errorf("questions.jsonl, line %d: %w", len(questions)+1, err)
		}
		questions = append(questions, q)
	}
	return questions, lines.Err()
}
