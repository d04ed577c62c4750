package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
)

// hashing is a base whose rows depend on all of the prefix. It counts what it is asked.
type hashing struct {
	opened, open, asked atomic.Int32
	fail                error
	panics              bool
}

type hashed struct {
	*hashing
	prompt []eft.Token
}

func (h *hashing) Open(_ context.Context, _ string, prompt []eft.Token) (decode.Sequence, error) {
	h.opened.Add(1)
	h.open.Add(1)
	return &hashed{h, prompt}, nil
}

func (h *hashed) Close() {
	if h.hashing != nil {
		h.open.Add(-1)
	}
	h.hashing = nil // closing again does nothing
}

func (h *hashed) Rows(_ context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	h.asked.Add(1)
	if h.panics {
		panic("a bug")
	}
	if h.fail != nil {
		return nil, h.fail
	}
	prefix := append(append([]eft.Token{}, h.prompt...), generated...)
	var rows []eft.Row
	for i := range len(path) + 1 {
		hash := fnv.New64a()
		fmt.Fprint(hash, append(prefix[:len(prefix):len(prefix)], path[:i]...))
		row := eft.Row{Scores: make([]float32, endID+1)}
		for id := range row.Scores {
			row.Scores[id] = float32(hash.Sum64()>>(id%50)&0xff) / 100
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// upTo is the prompt 1, 2, … n.
func upTo(n int) []int {
	var ids []int
	for i := range n {
		ids = append(ids, i%200+1)
	}
	return ids
}

func TestNestedPromptsAreReadAtOnceAndAnsweredAsAlone(t *testing.T) {
	experts := tunedRoute("experts", "a", "b")
	base := &hashing{}
	route, tuned := plainRoute("m", &speaker{}), *experts
	route.Base, tuned.Base = base, base
	server := start(t, Config{Routes: []*Route{route, &tuned}})
	for name, c := range map[string]struct {
		prompts [][]int
		extra   object
		passes  int32
	}{
		"a path":                {[][]int{upTo(3), upTo(4), upTo(5), upTo(6), upTo(7), upTo(8), upTo(9), upTo(10), upTo(11)}, nil, 1},
		"several choices":       {[][]int{upTo(3), upTo(4)}, object{"n": 3, "temperature": 1, "seed": 5}, 1},
		"equal ones":            {[][]int{upTo(3), upTo(3), upTo(4)}, nil, 1},
		"with a gap":            {[][]int{upTo(3), upTo(9)}, nil, 1},
		"two paths":             {[][]int{upTo(3), upTo(4), {9}, {9, 9}, {9, 9, 9}}, nil, 2},
		"not nested":            {[][]int{{1, 2}, {1, 3, 4}, {1}}, nil, 3},
		"falling":               {[][]int{upTo(4), upTo(3)}, nil, 2},
		"a path of many tokens": {[][]int{upTo(3), upTo(18), upTo(19)}, nil, 2},
		"one prompt":            {[][]int{upTo(3)}, nil, 1},
		"two tokens each":       {[][]int{upTo(3), upTo(4)}, object{"max_tokens": 2}, 4},
		"no token":              {[][]int{upTo(3), upTo(4)}, object{"max_tokens": 0}, 0},
		"experts":               {[][]int{upTo(3), upTo(4)}, object{"model": "experts"}, 2},
	} {
		body := object{"model": "m", "max_tokens": 1, "temperature": 0, "logprobs": -1, "return_tokens_as_token_ids": true, "ignore_eos": true}
		for k, v := range c.extra {
			body[k] = v
		}
		body["prompt"] = c.prompts
		base.asked.Store(0)
		_, together := post(t, server.URL+"/v1/completions", body)
		if got := base.asked.Load(); got != c.passes {
			t.Errorf("%s: %d passes, want %d", name, got, c.passes)
		}
		choices := len(get(t, together, "choices").([]any)) / len(c.prompts)
		for i, prompt := range c.prompts {
			if i > 0 && choices > 1 {
				break // the seeds of later prompts are others
			}
			body["prompt"] = [][]int{prompt}
			_, alone := post(t, server.URL+"/v1/completions", body)
			for j := range choices {
				if got, want := get(t, together, "choices", i*choices+j, "logprobs"), get(t, alone, "choices", j, "logprobs"); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: choice %d of prompt %d differs from that of its own request", name, j, i)
				}
			}
		}
		if n := base.open.Load(); n != 0 {
			t.Errorf("%s: %d sequences are left open", name, n)
		}
	}
}

func TestFailuresOfNestedPromptsAreTheBases(t *testing.T) {
	for name, c := range map[string]struct {
		base *hashing
		says string
	}{
		"an error": {&hashing{fail: brokenBase{status: 503}}, "the base is unwell"},
		"a fault":  {&hashing{fail: errors.New("broken")}, "its log says why"},
		"a panic":  {&hashing{panics: true}, "its log says why"},
	} {
		route := plainRoute("m", &speaker{})
		route.Base = c.base
		server := start(t, Config{Routes: []*Route{route}})
		status, answer := post(t, server.URL+"/v1/completions", object{"model": "m", "prompt": [][]int{{1}, {1, 2}, {1, 2, 3}}, "max_tokens": 1})
		if message := get(t, answer, "error", "message").(string); status < 500 || !strings.Contains(message, c.says) {
			t.Errorf("%s: %d %s", name, status, message)
		}
		if n := c.base.open.Load(); n != 0 {
			t.Errorf("%s: %d sequences are left open", name, n)
		}
	}
}
