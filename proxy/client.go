package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

// Client sends requests to one base server. It is safe for concurrent use.
//
// What it promises of each: every phase ends within its time-out; what passes is asked
// again, within bounds; a server that fails again and again is left alone for a while;
// no redirect is followed, so that the key goes nowhere else; and what fails is an
// *[Error], unless the caller's context ended: then errors.Is finds that context's error,
// and it is no failure of the base.
type Client struct {
	endpoint      Endpoint // with all defaults
	api           string   // http://host:8000/v1
	root          string   // http://host:8000
	authorization string   // header; empty sends none
	secrets       []string // what no error may hold
	transport     http.RoundTripper
	breaker       *breaker
	meter         meter
	connections   connections
	buffers       sync.Pool // of *bytes.Buffer, for whole answers
	copies        copies    // for answers that are forwarded
}

// NewClient fails if the endpoint means nothing, or its files cannot be read. It sends
// nothing.
func NewClient(endpoint Endpoint) (*Client, error) {
	u, user, err := endpoint.parse()
	if err != nil {
		return nil, err
	}
	endpoint = endpoint.withDefaults()
	c := &Client{endpoint: endpoint, breaker: newBreaker(endpoint.Breaker)}
	c.api = strings.TrimRight(u.String(), "/")
	c.root = strings.TrimSuffix(c.api, "/v1")
	if strings.Trim(u.Path, "/") == "" {
		c.api = c.root + "/v1"
	}
	c.authorize(user)
	transport, err := endpoint.transport(&c.connections)
	if err != nil {
		return nil, err
	}
	c.transport = transport
	return c, nil
}

// Get asks for path and decodes the JSON answer into out; with a nil out any answer of a
// good status will do. A path that starts with /v1/ lies below the API's URL, any other
// below the server's root.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.whole(ctx, question{method: http.MethodGet, path: path}, out)
}

// Post sends in as JSON and decodes the JSON answer into out, as Get does. It may be sent
// more than once: what a base server is asked for are functions of the request.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	q, err := newQuestion(path, in)
	if err != nil {
		return err
	}
	return c.whole(ctx, q, out)
}

// Stream sends in as JSON and reads the answer as server-sent events, which end with
// [DONE]. It returns when the first event is there: until then it may be sent more than
// once.
func (c *Client) Stream(ctx context.Context, path string, in any) (*Events, error) {
	return c.stream(ctx, path, in, false)
}

// StreamUntilEOF is Stream for servers that send no [DONE]: the stream is whole when its
// body is. Where the server neither tells a length nor sends chunks nobody can know that,
// so the last event should tell that it is the last.
func (c *Client) StreamUntilEOF(ctx context.Context, path string, in any) (*Events, error) {
	return c.stream(ctx, path, in, true)
}

// Malformed is the error of an answer that is not the protocol's. Dialects use it, too.
func (c *Client) Malformed(op, format string, args ...any) *Error {
	return c.clean(&Error{Fault: Malformed, Op: op, Message: fmt.Sprintf(format, args...)})
}

// Dials is how many connections were ever opened. Each is counted before anything is
// sent on it.
func (c *Client) Dials() uint64 { return c.connections.dials() }

// Alive says whether one of the first n connections is still open.
func (c *Client) Alive(n uint64) bool { return c.connections.alive(n) }

// Close closes idle connections. Requests under way go on.
func (c *Client) Close() {
	if transport, ok := c.transport.(*http.Transport); ok {
		transport.CloseIdleConnections()
	}
}

// question is a request that can be sent again and again.
type question struct {
	method, path string
	body         []byte
}

// Appender is a body that writes itself, faster than encoding/json does.
type Appender interface {
	// AppendJSON appends the body to dst.
	AppendJSON(dst []byte) ([]byte, error)
}

func newQuestion(path string, in any) (question, error) {
	if appender, can := in.(Appender); can {
		body, err := appender.AppendJSON(nil)
		return question{http.MethodPost, path, body}, err
	}
	body, err := json.Marshal(in)
	return question{http.MethodPost, path, body}, err
}

func (q question) op() string { return q.method + " " + q.path }

// request makes a new one.
func (c *Client) request(ctx context.Context, q question) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	request, err := http.NewRequestWithContext(ctx, q.method, c.at(q.path), body)
	if err != nil {
		return nil, err
	}
	if q.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("User-Agent", "graft")
	// A nil key is not sent. It lets the transport repeat a request whose connection
	// the server has just closed.
	request.Header["Idempotency-Key"] = nil
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	return request, nil
}

