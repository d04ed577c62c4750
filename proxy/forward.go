package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
)

// forwarded are the headers of a client's request that the server gets. Whatever else
// there is, keys and cookies above all, is between the client and the gateway.
var forwarded = []string{"Accept", "Accept-Encoding", "Content-Type", "Traceparent", "Tracestate", "User-Agent", "X-Request-Id"}

// withheld are the headers of a server's answer that speak of the server and not of the
// answer, or that the gateway writes itself. Headers of one connection go, too.
var withheld = []string{"Alt-Svc", "Clear-Site-Data", "Set-Cookie", "Set-Cookie2", "Strict-Transport-Security", "X-Request-Id"}

// Forward sends r, with body in place of its own, to the same path below the API's URL,
// and writes what comes back, whatever its status, as it comes. The client's key goes no
// further: the server gets its own. It is sent again only if there was no connection to
// send it on.
//
// It returns an error only if nothing was written to w. Where an answer breaks off later
// it panics with [http.ErrAbortHandler], so that net/http breaks the connection to the
// client, too: a part must not look like the whole. A client that leaves, which ends r's
// context, stops the request at the server.
func (c *Client) Forward(w http.ResponseWriter, r *http.Request, body []byte) error {
	op := "forward " + r.Method + " " + r.URL.Path
	if path.Clean("/"+r.URL.Path) != r.URL.Path {
		return c.clean(&Error{Fault: Refused, Op: op, Message: "the path is not in its shortest form", final: true, unsent: true})
	}
	f := &forwarding{client: c, op: op, caller: r.Context(), body: body}
	in := r.WithContext(r.Context())
	in.Body, in.ContentLength, in.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	(&httputil.ReverseProxy{
		Rewrite:        f.rewrite,
		Transport:      f,
		FlushInterval:  -1,
		BufferPool:     &c.copies,
		ModifyResponse: withhold,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { f.err = err },
		ErrorLog:       log.New(io.Discard, "", 0), // it is told by err or by the panic
	}).ServeHTTP(w, in)
	if f.broke {
		// ReverseProxy panics by itself only under net/http's server.
		panic(http.ErrAbortHandler)
	}
	return f.err
}

// forwarding is one request that is forwarded.
type forwarding struct {
	client *Client
	op     string
	caller context.Context
	body   []byte
	err    error // of a request that has no answer
	broke  bool  // the answer broke off
}

// rewrite makes the request that goes out: of the one that came in nothing but what is
// named here.
func (f *forwarding) rewrite(r *httputil.ProxyRequest) {
	in, out := r.Out.Header, http.Header{}
	for _, name := range forwarded {
		if values := in.Values(name); len(values) > 0 {
			out[name] = values
		}
	}
	if out.Get("Content-Type") == "" && len(f.body) > 0 {
		out.Set("Content-Type", "application/json")
	}
	if f.client.authorization != "" {
		out.Set("Authorization", f.client.authorization)
	}
	r.Out.Header, r.Out.Host, r.Out.Trailer = out, "", nil
	// A query may hold a key, and nothing that is forwarded has one.
	to := f.client.at((&url.URL{Path: r.In.URL.Path}).EscapedPath())
	r.Out.URL, f.err = url.Parse(to)
}

// RoundTrip implements http.RoundTripper for the ReverseProxy.
func (f *forwarding) RoundTrip(out *http.Request) (*http.Response, error) {
	if f.err != nil {
		return nil, f.err
	}
	unsent := func(e *Error) bool { return e.unsent && !e.final }
	return repeat(f.caller, f.client, f.op, unsent, func() (*http.Response, error) { return f.try(out) })
}

// try sends the request once. The answer's first byte is there when it returns, so that
// all that fails before can still be told by a status.
func (f *forwarding) try(out *http.Request) (*http.Response, error) {
	a, err := f.client.begin(f.caller, f.op)
	if err != nil {
		return nil, err
	}
	// Not ReverseProxy's context: it would hand on 1xx answers with all their headers.
	request := out.WithContext(a.ctx)
	request.Body, request.GetBody = http.NoBody, nil
	if len(f.body) > 0 {
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.body)), nil }
		request.Body, _ = request.GetBody() // cannot fail
	}
	response, err := a.roundTrip(request)
	if err != nil {
		a.end(err)
		return nil, err
	}
	if response.StatusCode/100 == 3 || response.StatusCode == http.StatusSwitchingProtocols {
		err := f.elsewhere(response)
		response.Body.Close()
		a.end(err)
		return nil, err
	}
	first := make([]byte, firstRead)
	n, err := response.Body.Read(first)
	if err != nil && err != io.EOF && n == 0 {
		response.Body.Close()
		a.end(err)
		return nil, err
	}
	a.alive()
	response.Body = &forwardedBody{forwarding: f, attempt: a, first: first[:n], err: err, raw: response.Body, response: response}
	return response, nil
}

// firstRead is what is read of an answer before its status goes out, and copySize what is
// read of the rest at a time.
const (
	firstRead = 1 << 10
	copySize  = 32 << 10
)

// copies are the buffers by which answers are copied. It implements
// httputil.BufferPool.
type copies struct{ pool sync.Pool } // of *[copySize]byte

// Get returns a buffer.
func (c *copies) Get() []byte {
	if b, ok := c.pool.Get().(*[copySize]byte); ok {
		return b[:]
	}
	return make([]byte, copySize)
}

// Put takes a buffer back that Get returned.
func (c *copies) Put(b []byte) { c.pool.Put((*[copySize]byte)(b)) }

// elsewhere is the error of an answer that leads away from the gateway.
func (f *forwarding) elsewhere(response *http.Response) *Error {
	if response.StatusCode == http.StatusSwitchingProtocols {
		return f.client.Malformed(f.op, "it switched protocols, which was not asked for")
	}
	return f.client.refused(response, f.op)
}

// withhold takes out of an answer what is not for the client. ReverseProxy has removed
// the headers of the connection.
func withhold(response *http.Response) error {
	for _, name := range withheld {
		response.Header.Del(name)
	}
	for name := range response.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			response.Header.Del(name)
		}
	}
	response.Trailer = nil // those announced; the body removes those that come
	return nil
}

// forwardedBody is the body of an answer on its way through. It ends the attempt.
type forwardedBody struct {
	forwarding *forwarding
	attempt    *attempt
	first      []byte
	err        error // that came with first
	raw        io.ReadCloser
	response   *http.Response
	ended      bool
}

// Read implements io.Reader.
func (b *forwardedBody) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	n, err := 0, b.err
	if err == nil {
		n, err = b.raw.Read(p)
	}
	switch {
	case err == nil:
	case err == io.EOF:
		b.response.Trailer = nil // nobody asked for trailers
		b.end(b.outcome())
	default:
		b.forwarding.broke = true
		b.end(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *forwardedBody) Close() error {
	b.end(fmt.Errorf("base %s: %s: the client took no more: %w", b.forwarding.client.endpoint.Name, b.forwarding.op, context.Canceled))
	return b.raw.Close()
}

func (b *forwardedBody) end(err error) {
	if !b.ended {
		b.ended = true
		b.attempt.end(err)
		b.forwarding.client.breaker.failed(err)
	}
}

// outcome is what an answer that was passed on says of the server.
func (b *forwardedBody) outcome() error {
	if b.response.StatusCode < http.StatusBadRequest {
		return nil
	}
	return b.forwarding.client.clean(&Error{Fault: faultOf(b.response.StatusCode), Op: b.forwarding.op, Status: b.response.StatusCode})
}
