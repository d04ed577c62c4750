package llamacpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

var fakePrompt = []eft.Token{fakeA, fakeA + 1, fakeA + 2}

func same(a, b eft.Row) bool {
	return slices.Equal(a.IDs, b.IDs) && slices.Equal(a.LogProbs, b.LogProbs) && a.Best == b.Best
}

func TestRowsAlongPaths(t *testing.T) {
	f, url := newFake(t)
	text := f.connect(t, url, 5).Begin("")
	defer text.Close()
	f.requests()
	word := eft.Token(6)
	for _, c := range []struct {
		name     string
		path     []eft.Token
		requests int
	}{
		{"no path", nil, 1},
		{"letters and words in one request", []eft.Token{fakeA, word, fakeA + 3, word}, 1},
		{"an open character cuts", []eft.Token{fakeA, fakeOpen, fakeA}, 2},
		{"the rest of a character cuts, too", []eft.Token{fakeOpen, fakeMiddle, fakeMiddle, fakeA}, 4},
		{"whole and open bytes in one token", []eft.Token{5, fakeMiddle, word}, 3},
		{"an end token cuts", []eft.Token{word, fakeEnd, word}, 2},
		{"NUL cuts", []eft.Token{0, word}, 2},
		{"what looks like a mark cuts", []eft.Token{7, word}, 2},
		{"nothing but open characters", []eft.Token{fakeOpen, fakeOpen, fakeOpen}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows := ask(t, text, fakePrompt, c.path...)
			for i, row := range rows {
				if want := f.truth(slices.Concat(fakePrompt, c.path[:i]), 5); !same(row, want) {
					t.Errorf("row %d is %v, want %v", i, row, want)
				}
			}
			if n := len(f.requests()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

func TestAnyPathGivesTheRowsOfItsPrefixes(t *testing.T) {
	for _, grammars := range []bool{true, false} {
		f, url := newFake(t)
		f.noGrammar = !grammars
		text := f.connect(t, url, 5).Begin("")
		draw := rand.New(rand.NewPCG(1, 2))
		for range 60 {
			path := make([]eft.Token, draw.IntN(9))
			for i := range path {
				path[i] = eft.Token(draw.IntN(fakeIDs))
			}
			for i, row := range ask(t, text, fakePrompt, path...) {
				if want := f.truth(slices.Concat(fakePrompt, path[:i]), 5); !same(row, want) {
					t.Fatalf("grammars %v, path %v: row %d is %v, want %v", grammars, path, i, row, want)
				}
			}
		}
		text.Close()
	}
}

func TestATokenThatOnlyTheServerCannotForce(t *testing.T) {
	f, url := newFake(t)
	s := f.connect(t, url, 5)
	text := s.Begin("")
	defer text.Close()
	bad := fakeA + 5
	f.stubborn = map[eft.Token]bool{bad: true}
	f.requests()
	for _, requests := range []int{3, 2} {
		rows := ask(t, text, fakePrompt, bad)
		if !same(rows[1], f.truth(slices.Concat(fakePrompt, []eft.Token{bad}), 5)) {
			t.Error("the row behind the token is another")
		}
		if n := len(f.requests()); n != requests {
			t.Errorf("%d requests, want %d", n, requests)
		}
	}
}

func TestDenseRows(t *testing.T) {
	f, url := newFake(t)
	text := f.connect(t, url, -1).Begin("")
	defer text.Close()
	rows := ask(t, text, fakePrompt, fakeA)
	for i, row := range rows {
		want := f.row(slices.Concat(fakePrompt, []eft.Token{fakeA}[:i]))
		for id, v := range row.Scores {
			if v != float32(want[id]) {
				t.Fatalf("row %d: id %d has %v, want %v", i, id, v, want[id])
			}
		}
	}
}

func TestPathsStayWithinTheContext(t *testing.T) {
	f, url := newFake(t)
	text := f.connect(t, url, 5).Begin("")
	defer text.Close()
	prompt := slices.Repeat([]eft.Token{fakeA}, 60)
	f.requests()
	ask(t, text, prompt, fakeA, fakeA, fakeA)
	for _, q := range f.requests() {
		if len(q.prompt)+q.Predict > 64 {
			t.Errorf("a prompt of %d tokens and %d to predict in a context of 64", len(q.prompt), q.Predict)
		}
	}
}

func TestContinuations(t *testing.T) {
	f, url := newFake(t)
	text := f.connect(t, url, 5).Begin("")
	defer text.Close()
	f.greedy = map[string]eft.Token{}
	// script makes the server generate tokens behind the prompt.
	script := func(prompt []eft.Token, tokens ...eft.Token) {
		for i, id := range tokens {
			f.greedy[fmt.Sprint(slices.Concat(prompt, tokens[:i]))] = id
		}
	}
	a, b, c, d := []eft.Token{9}, []eft.Token{10}, []eft.Token{11}, []eft.Token{12}
	script(a, fakeA, fakeA+1, fakeA+2, fakeA+3)
	script(b, fakeA, fakeEnd)
	script(c, fakeA, fakeOpen, fakeMiddle, fakeMiddle, fakeA)
	script(d, fakeOpen, fakeMiddle, fakeMiddle, fakeA)
	for _, want := range []struct {
		name   string
		prompt []eft.Token
		limit  int
		tokens []eft.Token
	}{
		{"to the limit", a, 3, []eft.Token{fakeA, fakeA + 1, fakeA + 2}},
		{"to the end token and with it", b, 9, []eft.Token{fakeA, fakeEnd}},
		{"to the first token without a row", c, 5, []eft.Token{fakeA}},
		{"nothing where that is the first", d, 4, nil},
	} {
		t.Run(want.name, func(t *testing.T) {
			rows, tokens := follow(t, text, want.prompt, want.limit)
			if !slices.Equal(tokens, want.tokens) {
				t.Fatalf("tokens %v, want %v", tokens, want.tokens)
			}
			for i, row := range rows {
				if !same(row, f.truth(slices.Concat(want.prompt, tokens[:i]), 5)) {
					t.Errorf("row %d is another than behind its prefix", i)
				}
			}
		})
	}
}

func TestStreamsOfASharedSlotAreShort(t *testing.T) {
	f, url := newFake(t)
	f.props["total_slots"] = 1
	s := f.connect(t, url, 5)
	a, b := s.Begin(""), s.Begin("")
	defer a.Close()
	ask(t, a, fakePrompt)
	ask(t, b, fakePrompt)
	f.requests()
	follow(t, a, fakePrompt, 50)
	b.Close()
	follow(t, a, fakePrompt, 50)
	if asked := f.requests(); asked[0].Predict != turnTokens || asked[1].Predict != 50 {
		t.Errorf("streams of %d and %d tokens, want %d beside another text and 50 alone", asked[0].Predict, asked[1].Predict, turnTokens)
	}
}

func TestAStreamThatIsNotReadGivesWay(t *testing.T) {
	f, url := newFake(t)
	f.props["total_slots"] = 1
	s := f.connect(t, url, 5)
	idle, waiting := s.Begin("t"), s.Begin("t")
	defer idle.Close()
	defer waiting.Close()
	prefix := tokens(4, fakeA)
	stream, err := idle.Continue(t.Context(), prefix, 8)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	rows, err := waiting.Rows(ctx, prefix, nil)
	if err != nil || !same(rows[0], f.truth(prefix, 5)) {
		t.Fatalf("%v, want the row that waited for the slot of a stream that nobody reads", err)
	}
	if _, _, err := stream.Next(); err != io.EOF {
		t.Errorf("%v, want the stream's end", err)
	}
	stream.Close()
	if rows, err := idle.Rows(ctx, prefix, nil); err != nil || !same(rows[0], f.truth(prefix, 5)) {
		t.Errorf("%v, want the row behind the stream", err)
	}
}

func TestRowsWhileTheTextsOwnStreamIsOpen(t *testing.T) {
	f, url := newFake(t)
	text := f.connect(t, url, 5).Begin("")
	defer text.Close()
	stream, err := text.Continue(t.Context(), fakePrompt, 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := stream.Next(); err != nil {
		t.Fatal(err)
	}
	ask(t, text, fakePrompt, fakeA)
	if _, _, err := stream.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream goes on with %v after its slot was given away, want EOF", err)
	}
	stream.Close()
	stream.Close()
}

func TestStreamFaults(t *testing.T) {
	good := `{"stop":false,"tokens_predicted":1,"tokens_evaluated":3,"completion_probabilities":[{"id":8,"top_logprobs":[` + strings.Repeat(`{"id":%d,"logprob":-1},`, 8) + `{"id":39,"logprob":-2}]}]}`
	good = fmt.Sprintf(good, 0, 1, 2, 3, 4, 5, 6, 7)
	for _, c := range []struct {
		name   string
		events []string
		fault  proxy.Fault
		says   string
	}{
		{"cut behind a token", []string{good}, proxy.Unreachable, "cut"},
		{"an error event", []string{good, `{"error":{"code":500,"message":"out of memory"}}`}, proxy.Failed, "out of memory"},
		{"no JSON", []string{good, `{"stop":`}, proxy.Malformed, "not the JSON"},
		{"no count of tokens", []string{strings.Replace(good, `"tokens_predicted":1,`, "", 1)}, proxy.Malformed, "were generated"},
		{"another prompt", []string{strings.Replace(good, `"tokens_evaluated":3`, `"tokens_evaluated":4`, 1)}, proxy.Malformed, "adds tokens"},
		{"no log-probs", []string{`{"stop":false,"tokens_predicted":1,"completion_probabilities":[{"id":8,"top_logprobs":[]}]}`}, proxy.Malformed, "0 log-probs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, url := newFake(t)
			text := f.connect(t, url, 5).Begin("")
			defer text.Close()
			f.wrap = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				w.Header().Set("Content-Type", "text/event-stream")
				for _, e := range c.events {
					fmt.Fprintf(w, ": ping\n\ndata: %s\n\n", e)
				}
				return true
			}
			stream, err := text.Continue(t.Context(), fakePrompt, 10)
			for err == nil {
				_, _, err = stream.Next()
			}
			var fault *proxy.Error
			if !errors.As(err, &fault) || fault.Fault != c.fault || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %s with %q", err, c.fault, c.says)
			}
			if _, _, again := stream.Next(); !errors.Is(again, err) {
				t.Errorf("then %v, want the same again", again)
			}
			f.wrap = nil
			ask(t, text, fakePrompt) // the slot is free again
		})
	}
}

func TestACancelledRequestGivesItsSlotBack(t *testing.T) {
	f, url := newFake(t)
	text := f.connect(t, url, 5).Begin("")
	defer text.Close()
	ctx, cancel := context.WithCancel(t.Context())
	f.wrap = func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		cancel()
		<-r.Context().Done()
		return true
	}
	if _, err := text.Rows(ctx, fakePrompt, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	f.wrap = nil
	ask(t, text, fakePrompt)
}

func TestManyTextsOverFewSlots(t *testing.T) {
	f, url := newFake(t)
	f.props["total_slots"] = 2
	s := f.connect(t, url, 5)
	if notes := strings.Join(s.Caps().Notes, " "); !strings.Contains(notes, "-np 8") {
		t.Errorf("notes %q say nothing of slots", notes)
	}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			text := s.Begin(fmt.Sprint("tenant", n%3))
			defer text.Close()
			prompt := []eft.Token{fakeA + eft.Token(n)}
			for range 6 {
				rows, tokens := follow(t, text, prompt, 3)
				for i, row := range rows {
					if !same(row, f.truth(slices.Concat(prompt, tokens[:i]), 5)) {
						t.Error("a row of another text")
					}
				}
				for i, row := range ask(t, text, prompt, tokens...) {
					if !same(row, f.truth(slices.Concat(prompt, tokens[:i]), 5)) {
						t.Error("a row of another text")
					}
				}
				prompt = append(prompt, tokens...)
			}
		})
	}
	all.Wait()
	if err := s.(*server).pool.check(); err != nil {
		t.Error(err)
	}
	for _, slot := range s.(*server).pool.slots {
		if slot.lessees != 0 || len(slot.turn) != 0 {
			t.Errorf("slot %d has %d lessees and %d turns after all texts are closed", slot.id, slot.lessees, len(slot.turn))
		}
	}
}
