package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// scripted is a gateway and its base at one address: the gateway's answers have as many
// tokens as their question has words, unless it is told a length.
type scripted struct {
	t     *testing.T
	fails string // a question that the gateway refuses

	mu    sync.Mutex
	asked []body // in the order in which they came
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b body
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		s.t.Error(err)
	}
	if r.URL.Path == "/tokenize" {
		fmt.Fprintf(w, `{"tokens":[%s1]}`, strings.Repeat("1,", len(strings.Fields(b.Messages[0].Content))-1))
		return
	}
	if want := map[bool]string{true: "/v1/completions", false: "/v1/chat/completions"}[b.Tuning == nil]; r.URL.Path != want {
		s.t.Errorf("%s was asked for %+v", r.URL.Path, b)
	}
	s.mu.Lock()
	s.asked = append(s.asked, b)
	s.mu.Unlock()
	tokens := b.MaxTokens
	if !b.IgnoreEOS {
		tokens = len(strings.Fields(b.Messages[0].Content))
	}
	if b.Tuning != nil && s.fails != "" && b.Messages[0].Content == s.fails && b.MaxTokens != 4 {
		http.Error(w, "no", http.StatusServiceUnavailable)
		return
	}
	tuning := ""
	if b.Tuning != nil {
		tuning = `,"tuning":{"drafted_tokens":10,"agreed_tokens":9,"base_calls":2}`
	}
	for range tokens {
		fmt.Fprint(w, `data: {"choices":[{"text":"x"}]}`+"\n\n")
	}
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":%d}%s}\n\ndata: [DONE]\n\n", tokens, tuning)
}

// subject is a scripted base; lowered collects what it was started with.
func subject(t *testing.T, s *scripted, groups []Group, lowered *[]float64) Subject {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	open := 0
	t.Cleanup(func() {
		if open != 0 {
			t.Errorf("%d stands were left open", open)
		}
	})
	return Subject{Base: "scripted", Checking: "one pass", Groups: groups, Start: func(_ context.Context, to float64) (Stand, error) {
		*lowered = append(*lowered, to)
		open++
		target := Target{URL: server.URL + "/v1", Model: "m"}
		return Stand{target, target, func() error { open--; return nil }}, nil
	}}
}

func TestBothSidesDoTheSameWork(t *testing.T) {
	for name, length := range map[string]int{"answers that end by themselves": 0, "answers of a fixed length": 7} {
		t.Run(name, func(t *testing.T) {
			s, report, lowered := &scripted{t: t}, NewReport(false), []float64{}
			groups := []Group{
				{Concurrency: 2, Questions: 2, Rounds: 3, Length: length, Arms: []Arm{{"tuned", 1}, {"auto", 1}}},
				{Concurrency: 1, Questions: 1, Rounds: 1, Length: length, Lowered: .5, Arms: []Arm{{"auto", 1}}},
			}
			section := Speed("s", "", []Subject{subject(t, s, groups, &lowered)}, []string{"one", "two words", "now three words"}, 0)
			if err := section.Measure(t.Context(), report, quiet{}); err != nil {
				t.Fatal(err)
			}
			if len(report.Cells) != 3 || !slices.Equal(lowered, []float64{0, .5}) {
				t.Fatalf("%d cells, lowered to %v", len(report.Cells), lowered)
			}
			c := report.Cells[1]
			if c.Drafter != "auto" || c.Answers != 12 || c.Rounds != 3 || c.Errors != 0 || c.Prompt != 5 || c.Agreement != .9 || c.BaseCalls != 24 {
				t.Errorf("%+v", c)
			}
			if c.Ratio != c.TokensPerSecond/c.PlainTokensPerSecond || c.RatioLow > c.RatioHigh || c.RatioLow <= 0 || c.TokensPerSecond != float64(c.Tokens)/c.Seconds {
				t.Errorf("%+v", c)
			}
			plain, proxied, salts := 0, 0, map[string]string{}
			for _, b := range s.asked {
				switch {
				case b.MaxTokens == 4: // warm
				case b.Tuning == nil:
					if !b.IgnoreEOS {
						t.Errorf("the plain base may end as it likes: %+v", b)
					}
					plain += b.MaxTokens
				case salts[b.CacheSalt] != "" && salts[b.CacheSalt] != string(b.Tuning.Draft):
					t.Errorf("two arms share what is cached: %+v", b)
				case b.Tuning.Draft == "auto":
					salts[b.CacheSalt] = "auto"
					proxied++
				default:
					salts[b.CacheSalt] = string(b.Tuning.Draft)
				}
			}
			if all := report.Cells[1].Tokens + report.Cells[2].Tokens; plain != all || proxied != 13 {
				t.Errorf("the plain base made %d tokens, the gateway %d in %d answers", plain, all, proxied)
			}
		})
	}
}

