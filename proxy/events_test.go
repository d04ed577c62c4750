package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/graft-gateway/graft/proxy/proxytest"
)

// readEvents reads all events, and whether each is named error.
func readEvents(in io.Reader, most int64) (all []string, err error) {
	r := newEventReader(in, most)
	for {
		data, bad, err := r.next()
		if err != nil {
			return all, err
		}
		if bad {
			all = append(all, "error: "+string(data))
			continue
		}
		all = append(all, string(data))
	}
}

// The first five are the standard's own examples (WHATWG HTML, 9.2.6), but that events of
// empty data are left out here.
func TestEventsAreTheStandards(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []string
		err      error
	}{
		{"data joined by LF", "data: YHOO\ndata: +2\ndata: 10\n\n", []string{"YHOO\n+2\n10"}, io.EOF},
		{"comments, ids", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n", []string{"first event", "second event"}, io.ErrUnexpectedEOF},
		{"empty data", "data\n\ndata\ndata\n\ndata:", []string{"\n"}, io.ErrUnexpectedEOF},
		{"one space goes", "data:test\n\ndata: test\n\n", []string{"test", "test"}, io.EOF},
		{"types", "event: add\ndata: 73857293\n\nevent: error\ndata: no\n\ndata: yes\n\n", []string{"73857293", "error: no", "yes"}, io.EOF},
		{"CR", "data: a\rdata: b\r\rdata: c\r\r", []string{"a\nb", "c"}, io.EOF},
		{"CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []string{"a\nb", "c"}, io.EOF},
		{"mixed", "data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", []string{"a", "b", "c"}, io.EOF},
		{"byte order mark", "\ufeffdata: a\n\n\ufeffdata: b\n\n", []string{"a"}, io.EOF},
		{"half a mark", "\xef\xbbdata: a\n\n", nil, io.EOF},
		{"nothing but a mark", "\ufeff", nil, io.EOF},
		{"other fields", "retry: 10\nfoo: bar\ndata: a\nData: b\n\n", []string{"a"}, io.EOF},
		{"fields without data", "event: error\n\ndata: a\n\n", []string{"a"}, io.EOF},
		{"colons", "data: {\"a\":1}\ndata::\n\n", []string{"{\"a\":1}\n:"}, io.EOF},
		{"cut in a line", "data: a\n\ndata: b", []string{"a"}, io.ErrUnexpectedEOF},
		{"cut behind a line", "data: a\n\ndata: b\n", []string{"a"}, io.ErrUnexpectedEOF},
		{"nothing", "", nil, io.EOF},
		{"pings", ":\n\n:\n\n", nil, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, in := range map[string]io.Reader{
				"at once":        strings.NewReader(test.in),
				"byte by byte":   iotest.OneByteReader(strings.NewReader(test.in)),
				"with its error": iotest.DataErrReader(strings.NewReader(test.in)),
			} {
				if got, err := readEvents(in, 1<<20); !slices.Equal(got, test.want) || err != test.err {
					t.Errorf("%s: got %q, %v; want %q, %v", name, got, err, test.want, test.err)
				}
			}
		})
	}
}

func TestEventsAreBounded(t *testing.T) {
	const most = 100_000
	long := strings.Repeat("x", most-10)
	for _, test := range []struct {
		in  string
		err error
	}{
		{"data: " + long[:most-20] + "\n\n", io.EOF},
		{"data: " + long + long, errEventTooLong},
		{strings.Repeat("data: "+long[:most/3]+"\n", 4), errEventTooLong},
		{": " + long + long, errEventTooLong},
	} {
		if _, err := readEvents(strings.NewReader(test.in), most); err != test.err {
			t.Errorf("%d bytes: %v, want %v", len(test.in), err, test.err)
		}
	}
	broken := errors.New("broken")
	if got, err := readEvents(io.MultiReader(strings.NewReader("data: a\n\nda"), iotest.ErrReader(broken)), most); err != broken || len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
}

