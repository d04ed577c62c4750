package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// parrot is a server behind an instant base: its tokens say how often it was asked.
type parrot struct{ asked atomic.Int64 }

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := p.asked.Add(1)
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, `{"asked":%d}`, n)
		return
	}
	var in struct {
		MaxTokens int  `json:"max_tokens"`
		Stream    bool `json:"stream"`
		Ignore    bool `json:"ignore_eos"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.MaxTokens == 9 {
		http.Error(w, "not so", http.StatusTeapot)
		return
	}
	if !in.Stream {
		fmt.Fprintf(w, `{"choices":[{"index":0,"text":"a%d"}],"id":"x"}`, n)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: {\"role\":true,\"content\":\"\"}\n\n")
	for i := range in.MaxTokens {
		fmt.Fprintf(w, "data: {\"text\":\"a%d.%d\"}\n\n", n, i)
	}
	fmt.Fprintf(w, "data: {\"finish\":%v}\n\ndata: [DONE]\n\n", in.Ignore)
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func instant(t *testing.T) (*Instant, *parrot, string) {
	behind := &parrot{}
	base := NewInstant(behind, 0)
	server := httptest.NewServer(base)
	t.Cleanup(server.Close)
	return base, behind, server.URL
}

func TestAPreparedAnswerRepeatsItsFirstToken(t *testing.T) {
	base, behind, url := instant(t)
	base.Prepare(true, 0)
	chat := url + "/v1/chat/completions"
	_, first := post(t, chat, `{"stream":true,"max_tokens":3}`)
	const want = "data: {\"role\":true,\"content\":\"\"}\n\n" +
		"data: {\"text\":\"a1.0\"}\n\ndata: {\"text\":\"a1.0\"}\n\ndata: {\"text\":\"a1.1\"}\n\n" +
		"data: {\"finish\":true}\n\ndata: [DONE]\n\n"
	if first != want {
		t.Errorf("%q, want %q", first, want)
	}
	for _, tokens := range []int{1, 2, 40} {
		_, got := post(t, chat, fmt.Sprintf(`{"stream":true,"max_tokens":%d,"messages":["other"]}`, tokens))
		if n := strings.Count(got, `"text"`); n != tokens || !strings.HasPrefix(got, want[:30]) || !strings.HasSuffix(got, "[DONE]\n\n") {
			t.Errorf("%d tokens: %q", tokens, got)
		}
	}
	if n := behind.asked.Load(); n != 1 {
		t.Errorf("the server behind was asked %d times", n)
	}
}

func TestWhatIsNotOneTextGoesOn(t *testing.T) {
	base, behind, url := instant(t)
	text := url + "/v1/completions"
	repeated := func(path, body string) bool {
		t.Helper()
		before := behind.asked.Load()
		post(t, path, body)
		post(t, path, body)
		return behind.asked.Load() == before+1
	}
	if repeated(text, `{"prompt":[[1,2]],"max_tokens":1}`) {
		t.Error("an answer was prepared before it was asked for")
	}
	base.Prepare(true, 0)
	for body, want := range map[string]bool{
		`{"prompt":[[1,2]],"max_tokens":1}`:                            true,
		`{"prompt":[[1,2]],"max_tokens":1,"logprobs":20}`:              true,
		`{"prompt":[1,2],"max_tokens":5,"stream":true}`:                true,
		`{"prompt":[[1,2],[1,2,3]],"max_tokens":1,"logprobs":3}`:       true,
		`{"prompt":[[1,2],[1,2,3]],"max_tokens":1,"stream":true}`:      false,
		`{"prompt":[[1,2]],"max_tokens":2}`:                            false,
		`{"prompt":[[1,2]],"max_tokens":1,"logprob_token_ids":[4]}`:    false,
		`{"prompt":[[1,2]],"stream":true}`:                             false,
		`{"prompt":"a","max_tokens":5,"stream":true,"logprobs":"odd"}`: true,
	} {
		if got := repeated(text, body); got != want {
			t.Errorf("%s: prepared %v, want %v", body, got, want)
		}
	}
	if repeated(url+"/tokenize", `{"prompt":"a","max_tokens":1}`) {
		t.Error("another endpoint's answer was prepared")
	}
	if status, _ := post(t, text, `no JSON`); status != http.StatusTeapot {
		t.Errorf("what is no JSON was not left to the server behind: %d", status)
	}
	before := behind.asked.Load()
	for range 2 {
		response, err := http.Get(url + "/v1/models")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if n := behind.asked.Load() - before; n != 1 {
		t.Errorf("the same GET went on %d times", n)
	}
}

func TestEveryPromptOfAListHasTheRow(t *testing.T) {
	base, _, url := instant(t)
	base.Prepare(true, 0)
	for range 2 {
		_, got := post(t, url+"/v1/completions", `{"prompt":[[1],[1,2],[3]],"max_tokens":1}`)
		const want = `{"choices":[{"index":0,"text":"a1"},{"index":1,"text":"a1"},{"index":2,"text":"a1"}],"id":"x"}`
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAServerBehindThatFailsIsToldOf(t *testing.T) {
	base, _, url := instant(t)
	base.Prepare(true, 0)
	if status, text := post(t, url+"/v1/completions", `{"prompt":9,"max_tokens":1,"stream":true,"ignore_eos":[}`); status != http.StatusTeapot {
		t.Errorf("%d %s", status, text)
	}
	silent := NewInstant(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "data: [DONE]\n\n") }), 0)
	silent.Prepare(true, 0)
	w := httptest.NewRecorder()
	silent.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/completions", strings.NewReader(`{"prompt":[1],"max_tokens":1,"stream":true}`)))
	if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "two are needed") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// to is a call of a server that needs no prompt.
func to(url string) Call {
	return Call{URL: url + "/v1/completions", Body: func(tokens int, number int64) []byte {
		return fmt.Appendf(nil, `{"prompt":[%d],"max_tokens":%d,"stream":true}`, number, tokens)
	}}
}

func TestLoadsAreOfSoManyTokens(t *testing.T) {
	base, _, url := instant(t)
	base.Prepare(true, 0)
	l := load{client: newClient(8)}
	defer l.client.close()
	each, all, err := l.closed(t.Context(), to(url), 4, 10, 7)
	if err != nil || len(each) != 10 || all <= 0 || l.numbers.Load() != 10 {
		t.Fatalf("%v, %d answers in %v, %d numbers", err, len(each), all, l.numbers.Load())
	}
	for i, seconds := range each {
		if seconds <= 0 {
			t.Errorf("request %d took %g s", i, seconds)
		}
	}
	base.Prepare(true, time.Millisecond)
	late, err := l.open(t.Context(), to(url), 3, 5, time.Millisecond, 10*time.Millisecond)
	if err != nil || len(late.every) != 3*2*5 || len(late.first) != 3*2 || len(late.last) != 3*2 {
		t.Fatalf("%v, %d tokens", err, len(late.every))
	}
	for _, seconds := range late.every {
		if seconds < 0 {
			t.Errorf("a token came %g s before it was due", -seconds)
		}
	}
}

// Tokens of a text are due by when it was first asked for, whoever asks for the later ones.
func TestATextKeepsItsPaceOverRequests(t *testing.T) {
	base := NewInstant(nil, 2)
	base.Prepare(true, time.Second)
	began := time.Unix(1000, 0)
	for _, c := range []struct {
		prompt string
		after  time.Duration // of began, when it comes
		want   time.Duration // when its tokens count from
	}{
		{"[[1,2]]", 0, 0},
		{"[1,2,7,7]", 3 * time.Second, 2 * time.Second},
		{"[1,3]", 4 * time.Second, 4 * time.Second},
		{"[1]", 5 * time.Second, 5 * time.Second},
		{"[1]", 6 * time.Second, 6 * time.Second},
		{`"1,2"`, 7 * time.Second, 7 * time.Second},
		{"[[1,2],[1,2,3]]", 8 * time.Second, 8 * time.Second},
	} {
		if got := base.since(json.RawMessage(c.prompt), began.Add(c.after), time.Second).Sub(began); got != c.want {
			t.Errorf("%s counts from %v, want %v", c.prompt, got, c.want)
		}
	}
	base.Prepare(true, time.Second)
	if got := base.since(json.RawMessage("[1,2,3]"), began, time.Second); got != began {
		t.Errorf("a text of the pace before is still known: %v", got.Sub(began))
	}
}

func TestAnswersOfAnotherLengthAreErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: {\"text\":\"a\"}\n\n")
	}))
	defer server.Close()
	l := load{client: newClient(1)}
	defer l.client.close()
	if _, _, err := l.closed(t.Context(), to(server.URL), 2, 5, 2); err == nil || !strings.Contains(err.Error(), "1 of 2 tokens came") {
		t.Error(err)
	}
	refuses := httptest.NewServer(http.NotFoundHandler())
	defer refuses.Close()
	if _, err := l.open(t.Context(), to(refuses.URL), 1, 1, time.Microsecond, time.Microsecond); err == nil || !strings.Contains(err.Error(), "404") {
		t.Error(err)
	}
}

func TestOverheadIsASection(t *testing.T) {
	base, _, url := instant(t)
	base.Prepare(true, 0)
	refuses := httptest.NewServer(http.NotFoundHandler())
	defer refuses.Close()
	closed := 0
	section := Overheads(Overhead{
		Concurrency: []int{1, 4}, Lengths: []int{2, 4, 8}, Rounds: 2, Tokens: 16, Streams: 2, StreamTokens: 4, Lasts: 200 * time.Millisecond, Sustained: time.Hour,
		Start: func(context.Context) (OverheadStand, error) {
			return OverheadStand{
				Pace:  func(pace time.Duration) { base.Prepare(true, pace) },
				CPU:   func() (time.Duration, error) { return CPU(os.Getpid()) },
				Ways:  []Way{{"there", to(url), to(url)}, {"nowhere", to(url), to(refuses.URL)}},
				Close: func() error { closed++; return nil },
			}, nil
		},
	})
	report := NewReport(true)
	var shown bytes.Buffer
	err := section.Measure(t.Context(), report, quiet{})
	if err == nil || !strings.Contains(err.Error(), "nowhere") || closed != 1 {
		t.Errorf("%v, closed %d times", err, closed)
	}
	if len(report.Overhead) != 1 || len(report.Overhead[0].Cells) != 6 || len(report.Overhead[0].Slope) != 2 || report.Overhead[0].Open.Tokens == 0 || report.Overhead[0].Open.Tokens%(2*2*4) != 0 {
		t.Fatalf("%+v", report.Overhead)
	}
	if err := json.NewEncoder(&shown).Encode(report); err != nil || !strings.Contains(shown.String(), `"overhead":[{"way":"there"`) {
		t.Errorf("%v: %s", err, shown.String())
	}
	broken := errors.New("no port")
	section = Overheads(Overhead{Start: func(context.Context) (OverheadStand, error) { return OverheadStand{}, broken }})
	if err := section.Measure(t.Context(), report, quiet{}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// A way that loses ground at any pace is not asked ever more slowly, and what was found of
// it before stands.
func TestAWayThatKeepsNoPaceIsGivenUp(t *testing.T) {
	base, _, url := instant(t)
	base.Prepare(true, 0)
	paces := 0
	section := Overheads(Overhead{
		Concurrency: []int{2}, Lengths: []int{2, 4}, Rounds: 1, Tokens: 8, Streams: 2, StreamTokens: 4, Lasts: 8 * time.Millisecond, Sustained: -time.Hour,
		Start: func(context.Context) (OverheadStand, error) {
			return OverheadStand{
				Pace:  func(pace time.Duration) { base.Prepare(true, pace); paces++ },
				CPU:   func() (time.Duration, error) { return 0, nil },
				Ways:  []Way{{"there", to(url), to(url)}},
				Close: func() error { return nil },
			}, nil
		},
	})
	report := NewReport(true)
	if err := section.Measure(t.Context(), report, quiet{}); err != nil {
		t.Fatal(err)
	}
	if len(report.Overhead) != 1 || len(report.Overhead[0].Cells) != 2 || report.Overhead[0].Open.Tokens != 0 {
		t.Errorf("%+v", report.Overhead)
	}
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "there: the open loop was left out") || paces < 3 {
		t.Errorf("%d paces: %q", paces, report.Notes)
	}
}

func TestAWayThatBreaksOffIsReportedAsFarAsItCame(t *testing.T) {
	base, _, url := instant(t)
	base.Prepare(true, 0)
	broken, asked := errors.New("gone"), 0
	section := Overheads(Overhead{
		Concurrency: []int{1, 2}, Lengths: []int{2}, Rounds: 1, Tokens: 4,
		Start: func(context.Context) (OverheadStand, error) {
			return OverheadStand{
				Pace: func(pace time.Duration) { base.Prepare(true, pace) },
				CPU: func() (time.Duration, error) {
					if asked++; asked > 4 { // two for each side of a cell
						return 0, broken
					}
					return 0, nil
				},
				Ways:  []Way{{"there", to(url), to(url)}},
				Close: func() error { return nil },
			}, nil
		},
	})
	report := NewReport(true)
	if err := section.Measure(t.Context(), report, quiet{}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if len(report.Overhead) != 1 || len(report.Overhead[0].Cells) != 1 {
		t.Errorf("%+v", report.Overhead)
	}
}

func TestLatenessGrowsFromTheFirstQuarterToTheLast(t *testing.T) {
	late := lateness{begin: []float64{1, 2, 9}, end: []float64{5, 4, 6}}
	late.add(lateness{every: []float64{7}})
	if got := late.grows(); got != 3 {
		t.Errorf("%g, want 5 − 2", got)
	}
}

// Anscombe's first quartet (The American Statistician 27, 1973): y = 3.00 + 0.500 x, R² 0.67.
func TestTheLineIsThatOfLeastSquares(t *testing.T) {
	x := []float64{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}
	y := []float64{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}
	a, b, explained := fit(x, y)
	if math.Abs(a-3.0001) > 1e-3 || math.Abs(b-.5001) > 1e-3 || math.Abs(explained-.6665) > 1e-3 {
		t.Errorf("%g + %g x, R² %g", a, b, explained)
	}
	if a, b, explained := fit([]float64{1, 2}, []float64{3, 3}); a != 3 || b != 0 || explained != 1 {
		t.Errorf("a level line is %g + %g x, R² %g", a, b, explained)
	}
}

func TestModelsAndOverheadAreShown(t *testing.T) {
	report := NewReport(true)
	report.Models = []DecodingReport{{
		Model: "grouped", Threads: 2, StepBytes: 176_000_000, Memory: Bandwidth{OneThread: 40e9, AllThreads: 70e9, Threads: 2},
		Cells: []DecodingCell{{Batch: 16, TokensPerSecond: 1400, Least: 1350, Most: 1444, BandwidthShare: .22, OneThreadShare: .38, TimesFirst: 5.1}},
	}}
	report.Overhead = []OverheadReport{{
		Way:   "decode loop",
		Cells: []OverheadCell{{Concurrency: 64, Tokens: 32, RequestsPerSecond: 258, TokensPerSecond: 8263, DirectRequests: 3415, AddedPerRequest: .00358, CPUPerRequest: .00217, P50: .2146}},
		Slope: []OverheadSlope{{Concurrency: 64, PerRequest: .0014, PerToken: 50e-6, Fit: .9762, CPURequest: .00098, CPUToken: 41e-6, CPUFit: .9954}},
		Open:  OpenLoop{Streams: 64, Tokens: 1, Capacity: 11329, TokensPerSecond: 5664, P99: .0021, DirectP99: .0016, AddedP99: .0005, AddedP50: -.00002, AddedP99Usual: .0003, CPUPerToken: 45e-6},
	}}
	var shown strings.Builder
	if err := WriteTable(&shown, report); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"small model grouped, 0.18 GB of weights a step, 2 threads; memory reads 40.0 GB/s with one thread, 70.0 GB/s with 2",
		"1,400", "1,350–1,444", "5.10", "0.22", "0.38",
		"gateway overhead, decode loop", "3,580", "2,170", "215",
		" 64 clients: 1,400 µs a request and 50.0 µs a token, R² 0.976; CPU of the gateway 980 and 41.0 µs, R² 0.995",
		"open loop, 64 streams, 5,664 tokens a second of 11,329", "added -0.02 and 0.50 (0.30 in the median window)", "CPU of the gateway 45.0 µs a token",
	} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is not in\n%s", want, shown.String())
		}
	}
}
