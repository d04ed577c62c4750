package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// travels is a transport made of answers, one a request; the last one stays.
type travels struct {
	answers []func(*http.Request) (*http.Response, error)
	times   []time.Time
}

func (t *travels) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := t.answers[min(len(t.times), len(t.answers)-1)]
	t.times = append(t.times, time.Now())
	return answer(r)
}

func answers(status int, header http.Header, body string) func(*http.Request) (*http.Response, error) {
	if header == nil {
		header = http.Header{}
	}
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
	}
}

func breaks(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// travelling is a client over them, in a bubble of its own time.
func travelling(t *testing.T, endpoint Endpoint, all ...func(*http.Request) (*http.Response, error)) (*Client, *travels) {
	t.Helper()
	endpoint.Name, endpoint.URL, endpoint.Key = "big", "http://base.example/v1", aKey
	c := mustClient(t, endpoint)
	way := &travels{answers: all}
	c.transport = way
	return c, way
}

// waits are the times between the requests.
func (t *travels) waits() (all []time.Duration) {
	for i := 1; i < len(t.times); i++ {
		all = append(all, t.times[i].Sub(t.times[i-1]))
	}
	return all
}

func later(value string) http.Header { return http.Header{"Retry-After": {value}} }

func TestRetriesWaitLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, way := travelling(t, Endpoint{Retries: 8, Breaker: Breaker{Failures: -1}}, breaks)
		if e := asError(t, c.Get(t.Context(), "/v1/x", nil)); e.Fault != Unreachable {
			t.Error(e)
		}
		waits := way.waits()
		if len(waits) != 8 {
			t.Fatalf("%d retries, want 8", len(waits))
		}
		middle := firstWait
		for i, wait := range waits {
			if wait < middle/2 || wait > middle*3/2+1 {
				t.Errorf("wait %d is %v, want %v give or take half", i, wait, middle)
			}
			middle = min(2*middle, longestWait)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	date := func(from string, at time.Duration) http.Header {
		now, err := http.ParseTime(from)
		if err != nil {
			t.Fatal(err)
		}
		return http.Header{"Date": {from}, "Retry-After": {now.Add(at).Format(http.TimeFormat)}}
	}
	const skewed = "Mon, 01 Jan 2035 10:00:00 GMT" // the server's clock goes wrong
	for _, test := range []struct {
		name   string
		header http.Header
		wait   time.Duration // 0: it gives up
		tells  time.Duration
	}{
		{"seconds", later("7"), 7 * time.Second, 7 * time.Second},
		{"a date by the server's clock", date(skewed, 9*time.Second), 9 * time.Second, 9 * time.Second},
		{"the longest", later("10"), 10 * time.Second, 10 * time.Second},
		{"too long", later("11"), 0, 11 * time.Second},
		{"a date too far", date(skewed, time.Hour), 0, time.Hour},
		{"a date gone by", date(skewed, -time.Hour), firstWait, 0},
		{"zero", later("0"), firstWait, 0},
		{"nonsense", later("soon"), firstWait, 0},
		{"negative", later("-5"), firstWait, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, way := travelling(t, Endpoint{Retries: 1}, answers(429, test.header, ""))
				e := asError(t, c.Get(t.Context(), "/v1/x", nil))
				if e.Fault != Overloaded || e.RetryAfter != test.tells || e.RetryDelay() != test.tells {
					t.Errorf("%+v, want RetryAfter %v", e, test.tells)
				}
				waits := way.waits()
				switch {
				case test.wait == 0 && len(waits) != 0:
					t.Errorf("it waited %v", waits)
				case test.wait == 0:
				case len(waits) != 1 || waits[0] < test.wait/2 || waits[0] > test.wait*3/2+1:
					t.Errorf("it waited %v, want about %v", waits, test.wait)
				case test.tells > 0 && (waits[0] < test.wait || waits[0] > test.wait*11/10+1):
					t.Errorf("it waited %v, and was asked for %v", waits, test.wait)
				}
			})
		})
	}
}

func TestRetriesEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, way := travelling(t, Endpoint{Retries: 100}, answers(429, later("10"), ""))
		began := time.Now()
		asError(t, c.Get(t.Context(), "/v1/x", nil))
		if took := time.Since(began); took > retryFor {
			t.Errorf("it took %v and %d tries, want at most %v", took, len(way.times), retryFor)
		}
	})
}

func TestACallersDeadlineEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := travelling(t, Endpoint{}, answers(503, later("9"), "loading"))
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		began := time.Now()
		err := c.Get(ctx, "/v1/x", nil)
		if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*Error)) || !strings.Contains(err.Error(), "loading") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// stalling is a body that sends one byte each pause, n times, and then nothing until its
// request ends.
type stalling struct {
	ctx   context.Context
	pause time.Duration
	n     int
}

func (s *stalling) Read(p []byte) (int, error) {
	if s.n--; s.n < 0 {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	time.Sleep(s.pause) // of the bubble's time
	p[0] = ' '
	return 1, nil
}

func (s *stalling) Close() error { return nil }

func TestEachPhaseHasItsTime(t *testing.T) {
	slowly := func(pause time.Duration, n int) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: &stalling{r.Context(), pause, n}}, nil
		}
	}
	for _, test := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		phase  Phase
		after  time.Duration
		says   string
	}{
		{"no connection", hangs, Connecting, 5 * time.Second, "connect: no connection within 5s"},
		{"a byte each 4 s, then none", slowly(4*time.Second, 9), Stalling, 36*time.Second + 30*time.Second, "nothing came for 30s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := travelling(t, Endpoint{Retries: -1}, test.answer)
				began := time.Now()
				e := asError(t, c.Get(t.Context(), "/v1/x", new(any)))
				if e.Fault != TimedOut || e.Phase != test.phase || !strings.Contains(e.Message, test.says) {
					t.Errorf("got %v", e)
				}
				if took := time.Since(began); took != test.after {
					t.Errorf("it took %v, want %v", took, test.after)
				}
			})
		})
	}
}

// pinging is a body of one event, and then of comments without an end.
type pinging struct {
	event string
	pause time.Duration
}

func (p *pinging) Read(b []byte) (int, error) {
	if event := p.event; event != "" {
		p.event = ""
		return copy(b, event), nil
	}
	time.Sleep(p.pause) // of the bubble's time
	return copy(b, ": ping\n\n"), nil
}

func (p *pinging) Close() error { return nil }

func TestCommentsAreNoEvents(t *testing.T) {
	for _, test := range []struct {
		name, event string
		phase       Phase
		after       time.Duration
	}{
		{"in place of the first event", ": ping\n\n", FirstByte, time.Minute},
		{"behind an event", "data: {}\n\n", Stalling, 30 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := travelling(t, Endpoint{}, func(*http.Request) (*http.Response, error) {
					header := http.Header{"Content-Type": {"text/event-stream"}}
					return &http.Response{StatusCode: 200, Header: header, ContentLength: -1, Body: &pinging{test.event, 5 * time.Second}}, nil
				})
				began := time.Now()
				_, err := drainEvents(c.Stream(t.Context(), "/v1/x", nil))
				if e := asError(t, err); e.Fault != TimedOut || e.Phase != test.phase || !strings.Contains(e.Message, "comments") {
					t.Errorf("got %v", e)
				}
				if took := time.Since(began); took != test.after {
					t.Errorf("it took %v, want %v", took, test.after)
				}
			})
		})
	}
}

func TestTheBreakerLeavesAServerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fine := answers(200, nil, "{}")
		c, way := travelling(t, Endpoint{Retries: -1},
			breaks, breaks, fine, breaks, answers(500, nil, ""), breaks, answers(503, nil, ""), breaks, // opens
			breaks,      // the first probe
			hangs, fine, // the second is cancelled, the third is well
			fine)
		ask := func() error { return c.Get(t.Context(), "/v1/x", nil) }
		state := func(want string) {
			t.Helper()
			if got := c.Stats().Breaker; got != want {
				t.Errorf("behind %d requests it is %s, want %s", len(way.times), got, want)
			}
		}
		for range 8 {
			state("closed")
			_ = ask()
		}
		state("open")
		for range 3 {
			time.Sleep(time.Second)
			if e := asError(t, ask()); e.Fault != Open || e.RetryAfter > 5*time.Second || e.RetryAfter < time.Second || e.HTTPStatus() != 503 {
				t.Errorf("open: %v, again in %v", e, e.RetryAfter)
			}
		}
		time.Sleep(3 * time.Second)
		state("half-open")
		if e := asError(t, ask()); e.Fault != Unreachable {
			t.Error(e)
		}
		state("open")
		time.Sleep(6 * time.Second)

		ctx, cancel := context.WithCancel(t.Context())
		probe := make(chan error)
		go func() { probe <- c.Get(ctx, "/v1/x", nil) }()
		synctest.Wait()
		if e := asError(t, ask()); e.Fault != Open || e.RetryAfter != probing {
			t.Errorf("while the probe runs: %v", e)
		}
		cancel()
		if err := <-probe; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		state("half-open") // a caller that leaves says nothing of the server
		if err := ask(); err != nil {
			t.Error(err)
		}
		state("closed")
		if opened := c.Stats().Opened; opened != 2 {
			t.Errorf("it opened %d times, want 2", opened)
		}
	})
}

