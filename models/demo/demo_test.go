package demo

import (
	"errors"
	"io/fs"
	"testing"
)

func TestEveryMemberIsWhole(t *testing.T) {
	for _, name := range Names() {
		folder, err := Folder(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"model.onnx", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} {
			if info, err := fs.Stat(folder, file); err != nil || info.Size() == 0 {
				t.Errorf("%s/%s: %v", name, file, err)
			}
		}
	}
	if _, err := Folder("huge"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unknown member: %v", err)
	}
}

func TestQuestionsAreEnoughAndDistinct(t *testing.T) {
	all, err := Questions()
	if err != nil {
		t.Fatal(err)
	}
	ids, texts, counts := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, q := range all {
		if ids[q.ID] || texts[q.Question] {
			t.Errorf("%s stands twice: %q", q.ID, q.Question)
		}
		ids[q.ID], texts[q.Question] = true, true
		counts[q.Split+" "+q.Kind]++
		if len(q.Answers) == 0 && q.Kind != "form" {
			t.Errorf("%s has no answers", q.ID)
		}
	}
	for what, least := range map[string]int{"held-out fact": 500, "held-out form": 200, "held-out danger": 200, "seen fact": 1} {
		if counts[what] < least {
			t.Errorf("%d questions are %s, want %d at least", counts[what], what, least)
		}
	}
}
