package vllm

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/proxy"
)

// record is the root of a vLLM server that a test's traffic is taken from anew:
//
//	go test ./proxy/vllm -run TestRecorded/whole -record http://127.0.0.1:8000
var record = flag.String("record", "", "URL of the vLLM server to record from")

// exchange is one request and its answer, as they went over the wire.
type exchange struct {
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	Request json.RawMessage `json:"request,omitempty"`
	Status  int             `json:"status"`
	Type    string          `json:"type"`
	Answer  string          `json:"answer"`
}

func (e exchange) key() string { return e.Method + " " + e.Path + " " + string(e.Request) }

// tape answers like the server that was recorded: the same request gets the same
// answers in their order, the last one for ever.
type tape struct {
	t         *testing.T
	file      string
	mu        sync.Mutex // guards what follows
	exchanges []exchange
	played    map[string]int
}

// play returns a server that plays testdata/recorded/name.json, or records it.
func play(t *testing.T, name string) string {
	t.Helper()
	tape := &tape{t: t, file: filepath.Join("testdata", "recorded", name+".json"), played: map[string]int{}}
	if *record != "" {
		t.Cleanup(tape.save) // once nothing is under way any more
	}
	server := httptest.NewServer(tape)
	t.Cleanup(server.Close)
	if *record != "" {
		return server.URL
	}
	data, err := os.ReadFile(tape.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &tape.exchanges); err != nil {
		t.Fatal(err)
	}
	for i, e := range tape.exchanges {
		tape.exchanges[i].Request = compact(e.Request)
	}
	return server.URL
}

func compact(data []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, data) != nil {
		return nil
	}
	return out.Bytes()
}

func (p *tape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e := exchange{Method: r.Method, Path: r.URL.Path, Request: compact(body)}
	if *record != "" {
		p.relay(w, &e)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.exchanges = append(p.exchanges, e)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.find(&e) {
		p.t.Errorf("nothing like this was recorded: %s", e.key())
		e.Status, e.Type, e.Answer = http.StatusNotImplemented, "text/plain", "not recorded"
	}
	w.Header().Set("Content-Type", e.Type)
	w.WriteHeader(e.Status)
	_, _ = io.WriteString(w, e.Answer)
}

func (p *tape) find(e *exchange) bool {
	seen := 0
	for _, recorded := range p.exchanges {
		if recorded.key() == e.key() {
			*e = recorded
			if seen++; seen > p.played[e.key()] {
				break
			}
		}
	}
	p.played[e.key()]++
	return seen > 0
}

// relay asks the server that is recorded, and passes its answer on as it comes: what a
// test asks beside a stream is asked beside it.
func (p *tape) relay(w http.ResponseWriter, e *exchange) {
	request, err := http.NewRequest(e.Method, *record+e.Path, bytes.NewReader(e.Request))
	if err != nil {
		p.t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer response.Body.Close()
	e.Status, e.Type = response.StatusCode, response.Header.Get("Content-Type")
	w.Header().Set("Content-Type", e.Type)
	w.WriteHeader(e.Status)
	var answer strings.Builder
	for buffer := make([]byte, 1<<16); err == nil; {
		var n int
		n, err = response.Body.Read(buffer)
		answer.Write(buffer[:n])
		_, _ = w.Write(buffer[:n])
		w.(http.Flusher).Flush()
	}
	if err != io.EOF {
		p.t.Error(err)
	}
	e.Answer = answer.String()
}

func (p *tape) save() {
	data, err := json.MarshalIndent(p.exchanges, "", " ")
	if err == nil {
		err = os.WriteFile(p.file, append(data, '\n'), 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// client asks once: what a test orders is not to pass.
func client(t testing.TB, url string) *proxy.Client {
	t.Helper()
	c, err := proxy.NewClient(proxy.Endpoint{Name: "llama", URL: url + "/v1", Retries: -1, Breaker: proxy.Breaker{Failures: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// recognise wants a server that is recognised.
func recognise(t testing.TB, url string, want proxy.Want) proxy.Server {
	t.Helper()
	server, err := Dialect{}.Recognise(t.Context(), client(t, url), want)
	if err != nil {
		t.Fatal(err)
	}
	return server
}
