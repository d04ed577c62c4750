package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// Endpoint is where a base server is and how to speak to it.
type Endpoint struct {
	Name string // in errors: the base's name in the configuration
	// URL as OpenAI's clients take it: http://host:8000/v1. Without a path, /v1 is
	// where the API lies.
	URL string
	Key string // sent as a bearer token; empty sends none
}

// Client sends requests to one base server. It is safe for concurrent use.
type Client struct {
	endpoint Endpoint
	api      string // http://host:8000/v1
	root     string // http://host:8000
	http     *http.Client
}

// NewClient fails if the endpoint means nothing.
func NewClient(endpoint Endpoint) (*Client, error) {
	u, err := url.Parse(endpoint.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("url %q: want http://HOST:PORT/v1", endpoint.URL)
	}
	api := strings.TrimRight(endpoint.URL, "/")
	root := strings.TrimSuffix(api, "/v1")
	if strings.Trim(u.Path, "/") == "" {
		api = root + "/v1"
	}
	return &Client{endpoint: endpoint, api: api, root: root, http: &http.Client{}}, nil
}

// Get asks for path and decodes the JSON answer into out. A path that starts with
// /v1/ lies below the API's URL, any other below the server's root.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.whole(ctx, http.MethodGet, path, nil, out)
}

// Post sends in as JSON and decodes the JSON answer into out. It may be sent more
// than once: what a base server is asked for are functions of the request.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.whole(ctx, http.MethodPost, path, in, out)
}

// Stream sends in as JSON and reads the answer as server-sent events.
func (c *Client) Stream(ctx context.Context, path string, in any) (*Events, error) {
	ctx, cancel := context.WithCancel(ctx)
	response, err := c.send(ctx, http.MethodPost, path, in)
	if err != nil {
		cancel()
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "text/event-stream" {
		response.Body.Close()
		cancel()
		return nil, c.Malformed("POST "+path, "content type is %q, want text/event-stream", response.Header.Get("Content-Type"))
	}
	return &Events{client: c, op: "POST " + path, body: response.Body, lines: bufio.NewReader(response.Body), cancel: cancel}, nil
}

// Malformed is the error of an answer that is not the protocol's. Dialects use it, too.
func (c *Client) Malformed(op, format string, args ...any) *Error {
	return &Error{Fault: Malformed, Base: c.endpoint.Name, Op: op, Message: fmt.Sprintf(format, args...)}
}

func (c *Client) whole(ctx context.Context, method, path string, in, out any) error {
	response, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return c.Malformed(method+" "+path, "the answer is not the JSON expected: %v", err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.at(path), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.endpoint.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.endpoint.Key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &Error{Fault: Unreachable, Base: c.endpoint.Name, Op: method + " " + path, Err: err}
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	fault := Refused
	switch {
	case response.StatusCode == http.StatusTooManyRequests, response.StatusCode == http.StatusServiceUnavailable:
		fault = Overloaded
	case response.StatusCode >= 500:
		fault = Failed
	}
	return nil, &Error{Fault: fault, Base: c.endpoint.Name, Op: method + " " + path, Status: response.StatusCode, Message: string(said)}
}

// at is where a path lies.
func (c *Client) at(path string) string {
	if below, ok := strings.CutPrefix(path, "/v1/"); ok {
		return c.api + "/" + below
	}
	return c.root + path
}

// Events reads server-sent events. One goroutine uses it at a time.
type Events struct {
	client *Client
	op     string
	body   io.Closer
	lines  *bufio.Reader
	cancel context.CancelFunc
}

// Next returns the data of the next event, io.EOF behind the [DONE] that ends a
// stream. A stream that ends without one was cut, which is an error.
func (e *Events) Next() ([]byte, error) {
	for {
		line, err := e.lines.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return nil, err
			}
			return nil, &Error{Fault: Unreachable, Base: e.client.endpoint.Name, Op: e.op, Message: "the stream was cut", Err: err}
		}
		data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data:"))
		if !ok {
			continue
		}
		if data = bytes.TrimSpace(data); string(data) == "[DONE]" {
			return nil, io.EOF
		}
		return data, nil
	}
}

// Close ends the request, at the server too.
func (e *Events) Close() {
	e.cancel()
	e.body.Close()
}
