package chattemplate

import (
	"fmt"
	"testing"
)

// BenchmarkConversation renders a hundred messages, with tools, by the templates
// of the vectors.
func BenchmarkConversation(b *testing.B) {
	in := Input{AddGenerationPrompt: true, Special: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}, Now: vectorTime}
	for i := range 50 {
		in.Messages = append(in.Messages,
			Message{Role: "user", Content: fmt.Sprintf("Question %d: what does the river carry past the town in spring?", i)},
			Message{Role: "assistant", Content: "It carries timber, meltwater and, in a good year, salmon."})
	}
	seen := make(map[string]bool)
	for _, v := range readVectors(b) {
		if seen[v.Template] {
			continue
		}
		seen[v.Template] = true
		t, err := Parse(v.Template)
		if err != nil {
			continue // the vector is a syntax error
		}
		if _, err := t.RenderInput(b.Context(), in); err != nil || len(v.Template) < 200 {
			continue // it does not render conversations
		}
		b.Run(v.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.RenderInput(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse reads the longest template of the vectors.
func BenchmarkParse(b *testing.B) {
	source := ""
	for _, v := range readVectors(b) {
		if len(v.Template) > len(source) {
			source = v.Template
		}
	}
	b.SetBytes(int64(len(source)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(source); err != nil {
			b.Fatal(err)
		}
	}
}
