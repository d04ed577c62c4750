package vllm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

func TestNamesAreUsedWhereTheyLeaveOtherRowsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		v1, holds bool
		names     int
		note      string
	}{
		"the V2 model runner":       {false, false, 50, ""},
		"the V1 model runner":       {true, false, 0, "V1 model runner"},
		"a proxy that holds it all": {false, true, 0, "could not be proven"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := (&engine{v1: c.v1, holds: c.holds}).start(t)
			for _, k := range []int{1, 20} {
				caps := recognise(t, url, proxy.Want{TopLogprobs: k}).Caps()
				if caps.Names != c.names || c.note == "" != (len(caps.Notes) == 0) || len(caps.Notes) > 0 && !strings.Contains(caps.Notes[0], c.note) {
					t.Errorf("k = %d: %d names, notes %q", k, caps.Names, caps.Notes)
				}
			}
		})
	}
}

// A server whose streams do not work has rows all the same.
func TestNamesNeedStreamsForTheirProof(t *testing.T) {
	for name, stream := range map[string]func(http.ResponseWriter){
		"refused":   func(w http.ResponseWriter) { http.Error(w, "no", http.StatusBadRequest) },
		"failing":   func(w http.ResponseWriter) { http.Error(w, "no", http.StatusInternalServerError) },
		"no stream": func(w http.ResponseWriter) { _, _ = w.Write([]byte(whole())) },
		"cut": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte(tokens("null", 1)))
		},
		"at its end at once": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte(done))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caps := recognise(t, (&engine{streams: stream}).start(t), proxy.Want{}).Caps()
			if caps.Names != 0 || len(caps.Notes) != 1 {
				t.Errorf("%d names, notes %q", caps.Names, caps.Notes)
			}
		})
	}
}

func TestRowsThatComeShortAreAskedForAgain(t *testing.T) {
	const full = `{"token_id:1":-0.5,"token_id:2":-1.5,"token_id:3":-3}`
	for name, short := range map[string]string{
		"the sampled token and padding": `{"token_id:1":-0.5,"token_id:0":-9999.0}`,
		"sure of the sampled token":     `{"token_id:1":-0.0,"token_id:0":-9999.0}`,
		"the sampled token is token 0":  `{"token_id:0":-9999.0}`,
		"fewer than asked for":          `{"token_id:1":-0.5}`,
	} {
		for k := 1; k <= 3; k++ {
			for bad := range 6 {
				t.Run(fmt.Sprintf("%s, k = %d, %d times", name, k, bad), func(t *testing.T) {
					t.Parallel()
					testShort(t, k, bad, full, short)
				})
			}
		}
	}
}

// testShort asks for two rows of which the second comes short bad times.
func testShort(t *testing.T, k, bad int, full, short string) {
	var mu sync.Mutex // guards asked
	asked := 0
	server, script := asking(t, shape{k: k, ask: k, vocabulary: 9}, 0, func(in request) (int, string) {
		mu.Lock()
		defer mu.Unlock()
		var choices []string
		for i, prompt := range in.Prompt {
			top := full
			if len(prompt) == 2 {
				if asked++; asked <= bad {
					top = short
				}
			}
			choices = append(choices, row(i, "token_id:1", top))
		}
		return 200, whole(choices...)
	})
	rows, err := server.Begin("").Rows(t.Context(), []eft.Token{7}, []eft.Token{8})
	want := eft.Row{IDs: []eft.Token{1, 2, 3}[:k], LogProbs: []float32{-0.5, -1.5, -3}[:k], Best: k}
	if k == 1 && strings.Contains(short, "token_id:1") {
		// The sampled token is the best one: whole.
		if err != nil || rows[1].Best != 1 || rows[1].IDs[0] != 1 || len(script.requests) != 1 {
			t.Errorf("%+v, %v by %d requests", rows, err, len(script.requests))
		}
		return
	}
	if bad >= shortTries {
		fault := (*proxy.Error)(nil)
		if !errors.As(err, &fault) || fault.Fault != proxy.Malformed || len(script.requests) != shortTries {
			t.Errorf("%+v, %v by %d requests", rows, err, len(script.requests))
		}
		return
	}
	if err != nil || len(rows) != 2 || !reflect.DeepEqual(rows[0], want) || !reflect.DeepEqual(rows[1], want) || len(script.requests) != bad+1 {
		t.Fatalf("%+v, %v by %d requests, want %+v", rows, err, len(script.requests), want)
	}
	for _, again := range script.requests[1:] {
		if !reflect.DeepEqual(again.Prompt, [][]eft.Token{{7, 8}}) {
			t.Errorf("asked again for %v", again.Prompt)
		}
	}
}