// plainEvents is the standard's algorithm at its simplest, over all bytes at once.
func plainEvents(in []byte) (all []string) {
	text := strings.TrimPrefix(string(in), "\ufeff")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	var data []string
	kind := ""
	for _, line := range lines[:len(lines)-1] { // the last has no end
		name, value, colon := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if joined := strings.Join(data, "\n"); joined != "" {
				if kind == "error" {
					joined = "error: " + joined
				}
				all = append(all, joined)
			}
			data, kind = nil, ""
		case colon && name == "":
		case name == "data":
			data = append(data, value)
		case name == "event":
			kind = value
		}
	}
	return all
}

func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		"data: {\"choices\":[]}\n\ndata: [DONE]\n\n", "\ufeffdata: a\r\n\r\n", "data\r\rdata:\n\n", ":\n\nevent: error\ndata: x\n\n",
		"data: a\rdata: b\n\r\n", "id: 1\nretry: 2\n\n", "\r\n\r\n", "data:a\n\ndata", "\xef\xbb",
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(7))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		got, err := readEvents(&pieces{in, 1 + int(size)}, 1<<30)
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Fatalf("%q: %v", in, err)
		}
		if want := plainEvents(in); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	})
}

// pieces gives out so many bytes a read.
type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(into, p.rest[:min(p.size, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

// sent is a server that streams exactly this.
func sent(t testing.TB, stream string) *proxytest.Server {
	return proxytest.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, stream)
	}))
}

func TestStreamsEnd(t *testing.T) {
	const two = "data: 1\n\n: ping\n\ndata: 2\n\n"
	for _, test := range []struct {
		name, stream   string
		done, untilEOF Fault // empty: it ends well
		says           string
	}{
		{name: "by DONE", stream: two + "data: [DONE]\n\n"},
		{name: "by DONE with more behind it", stream: two + "data: [DONE]\n\ndata: 3\n\n"},
		{name: "by DONE without a blank line", stream: two + "data: [DONE]\n", untilEOF: ""},
		{name: "without DONE", stream: two, done: Unreachable, says: "cut"},
		{name: "within a line", stream: two + "data: 3", done: Unreachable, untilEOF: Unreachable, says: "cut"},
		{name: "behind a line", stream: two + "data: 3\n", done: Unreachable, untilEOF: Unreachable, says: "cut"},
		{name: "by OpenAI's error", stream: two + `data: {"error":{"message":"no memory","code":500}}` + "\n\n", done: Failed, untilEOF: Failed, says: "no memory"},
		{name: "by an error without code", stream: two + `data: {"error":"no memory"}` + "\n\n", done: Failed, untilEOF: Failed, says: "no memory"},
		{name: "by vLLM's error", stream: two + `data: {"error": {"message": "too long", "type": "BadRequestError", "param": null, "code": 400}}` + "\n\n", done: Refused, untilEOF: Refused, says: "too long"},
		{name: "by overload", stream: two + `data: {"error":{"message":"busy","code":"429"}}` + "\n\n", done: Overloaded, untilEOF: Overloaded, says: "busy"},
		{name: "by overload in a word", stream: two + `data: {"error":{"message":"busy","type":"overloaded_error"}}` + "\n\n", done: Overloaded, untilEOF: Overloaded, says: "busy"},
		{name: "by an error event", stream: two + "event: error\ndata: it broke\n\n", done: Failed, untilEOF: Failed, says: "it broke"},
	} {
		t.Run(test.name, func(t *testing.T) {
			endpoint := short(sent(t, test.stream).URL)
			c := mustClient(t, endpoint)
			check := func(what string, want Fault, all []string, err error) {
				t.Helper()
				if !slices.Equal(all, []string{"1", "2"}) {
					t.Errorf("%s: events %q", what, all)
				}
				if want == "" {
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
					return
				}
				if e := asError(t, err); e.Fault != want || !strings.Contains(err.Error(), test.says) || errors.Is(err, io.EOF) {
					t.Errorf("%s: %v", what, err)
				}
			}
			all, err := drainEvents(c.Stream(t.Context(), "/v1/x", nil))
			check("until DONE", test.done, all, err)
			all, err = drainEvents(c.StreamUntilEOF(t.Context(), "/v1/x", nil))
			check("until EOF", test.untilEOF, all, err)
		})
	}
}

