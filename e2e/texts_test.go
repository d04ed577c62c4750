package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// greedyText is what a route answered greedily, and by how many nats each token led.
type greedyText struct {
	ids  []int
	gaps []float64
}

// answerGreedily completes a prompt of ids.
func answerGreedily(url, route, draft string, prompt []int) (greedyText, error) {
	var out greedyText
	answer, err := ask[completion](url, "/v1/completions", object{
		"model": route, "prompt": prompt, "max_tokens": 48, "temperature": 0, "logprobs": 2, "return_tokens_as_token_ids": true,
		"tuning": object{"draft": draft},
	})
	if err != nil {
		return out, err
	}
	told := answer.Choices[0].Logprobs
	if out.ids, err = told.ids(); err != nil {
		return out, err
	}
	for i, name := range told.Tokens {
		gap := 0.0
		for _, l := range told.Top[i] {
			gap = max(gap, told.Top[i][name]-l)
		}
		out.gaps = append(out.gaps, gap)
	}
	return out, nil
}

// completion is what the tests read of an answer whose tokens are told as ids.
type completion struct {
	Choices []struct{ Logprobs toldTokens }
}

// toldTokens are a completion's log-probs.
type toldTokens struct {
	Tokens []string
	Top    []map[string]float64 `json:"top_logprobs"`
}

// ids are the tokens.
func (t toldTokens) ids() (ids []int, err error) {
	for _, name := range t.Tokens {
		id, err := strconv.Atoi(strings.TrimPrefix(name, "token_id:"))
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// answerAll completes all prompts by a route, a few at a time.
func answerAll(t *testing.T, url, route string, prompts [][]int) []greedyText {
	t.Helper()
	return answerAllBy(t, url, route, "auto", prompts)
}

// answerAllBy is answerAll with a drafter. With off, a base is asked for the rows that
// texts go along, and for no others.
func answerAllBy(t *testing.T, url, route, draft string, prompts [][]int) []greedyText {
	t.Helper()
	texts, errs := make([]greedyText, len(prompts)), make([]error, len(prompts))
	var workers sync.WaitGroup
	places := make(chan struct{}, 4)
	for i, prompt := range prompts {
		places <- struct{}{}
		workers.Go(func() {
			texts[i], errs[i] = answerGreedily(url, route, draft, prompt)
			<-places
		})
	}
	workers.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s, prompt %d: %v", route, i, err)
		}
	}
	return texts
}

// comparison counts where texts are those of a reference. They can part at a near tie,
// and what follows there is another text.
type comparison struct {
	texts, tokens int       // tokens that are equal
	partings      []float64 // the reference's lead where a text left it, in nats
}

func compare(reference, texts []greedyText) comparison {
	c := comparison{texts: len(texts)}
	for i, want := range reference {
		for j, id := range want.ids {
			if j >= len(texts[i].ids) || texts[i].ids[j] != id {
				c.partings = append(c.partings, want.gaps[j])
				break
			}
			c.tokens++
		}
	}
	return c
}

func (c comparison) String() string {
	line := fmt.Sprintf("%d texts, %d tokens equal, %d parted", c.texts, c.tokens, len(c.partings))
	if len(c.partings) > 0 {
		line += fmt.Sprintf(" where the lead was %.2g nats", c.partings)
	}
	return line
}

// within fails where a text parted from its reference at no near tie.
func (c comparison) within(t *testing.T, what string, tolerance float64) {
	t.Helper()
	t.Logf("%s: %s", what, c)
	for _, gap := range c.partings {
		if gap > tolerance {
			t.Errorf("%s: a text parted where its token led by %.2g nats, more than %.2g", what, gap, tolerance)
		}
	}
}

// chatPrompts are the first n held-out questions, the facts among them first, as the
// route demo sees them.
func chatPrompts(t *testing.T, n int) [][]int {
	t.Helper()
	var prompts [][]int
	for _, q := range questions(t, "held-out", "fact")[:n] {
		prompts = append(prompts, tokenizeChat(t, q.Question))
	}
	return prompts
}

// configured starts a graft with a configuration of the test's own.
func configured(t *testing.T, config string, env ...string) *process {
	t.Helper()
	return start(t, env, "serve", "--listen", "127.0.0.1:0", "--config", writeConfig(t, config))
}

func writeConfig(t *testing.T, config string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "graft.yaml")
	if err := writeFile(path, config); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

// count is how many of something a longer run takes: GRAFT_QUESTIONS in place of n.
func count(t *testing.T, n int) int {
	t.Helper()
	text := os.Getenv("GRAFT_QUESTIONS")
	if text == "" {
		return n
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("GRAFT_QUESTIONS=%s: want a number", text)
	}
	return n
}