func TestAShortRowOfAStreamIsAskedForAlone(t *testing.T) {
	server, script := asking(t, shape{k: 2, ask: 2, vocabulary: 9}, 0, func(in request) (int, string) {
		if !in.Stream {
			return 200, whole(row(0, "token_id:4", `{"token_id:4":-0.5,"token_id:5":-2}`))
		}
		one := func(id int, top, finish string) string {
			return event(fmt.Sprintf(`{"choices":[{"index":0,"logprobs":{"tokens":["token_id:%d"],"top_logprobs":[%s]},"finish_reason":%s}]}`, id, top, finish))
		}
		return 200, one(3, `{"token_id:3":-0.25,"token_id:5":-2}`, "null") +
			one(4, `{"token_id:4":-0.5,"token_id:0":-9999.0}`, "null") +
			one(6, `{"token_id:6":-0.125,"token_id:5":-2}`, `"length"`) + done
	})
	prefix := []eft.Token{7, 8}
	stream, err := server.Begin("a").Continue(t.Context(), prefix, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	prefix[0] = 1 // whoever asked may use it for something else
	for _, want := range []struct {
		token eft.Token
		best  float32
	}{{3, -0.25}, {4, -0.5}, {6, -0.125}} {
		row, token, err := stream.Next()
		if err != nil || token != want.token || row.Best != 2 || row.LogProbs[0] != want.best || row.IDs[1] != 5 {
			t.Fatalf("%+v, %d, %v, want %d", row, token, err, want.token)
		}
	}
	if len(script.requests) != 2 || !reflect.DeepEqual(script.requests[1].Prompt, [][]eft.Token{{7, 8, 3}}) || script.requests[1].Salt == nil {
		t.Errorf("asked %+v", script.requests)
	}
}

func TestAskingAgainEndsWithTheCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server, script := asking(t, shape{k: 2, ask: 2, vocabulary: 9}, 0, func(request) (int, string) {
		cancel()
		return 200, whole(row(0, "token_id:1", `{"token_id:1":-0.5}`))
	})
	if _, err := server.Begin("").Rows(ctx, []eft.Token{7}, nil); !errors.Is(err, context.Canceled) || len(script.requests) != 1 {
		t.Errorf("%v by %d requests", err, len(script.requests))
	}
}

// Whatever others ask the server for, a row is whole and right or there is none.
func TestTextsSideBySide(t *testing.T) {
	for name, c := range map[string]struct{ v1, others bool }{
		"V2 with others' names": {false, true},
		"V1 with others' names": {true, true},
		"V1 alone":              {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &engine{v1: c.v1}
			url := e.start(t)
			server := recognise(t, url, proxy.Want{TopLogprobs: 5})
			probed := e.spoiltRows()
			if c.others {
				defer askBeside(t, url, "m")()
			}
			refused := sideBySide(t, server, func(text int) []eft.Token { return []eft.Token{eft.Token(text), 9} }, checkEngine)
			spoilt := e.spoiltRows() - probed
			t.Logf("%d texts refused, %d rows spoilt", refused, spoilt)
			if others := c.v1 && c.others; refused > 0 && !others || spoilt == 0 && others {
				t.Errorf("%d texts refused, %d rows spoilt", refused, spoilt)
			}
		})
	}
}

// askBeside asks for names every few steps until it is ended.
func askBeside(t *testing.T, url, model string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	c := client(t, url)
	others.Go(func() {
		for ctx.Err() == nil {
			in := newRequest(model, [][]eft.Token{{4}}, 0)
			in.Names = []eft.Token{0, 3, 5}
			if _, _, err := complete(ctx, c, in); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			pause := newRequest(model, [][]eft.Token{{4}}, 1)
			pause.MaxTokens = 3
			_, _, _ = complete(ctx, c, pause)
		}
	})
	return func() {
		cancel()
		others.Wait()
	}
}

// sideBySide has 8 texts ask for rows, streams and, where the server's caps say so,
// names, and returns how many rows were refused.
func sideBySide(t *testing.T, server proxy.Server, prefix func(text int) []eft.Token, check func(t *testing.T, prefix []eft.Token, row eft.Row, named []eft.Scored)) int {
	t.Helper()
	var texts sync.WaitGroup
	refused := make([]int, 8)
	for i := range refused {
		texts.Go(func() {
			for round := range 4 {
				path := []eft.Token{eft.Token(round), 3, 2}
				if err := askText(t, server, prefix(i), path, check); err != nil {
					if fault := (*proxy.Error)(nil); !errors.As(err, &fault) || fault.Fault != proxy.Malformed {
						t.Error(err)
					}
					refused[i]++
				}
			}
		})
	}
	texts.Wait()
	sum := 0
	for _, n := range refused {
		sum += n
	}
	return sum
}

// askText asks for one text's rows in each way.
func askText(t *testing.T, server proxy.Server, prefix, path []eft.Token, check func(t *testing.T, prefix []eft.Token, row eft.Row, named []eft.Scored)) error {
	text := server.Begin("")
	defer text.Close()
	rows, err := text.Rows(t.Context(), prefix, path)
	if err != nil {
		return err
	}
	named := make([][]eft.Scored, len(rows))
	if server.Caps().Names > 0 {
		names := make([][]eft.Token, len(rows))
		for i := range names {
			names[i] = []eft.Token{0, eft.Token(20 + i)}
		}
		if named, err = text.Named(t.Context(), prefix, path, names); err != nil {
			return err
		}
	}
	for i, row := range rows {
		check(t, append(prefix[:len(prefix):len(prefix)], path[:i]...), row, named[i])
	}
	stream, err := text.Continue(t.Context(), prefix, 6)
	if err != nil {
		return err
	}
	defer stream.Close()
	for range 6 {
		row, token, err := stream.Next()
		if err != nil {
			return err
		}
		check(t, prefix, row, nil)
		prefix = append(prefix[:len(prefix):len(prefix)], token)
	}
	return nil
}

// checkEngine wants what the engine computes for a prefix alone.
func checkEngine(t *testing.T, prefix []eft.Token, row eft.Row, named []eft.Scored) {
	want := engineRow(prefix)
	if !reflect.DeepEqual(row, eft.Canonical(append([]eft.Scored(nil), want...), row.Best)) || row.Best != 5 {
		t.Errorf("behind %v: %+v", prefix, row)
	}
	for _, s := range named {
		for _, w := range want {
			if w.ID == s.ID && math.Abs(float64(w.LogProb-s.LogProb)) > 1e-6 {
				t.Errorf("behind %v: %v, want %v", prefix, s, w)
			}
		}
	}
}