// at is where a path lies.
func (c *Client) at(path string) string {
	if below, ok := strings.CutPrefix(path, "/v1/"); ok {
		return c.api + "/" + below
	}
	return c.root + path
}

// whole asks until there is an answer, within bounds.
func (c *Client) whole(ctx context.Context, q question, out any) error {
	_, err := repeat(ctx, c, q.op(), (*Error).passes, func() (struct{}, error) {
		response, a, err := c.send(ctx, q)
		if err != nil {
			return struct{}{}, err
		}
		defer response.Body.Close()
		a.bound()
		err = c.decode(response, q.op(), out)
		a.end(err)
		return struct{}{}, err
	})
	return err
}

// send asks once. The answer's status is good; what it holds is still to be seen, and
// told to the attempt's end.
func (c *Client) send(ctx context.Context, q question) (*http.Response, *attempt, error) {
	a, err := c.begin(ctx, q.op())
	if err != nil {
		return nil, nil, err
	}
	request, err := c.request(a.ctx, q)
	if err == nil {
		var response *http.Response
		response, err = a.roundTrip(request)
		if err == nil {
			if response.StatusCode/100 == 2 {
				return response, a, nil
			}
			err = c.refused(response, q.op())
			response.Body.Close()
		}
	}
	a.end(err)
	return nil, nil, err
}

// decode reads a whole answer.
func (c *Client) decode(response *http.Response, op string, out any) error {
	if out == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(response.Body, c.endpoint.MaxAnswer))
		return err
	}
	if err := c.typed(response, op, "application/json"); err != nil {
		return err
	}
	buffer, ok := c.buffers.Get().(*bytes.Buffer)
	if !ok {
		buffer = new(bytes.Buffer)
	}
	defer c.keep(buffer)
	if length := response.ContentLength; length > c.endpoint.MaxAnswer {
		return c.tooLarge(op)
	} else if length > 0 {
		buffer.Grow(int(min(length, maxKept)) + bytes.MinRead)
	}
	n, err := buffer.ReadFrom(io.LimitReader(response.Body, c.endpoint.MaxAnswer+1))
	switch {
	case err != nil:
		return err
	case n > c.endpoint.MaxAnswer:
		return c.tooLarge(op)
	}
	err = Unmarshal(buffer.Bytes(), out)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax) && !declared(response):
		return c.mistyped(op, "application/json", response, buffer.Bytes())
	case errors.As(err, &syntax):
		return c.Malformed(op, "the answer is not JSON: %v, in %s", err, around(buffer.Bytes(), int(syntax.Offset)))
	case err != nil:
		malformed := c.Malformed(op, "the answer is not the JSON expected: %v, in %s", err, clip(buffer.Bytes()))
		malformed.final = true
		return malformed
	}
	return nil
}

// maxKept is how large a buffer may be that waits for the next answer.
const maxKept = 16 << 20

func (c *Client) keep(buffer *bytes.Buffer) {
	if buffer.Cap() <= maxKept {
		buffer.Reset()
		c.buffers.Put(buffer)
	}
}

func (c *Client) tooLarge(op string) error {
	e := c.Malformed(op, "the answer is larger than %d bytes", c.endpoint.MaxAnswer)
	e.final = true
	return e
}

// typed says what came in place of an answer of the type wanted. JSON that is declared as
// plain text, or not at all, must prove itself; an encoding that nobody asked for is
// nothing that can be read.
func (c *Client) typed(response *http.Response, op, want string) error {
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return c.Malformed(op, "the answer is encoded as %q, which was not asked for", encoding)
	}
	kind := mediaType(response)
	switch {
	case kind == want:
		return nil
	case want != "application/json":
	case kind == "", kind == "text/plain", strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"):
		return nil
	}
	return c.mistyped(op, want, response, readSome(response.Body))
}

func (c *Client) mistyped(op, want string, response *http.Response, said []byte) error {
	if e, ok := c.saidError(op, said); ok {
		return e
	}
	return c.Malformed(op, "content type is %q, want %s; it says %s", response.Header.Get("Content-Type"), want, clip(said))
}

// declared says whether the answer says that it is JSON.
func declared(response *http.Response) bool {
	return strings.HasSuffix(mediaType(response), "json")
}

// mediaType is empty if there is none, or none that can be read.
func mediaType(response *http.Response) string {
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}
