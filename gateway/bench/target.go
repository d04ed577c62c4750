package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/openai"
)

// Target is an OpenAI-compatible server, and a model that it has.
type Target struct {
	URL   string // as OpenAI's clients take it, with /v1
	Model string
	Key   string // empty for none
}

// longestLine is the longest line of a stream that is read.
const longestLine = 1 << 20

// client asks targets. It keeps as many connections as there are clients at a time, so
// that none is opened while it is measured but the first ones.
type client struct{ http *http.Client }

func newClient(connections int) *client {
	return &client{&http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, MaxIdleConns: 4 * connections, DisableCompression: true,
		IdleConnTimeout: time.Minute, ReadBufferSize: 16 << 10,
	}}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// prompt is what is asked, in both forms: a gateway gets the conversation, a base the
// tokens that its gateway would give it.
type prompt struct {
	text   string
	tokens []eft.Token
}

// ask is a request for one answer.
type ask struct {
	prompt      prompt
	length      int // tokens, exactly; 0 is until the answer ends
	temperature float64
	seed        int64
	knob        *knob  // nil asks a base for its own continuation
	salt        string // parts what a gateway has cached; empty does not
}

// knob is what is said to a gateway.
type knob struct {
	Strength float64      `json:"strength"`
	Draft    openai.Draft `json:"draft"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// body is a request as it is sent.
type body struct {
	Model         string      `json:"model"`
	Messages      []message   `json:"messages,omitempty"`
	Prompt        []eft.Token `json:"prompt,omitempty"`
	Stream        bool        `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens   int     `json:"max_tokens,omitempty"`
	IgnoreEOS   bool    `json:"ignore_eos,omitempty"`
	Temperature float64 `json:"temperature"`
	Seed        int64   `json:"seed"`
	Tuning      *knob   `json:"tuning,omitempty"`
	CacheSalt   string  `json:"cache_salt,omitempty"`
}

// most bounds answers that end by themselves.
const most = 256

func (a ask) body(model string) body {
	b := body{Model: model, Stream: true, MaxTokens: a.length, IgnoreEOS: a.length > 0, Temperature: a.temperature, Seed: a.seed, Tuning: a.knob, CacheSalt: a.salt}
	b.StreamOptions.IncludeUsage = true
	if a.length == 0 {
		b.MaxTokens = most
	}
	if a.knob != nil {
		b.Messages = []message{{"user", a.prompt.text}}
	} else {
		b.Prompt = a.prompt.tokens
	}
	return b
}

// answer is what came back, and when.
type answer struct {
	prompt, tokens            int
	drafted, agreed, baseCall int
	first, last               time.Duration // since the request: the first and the last piece of text
	gaps                      []float64     // seconds between pieces of text
}

// stream asks a target and reads the answer to its end.
func (c *client) stream(ctx context.Context, t Target, a ask) (answer, error) {
	path := "/completions"
	if a.knob != nil {
		path = "/chat/completions"
	}
	began := time.Now()
	response, err := c.post(ctx, t, t.URL+path, a.body(t.Model))
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	out, err := readStream(response.Body, func() time.Duration { return time.Since(began) })
	if err != nil {
		return out, fmt.Errorf("%s: %w", t.URL+path, err)
	}
	return out, nil
}

// post returns an answer whose status is 200.
func (c *client) post(ctx context.Context, t Target, url string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	// Some servers say that they keep a connection, and close it. With this, which is not
	// sent, a request that finds it closed goes out over another.
	request.Header["Idempotency-Key"] = []string{}
	if t.Key != "" {
		request.Header.Set("Authorization", "Bearer "+t.Key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		told, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return nil, fmt.Errorf("%s: status %d: %s", url, response.StatusCode, bytes.TrimSpace(told))
	}
	return response, nil
}

// tokenize returns the tokens that a gateway's base sees of a question.
func (c *client) tokenize(ctx context.Context, gateway Target, question string) ([]eft.Token, error) {
	url := strings.TrimSuffix(gateway.URL, "/v1") + "/tokenize"
	response, err := c.post(ctx, gateway, url, struct {
		Model    string    `json:"model"`
		Messages []message `json:"messages"`
	}{gateway.Model, []message{{"user", question}}})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var out struct {
		Tokens []eft.Token `json:"tokens"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 4<<20)).Decode(&out); err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	if len(out.Tokens) == 0 {
		return nil, fmt.Errorf("%s: no tokens in the answer", url)
	}
	return out.Tokens, nil
}

// readStream reads server-sent events to the end of the answer. It looks into few of
// them, for it shares the processors with what it measures.
func readStream(from io.Reader, since func() time.Duration) (answer, error) {
	var a answer
	counted := false
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 4<<10), longestLine)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		data = bytes.TrimSpace(data)
		if bytes.Equal(data, []byte("[DONE]")) {
			if !counted {
				return a, errors.New("the stream told no usage, although stream_options.include_usage asked for it")
			}
			return a, nil
		}
		if hasText(data) {
			a.piece(since())
		}
		if bytes.Contains(data, []byte(`"usage"`)) || bytes.HasPrefix(data, []byte(`{"error"`)) {
			found, err := a.totals(data)
			if err != nil {
				return a, err
			}
			counted = counted || found
		}
	}
	if err := lines.Err(); err != nil {
		return a, err
	}
	return a, io.ErrUnexpectedEOF
}

func (a *answer) piece(now time.Duration) {
	if a.first == 0 {
		a.first = now
	} else {
		a.gaps = append(a.gaps, (now - a.last).Seconds())
	}
	a.last = now
}

// totals reads the event that sums the answer up, and says whether this one does.
func (a *answer) totals(event []byte) (bool, error) {
	var e struct {
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
		Usage *struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
		} `json:"usage"`
		Tuning struct {
			Drafted   int `json:"drafted_tokens"`
			Agreed    int `json:"agreed_tokens"`
			BaseCalls int `json:"base_calls"`
		} `json:"tuning"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return false, fmt.Errorf("an event that is not understood: %w", err)
	}
	if e.Error != nil {
		return false, fmt.Errorf("the stream broke off: %s", e.Error.Message)
	}
	if e.Usage == nil {
		return false, nil
	}
	a.prompt, a.tokens = e.Usage.Prompt, e.Usage.Completion
	a.drafted, a.agreed, a.baseCall = e.Tuning.Drafted, e.Tuning.Agreed, e.Tuning.BaseCalls
	return true, nil
}

// hasText says whether an event brings some text, in chat's form or in completions'.
func hasText(event []byte) bool {
	for _, name := range []string{`"content"`, `"text"`} {
		_, rest, found := bytes.Cut(event, []byte(name))
		if !found {
			continue
		}
		rest = bytes.TrimLeft(rest, " ")
		rest, colon := bytes.CutPrefix(rest, []byte(":"))
		rest = bytes.TrimLeft(rest, " ")
		if colon && len(rest) > 1 && rest[0] == '"' && rest[1] != '"' {
			return true
		}
	}
	return false
}