func TestWhatSaysThatAServerIsAliveOpensNoBreaker(t *testing.T) {
	for _, status := range []int{400, 404, 429, 501} {
		c, _ := travelling(t, Endpoint{Retries: -1}, answers(status, nil, ""))
		for range 20 {
			if e := asError(t, c.Get(t.Context(), "/v1/x", nil)); e.Fault == Open {
				t.Fatalf("status %d: %v", status, e)
			}
		}
	}
}

func TestARequestIsOneFailureHoweverOftenItIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, way := travelling(t, Endpoint{Breaker: Breaker{Failures: 2}}, answers(500, nil, "no memory"))
		for i, want := range []struct {
			fault   Fault
			tries   int
			breaker string
		}{{Failed, 4, "closed"}, {Failed, 8, "open"}, {Open, 8, "open"}} {
			e := asError(t, c.Get(t.Context(), "/v1/x", nil))
			if e.Fault != want.fault || len(way.times) != want.tries || c.Stats().Breaker != want.breaker {
				t.Errorf("request %d: %d tries, then %s: %v", i, len(way.times), c.Stats().Breaker, e)
			}
		}
		time.Sleep(6 * time.Second)
		// The probe is tried once, and says what it met.
		if e := asError(t, c.Get(t.Context(), "/v1/x", nil)); e.Fault != Failed || e.RetryAfter <= 0 || len(way.times) != 9 {
			t.Errorf("%d tries: %v", len(way.times), e)
		}
	})
}

func TestStreamsThatBreakOpenTheBreaker(t *testing.T) {
	cut := answers(200, http.Header{"Content-Type": {"text/event-stream"}}, "data: 1\n\n")
	c, _ := travelling(t, Endpoint{Breaker: Breaker{Failures: 3}}, cut)
	for i, want := range []Fault{Unreachable, Unreachable, Unreachable, Open} {
		all, err := drainEvents(c.Stream(t.Context(), "/v1/x", nil))
		if e := asError(t, err); e.Fault != want || want != Open && len(all) != 1 {
			t.Errorf("stream %d: %q, %v", i, all, err)
		}
	}
}

func TestAProbeThatStreamsLetsOthersIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := answers(200, http.Header{"Content-Type": {"text/event-stream"}}, "data: 1\n\ndata: 2\n\ndata: [DONE]\n\n")
		c, _ := travelling(t, Endpoint{Retries: -1, Breaker: Breaker{Failures: 1}}, breaks, stream, answers(200, nil, "{}"))
		_ = c.Get(t.Context(), "/v1/x", nil)
		time.Sleep(6 * time.Second)
		events, err := c.Stream(t.Context(), "/v1/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer events.Close()
		if err := c.Get(t.Context(), "/v1/x", nil); err != nil {
			t.Errorf("beside the stream: %v", err)
		}
	})
}

// BenchmarkOpen is a request that the breaker stops.
func BenchmarkOpen(b *testing.B) {
	c, err := NewClient(Endpoint{URL: "http://base.example", Retries: -1, Breaker: Breaker{Failures: 1, Pause: time.Hour}})
	if err != nil {
		b.Fatal(err)
	}
	c.transport = &travels{answers: []func(*http.Request) (*http.Response, error){breaks}}
	for b.Loop() {
		_ = c.Get(b.Context(), "/v1/x", nil)
	}
}