func TestAnswersThatFailAreToldOf(t *testing.T) {
	s, report, lowered := &scripted{t: t, fails: "two words"}, NewReport(false), []float64{}
	groups := []Group{{Concurrency: 1, Questions: 3, Rounds: 1, Arms: []Arm{{"auto", 1}}}}
	section := Speed("s", "", []Subject{subject(t, s, groups, &lowered)}, []string{"one", "two words", "now three words"}, 0)
	if err := section.Measure(t.Context(), report, quiet{}); err != nil {
		t.Fatal(err)
	}
	if c := report.Cells[0]; c.Errors != 1 || c.Answers != 2 {
		t.Errorf("%+v", c)
	}
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "1 of 3 answers of the gateway failed") || !strings.Contains(report.Notes[0], "503") {
		t.Errorf("%q", report.Notes)
	}
	s.fails = "one"
	section = Speed("s", "", []Subject{subject(t, s, groups, &lowered)}, []string{"one"}, 0)
	if err := section.Measure(t.Context(), report, quiet{}); err == nil || !strings.Contains(err.Error(), "the gateway gave no answer") {
		t.Errorf("%v", err)
	}
}

func TestTimeThatIsUpLeavesOut(t *testing.T) {
	s, report, lowered := &scripted{t: t}, NewReport(true), []float64{}
	group := Group{Concurrency: 1, Questions: 1, Rounds: 5, Arms: []Arm{{"auto", 1}}}
	section := Speed("s", "", []Subject{subject(t, s, []Group{group, group, group}, &lowered)}, []string{"one"}, time.Nanosecond)
	if err := section.Measure(t.Context(), report, quiet{}); err != nil {
		t.Fatal(err)
	}
	if len(report.Cells) != 0 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "3 of 3 groups") {
		t.Errorf("%d cells, %q", len(report.Cells), report.Notes)
	}
}

func TestTheOrderOfTurnsChanges(t *testing.T) {
	for _, c := range []struct {
		arms, round int
		last        bool
		want        []int
	}{
		{2, 0, false, []int{0, 1, -1}}, {2, 1, false, []int{1, -1, 0}}, {2, 2, false, []int{-1, 0, 1}},
		{2, 0, true, []int{0, 1, -1}}, {2, 1, true, []int{1, 0, -1}}, {3, 1, true, []int{1, 2, 0, -1}}, {1, 3, true, []int{0, -1}},
	} {
		if got := turns(c.arms, c.round, c.last); !slices.Equal(got, c.want) {
			t.Errorf("%d arms, round %d: %v, want %v", c.arms, c.round, got, c.want)
		}
	}
}

func TestOneSectionsFaultHidesNoOther(t *testing.T) {
	report, broken, ran := NewReport(false), errors.New("broken"), 0
	run := func(err error) Section {
		return Section{Name: "x", Measure: func(context.Context, *Report, Progress) error { ran++; return err }}
	}
	if err := Measure(t.Context(), report, []Section{run(broken), run(nil)}, quiet{}); !errors.Is(err, broken) || ran != 2 || len(report.Failures) != 1 {
		t.Errorf("%v, %d ran, %q", err, ran, report.Failures)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Measure(ctx, report, []Section{run(broken), run(nil)}, quiet{}); !errors.Is(err, context.Canceled) || ran != 3 {
		t.Errorf("%v, %d ran", err, ran)
	}
}

func TestEveryPlanCanBeMeasured(t *testing.T) {
	for _, kind := range []Kind{InProcess, Server, Simulated} {
		for _, quick := range []bool{true, false} {
			for _, g := range Groups(kind, quick) {
				if g.Concurrency < 1 || g.Rounds < 1 || g.Questions < 1 || len(g.Arms) == 0 {
					t.Errorf("%+v", g)
				}
				for _, a := range g.Arms {
					if g.natural() && a.Strength != g.Arms[0].Strength {
						t.Errorf("answers of two strengths have not one length: %+v", g)
					}
				}
				if kind != Simulated && g.Lowered != 0 {
					t.Errorf("%+v", g)
				}
			}
		}
	}
}

func TestFirstTokensAreWaitedForWhereverTheyComeFrom(t *testing.T) {
	s := &scripted{t: t}
	server := httptest.NewServer(s)
	defer server.Close()
	target, closed := Target{URL: server.URL + "/v1", Model: "m"}, 0
	prefixes := Prefixes{Base: "b", Tokens: 4, Rounds: 2, Each: 3, Start: func(context.Context) (Replicas, string, error) {
		return Replicas{First: target, Second: target, Close: func() error { closed++; return nil }}, "", nil
	}}
	report := NewReport(false)
	if err := FirstTokens(prefixes, []string{"one", "two words"}).Measure(t.Context(), report, quiet{}); err != nil || closed != 1 {
		t.Fatalf("%v, closed %d times", err, closed)
	}
	var got []string
	for _, f := range report.FirstToken {
		got = append(got, f.Prefix)
		if f.Answers != 6 || f.Prompt < 4 || f.P50 <= 0 || f.P95 < f.P50 {
			t.Errorf("%+v", f)
		}
	}
	if !slices.Equal(got, []string{FromNowhere, FromMemory, FromRedis}) || report.FirstToken[0].Ratio != 1 {
		t.Errorf("%v", report.FirstToken)
	}
	prefixes.Start = func(context.Context) (Replicas, string, error) { return Replicas{First: target}, "no Redis", nil }
	report = NewReport(false)
	if err := FirstTokens(prefixes, []string{"one"}).Measure(t.Context(), report, quiet{}); err != nil || len(report.FirstToken) != 2 || len(report.Notes) != 1 {
		t.Errorf("%v, %+v, %q", err, report.FirstToken, report.Notes)
	}
}
