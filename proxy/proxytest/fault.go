package proxytest

import (
	"net/http"
	"strings"
	"time"
)

// Kind is what goes wrong.
type Kind int

const (
	// Stall sends nothing for Fault.Wait and then goes on; without Wait it sends nothing
	// more until the client leaves.
	Stall Kind = iota + 1
	// Reset breaks the connection by RST.
	Reset
	// Cut closes the connection, so that the body never ends.
	Cut
	// End ends the body as if it were whole.
	End
	// Say sends Fault.Body in the place of the rest, and ends as if it were whole. At the
	// start it is the whole answer, with Fault.Status and Fault.Header.
	Say
	// Insert sends Fault.Body and goes on.
	Insert
	// Endless sends Fault.Body again and again until the client leaves.
	Endless
)

// Fault is what goes wrong with the answers to some requests.
type Fault struct {
	Kind  Kind
	Place Place // the zero value is before the first byte of the answer
	// Match picks the requests; nil picks all.
	Match func(Request) bool
	// Skip is how many of the requests picked are answered rightly first.
	Skip int
	// Times is how many get the fault: 0 is one, negative is all.
	Times int

	Wait   time.Duration // of Stall: 0 is for ever
	Status int           // of Say at the start: 0 is 200
	Header http.Header   // of Say at the start
	Body   string        // of Say, Insert and Endless; an empty one is a space to Endless
	Reused bool          // picks only requests on a connection that carried one before
}

// Place is where in an answer a fault strikes.
type Place struct {
	headers bool // or behind the headers
	bytes   int  // and so many bytes of the body
	events  int  // or so many events of a stream
}

// AfterHeaders is before the first byte of the body, when the headers are sent.
func AfterHeaders() Place { return Place{headers: true} }

// AfterBytes is behind n bytes of the body.
func AfterBytes(n int) Place { return Place{headers: true, bytes: n} }

// AfterEvents is behind n events of a stream: behind the blank line of the last.
func AfterEvents(n int) Place { return Place{headers: true, events: n} }

// Path picks the requests for a path.
func Path(path string) func(Request) bool {
	return func(r Request) bool { return r.Path == path }
}

// Slow holds the answer back; 0 holds it back for ever.
func Slow(d time.Duration) Fault { return Fault{Kind: Stall, Wait: d} }

// Broken breaks the connection in place of an answer: kind is Reset or Cut.
func Broken(kind Kind) Fault { return Fault{Kind: kind} }

// Status answers a status, with a JSON body in OpenAI's form unless body is something
// else than a plain sentence: one that starts with { or < is sent as it is.
func Status(status int, body string) Fault {
	f := Fault{Kind: Say, Status: status, Body: body, Header: http.Header{"Content-Type": {"application/json"}}}
	switch {
	case strings.HasPrefix(body, "<"):
		f.Header.Set("Content-Type", "text/html; charset=utf-8")
	case !strings.HasPrefix(body, "{"):
		f.Body = `{"error":{"message":` + quote(body) + `,"type":"server_error","param":null,"code":null}}`
	}
	return f
}

// Later answers a status with Retry-After.
func Later(status int, retryAfter string) Fault {
	f := Status(status, "come back later")
	f.Header.Set("Retry-After", retryAfter)
	return f
}

// HTML answers with the page of some proxy, and says that all is well.
func HTML() Fault {
	return Status(http.StatusOK, "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>It works.</body></html>\n")
}

// Redirect sends the client elsewhere.
func Redirect(to string) Fault {
	f := Status(http.StatusTemporaryRedirect, "<a href=\"elsewhere\">Temporary Redirect</a>\n")
	f.Header.Set("Location", to)
	return f
}

// WrongType answers with another content type, and a body that means nothing.
func WrongType(contentType string) Fault {
	return Fault{Kind: Say, Body: "all is well\n", Header: http.Header{"Content-Type": {contentType}}}
}

// Malformed answers with JSON that stops in the middle, in a body that is whole.
func Malformed() Fault {
	return Fault{Kind: Say, Body: `{"id":"cmpl-1","choices":[{"index":0,`, Header: http.Header{"Content-Type": {"application/json"}}}
}

// Stale closes connections that are used again, without an answer: what a server does
// whose patience with idle connections is shorter than the client's.
func Stale() Fault { return Fault{Kind: Cut, Reused: true} }

// For is the fault for requests of one path.
func (f Fault) For(path string) Fault {
	f.Match = Path(path)
	return f
}

// Always is the fault for all requests from then on.
func (f Fault) Always() Fault {
	f.Times = -1
	return f
}

// order is a fault on its way through requests.
type order struct {
	Fault
	skip, left int
}

// strikes says whether the fault is for this request.
func (o *order) strikes(r Request) bool {
	switch {
	case o.left == 0, o.Reused && !r.Reused, o.Match != nil && !o.Match(r):
		return false
	case o.skip > 0:
		o.skip--
		return false
	case o.left > 0:
		o.left--
	}
	return true
}
