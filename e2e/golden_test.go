package e2e

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"testing"
)

// golden is a case that PyTorch computed with the plain formula on the same weights;
// models/demo/golden.py makes them.
type golden struct {
	ID        string
	PromptIDs []int `json:"prompt_ids"`
	Experts   []string
	Strength  float64
	Tokens    []int
	Gaps      []float64   // between the best two log-probs at each token
	Rows      [][]float64 // of the first positions, in some cases
}

// unzipped reads a compressed file until the test ends.
func unzipped(t *testing.T, path string) io.Reader {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func goldenCases(t *testing.T) []golden {
	t.Helper()
	var cases []golden
	lines := bufio.NewScanner(unzipped(t, "testdata/golden.jsonl.gz"))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c golden
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

// route is the model name that applies a case's experts.
func (g golden) route() string {
	if len(g.Experts) == 2 {
		return "demo-safe"
	}
	return "demo"
}

// greedy returns the ids that a gateway's route generates for a case, and the best
// log-probs at each position, as many as top says.
func (g golden) greedy(t *testing.T, url, route string, tokens, top int) (ids []int, rows []map[string]float64) {
	t.Helper()
	answer, err := ask[completion](url, "/v1/completions", object{
		"model": route, "prompt": g.PromptIDs, "max_tokens": tokens, "temperature": 0, "logprobs": top,
		"return_tokens_as_token_ids": true, "tuning": object{"strength": g.Strength},
	})
	if err != nil {
		t.Fatal(err)
	}
	told := answer.Choices[0].Logprobs
	if ids, err = told.ids(); err != nil {
		t.Fatal(err)
	}
	return ids, told.Top
}

func TestRowsAndTokensAreThoseOfPyTorch(t *testing.T) {
	const tolerance = 1e-3
	cases := goldenCases(t)
	compared, nearTies, rowsCompared, worst := 0, 0, 0, 0.0
	for _, c := range cases {
		got, _ := c.greedy(t, shared.url, c.route(), len(c.Tokens), 0)
		for i, want := range c.Tokens {
			if i < len(got) && got[i] == want {
				compared++
				continue
			}
			if c.Gaps[i] < tolerance {
				nearTies++ // the texts may part here, and what follows is another text
				break
			}
			t.Errorf("%s: token %d is %v, PyTorch's is %d with a gap of %v", c.ID, i, got[min(i, len(got)-1):], want, c.Gaps[i])
			break
		}
		if len(c.Rows) == 0 {
			continue
		}
		_, rows := c.greedy(t, shared.url, c.route(), len(c.Rows), len(c.Rows[0]))
		for i := range rows {
			rowsCompared++
			for id, want := range c.Rows[i] {
				worst = max(worst, math.Abs(rows[i][fmt.Sprintf("token_id:%d", id)]-want))
			}
		}
	}
	t.Logf("%d cases: %d tokens equal, %d near ties; %d rows, largest difference %.2g nats", len(cases), compared, nearTies, rowsCompared, worst)
	if worst > tolerance {
		t.Errorf("rows differ by up to %v nats", worst)
	}
	if len(cases) < 800 || rowsCompared == 0 {
		t.Errorf("%d cases and %d rows, want 100 prompts × 4 strengths × 2 sets of experts", len(cases), rowsCompared)
	}
}