func TestEventsThatOnlySpeakOfErrors(t *testing.T) {
	const calm = `{"error":null,"choices":[{"text":"\"error\"","top_logprobs":{"error":-1}}],"message":"error"}`
	c := mustClient(t, short(sent(t, "data: "+calm+"\n\ndata: [DONE]\n\n").URL))
	if all, err := drainEvents(c.Stream(t.Context(), "/v1/x", nil)); err != nil || !slices.Equal(all, []string{calm}) {
		t.Errorf("%q, %v", all, err)
	}
}

func TestStreamsReadToTheEndKeepTheirConnection(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	c := mustClient(t, short(server.URL))
	for range 5 {
		if _, err := drainEvents(c.Stream(t.Context(), "/v1/stream", nil)); err != nil {
			t.Error(err)
		}
		if _, err := drainEvents(c.StreamUntilEOF(t.Context(), "/v1/open", nil)); err != nil {
			t.Error(err)
		}
	}
	if c.Dials() != 1 {
		t.Errorf("%d connections, want 1", c.Dials())
	}
}

func TestStreamsBreakInTheMiddle(t *testing.T) {
	for _, test := range []struct {
		kind proxytest.Kind
		want Fault
	}{{proxytest.Stall, TimedOut}, {proxytest.Reset, Unreachable}, {proxytest.Cut, Unreachable}, {proxytest.End, Unreachable}} {
		server := proxytest.New(t, http.HandlerFunc(storyteller))
		server.Break(proxytest.Fault{Kind: test.kind, Place: proxytest.AfterEvents(2)})
		c := mustClient(t, short(server.URL))
		events, err := c.Stream(t.Context(), "/v1/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for err == nil {
			var data []byte
			if data, err = events.Next(); err == nil {
				all = append(all, string(data))
			}
		}
		if _, again := events.Next(); again != err {
			t.Errorf("another call gives %v, want %v again", again, err)
		}
		events.Close()
		if e := asError(t, err); e.Fault != test.want || len(all) != 2 {
			t.Errorf("kind %d: %q, %v", test.kind, all, err)
		}
		if n := len(server.Requests()); n != 1 {
			t.Errorf("kind %d: %d requests, though events had come", test.kind, n)
		}
		server.Quiet()
	}
}

func TestAClosedStreamStopsTheServer(t *testing.T) {
	server := proxytest.New(t, http.HandlerFunc(storyteller))
	server.Break(proxytest.Fault{Kind: proxytest.Endless, Place: proxytest.AfterEvents(1), Body: "data: more\n\n"})
	events, err := mustClient(t, short(server.URL)).Stream(t.Context(), "/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := events.Next(); err != nil {
			t.Fatal(err)
		}
	}
	events.Close()
	server.Quiet()
}

// BenchmarkEvents reads events of a row of 20 ids and of 1,000.
func BenchmarkEvents(b *testing.B) {
	for _, ids := range []int{20, 1000} {
		b.Run(fmt.Sprint(ids), func(b *testing.B) {
			var row strings.Builder
			for id := range ids {
				fmt.Fprintf(&row, `,"token_id:%d":-%d.123456789`, id, id)
			}
			event := []byte(`data: {"choices":[{"index":0,"logprobs":{"top_logprobs":[{` + row.String()[1:] + `}]}}]}` + "\n\n")
			reader := newEventReader(&repeating{event: event}, maxEvent)
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				data, _, err := reader.next()
				if err != nil || bytes.Contains(data, []byte(`"error"`)) {
					b.Fatal(err)
				}
			}
		})
	}
}

// repeating is the same event for ever.
type repeating struct {
	event []byte
	at    int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.event[r.at:])
	r.at = (r.at + n) % len(r.event)
	return n, nil
}
