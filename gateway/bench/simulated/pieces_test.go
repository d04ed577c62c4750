package simulated

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func TestStopStringsAreFoundOverPieces(t *testing.T) {
	for _, test := range []struct {
		stops, pieces []string
		text, stop    string
	}{
		{[]string{"END"}, []string{"a E", "N", "D b"}, "a ", "END"},
		{[]string{"END"}, []string{"a E", "N", "d"}, "a ENd", ""},
		{[]string{"bc", "abcd"}, []string{"xab", "cd"}, "x", "abcd"},
		{[]string{"aab"}, []string{"a", "a", "a", "b"}, "a", "aab"},
		{nil, []string{"a", "b"}, "ab", ""},
	} {
		s, text, stop := stopper{stops: test.stops}, "", ""
		for _, piece := range test.pieces {
			var more string
			if more, stop = s.push(piece); stop != "" {
				text += more
				break
			}
			text += more
		}
		if text += s.flush(); text != test.text || stop != test.stop {
			t.Errorf("%q in %q: %q, %q, want %q, %q", test.stops, test.pieces, text, stop, test.text, test.stop)
		}
	}
}

func TestRowsAreRankedByLogProbAndThenByID(t *testing.T) {
	inf := float32(math.Inf(-1))
	row := newRow([]float32{1, inf, 3, 1, 3})
	for k, want := range map[int][]eft.Token{0: {}, 1: {2}, 3: {2, 4, 0}, 9: {2, 4, 0, 3, 1}} {
		if got := row.Best(k); !slices.Equal(got, want) {
			t.Errorf("the %d best are %v, want %v", k, got, want)
		}
	}
	if certain := newRow([]float32{inf, 7}); certain.LogProbs[1] != 0 || certain.Best(1)[0] != 1 {
		t.Errorf("%v, %v", certain.LogProbs, certain.Best(2))
	}
}

func TestOldBlocksMakeRoomFromTheirEnds(t *testing.T) {
	b := newBlocks(3)
	one, two := counting(1, 32), counting(2, 32)
	b.fill("", one)
	b.fill("", two) // four blocks: the second of the first text goes
	if a, c := b.cached("", one, 32), b.cached("", two, 32); a != 16 || c != 32 {
		t.Errorf("%d and %d tokens are cached, want 16 and 32", a, c)
	}
	if len(b.known) != b.order.Len() || b.order.Len() != 3 {
		t.Errorf("%d blocks known and %d in order, want 3", len(b.known), b.order.Len())
	}
}

func TestTextsThatContinueOneAnotherAreOneGroup(t *testing.T) {
	text := counting(0, 100)
	other := slices.Concat(text[:10], counting(3, 5))
	want := func(tokens []eft.Token, from int) *wanted { return &wanted{tokens: tokens, from: from} }
	groups := grouped([]*wanted{
		want(text[:20], 20), want(text[:22], 22), want(other, len(other)), want(text[:21], 21), want(text[:20], 20), want(text, 100),
	})
	var sizes []string
	for _, g := range groups {
		names := []string{}
		for _, w := range g {
			names = append(names, fmt.Sprint(len(w.tokens)))
			if !begins(w.tokens, g[0].tokens) {
				t.Errorf("a text of %d tokens does not begin its group's first", len(w.tokens))
			}
		}
		sizes = append(sizes, strings.Join(names, "+"))
	}
	slices.Sort(sizes)
	// The text of 100 is too far for its rows between to be computed.
	if got := strings.Join(sizes, " "); got != "100 15 22+21+20+20" {
		t.Errorf("groups %s", got)
	}
}

func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		`{"prompt":[[1,2],[3]],"max_tokens":2,"stop":["a"],"logit_bias":{"1":2},"stream_options":{"include_usage":true}}`,
		`{"prompt":"a","n":2}`, `{"prompt":[1, 2]}`, `{"prompt":["a"]}`, `{"prompt":[[1],2]}`, `{"prompt":[ ]}`, `{"prompt": null}`,
		`{"input_ids":[1],"sampling_params":{"stop":["a"]},"logprob_start_len":0}`, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var p *prompts
		var params sglangParams
		var messages []message
		s := newSampling()
		fields := s.fields()
		fields["prompt"], fields["input_ids"], fields["sampling_params"], fields["messages"] = &p, &p, &params, &messages
		if members(body, fields) != nil || p == nil {
			return
		}
		if (len(p.ids) == 0) == (len(p.texts) == 0) {
			t.Errorf("%q: %d lists of ids and %d texts", body, len(p.ids), len(p.texts))
		}
		for _, ids := range p.ids {
			for _, id := range ids {
				if id < 0 {
					t.Errorf("%q: id %d", body, id)
				}
			}
		}
	})
}
