package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// PublicEndpoint is where the Hub is.
const PublicEndpoint = "https://huggingface.co"

// Options say which Hub is asked, and how patiently.
type Options struct {
	Endpoint  string            // empty is PublicEndpoint; it may have a path
	Token     string            // sent as Authorization: Bearer; empty sends none
	Transport http.RoundTripper // nil is a new one with http.DefaultTransport's settings

	Parallel int           // files that are fetched at once; 0 is 3
	Idle     time.Duration // how long a server may send nothing; 0 is 30 s
	Tries    int           // how many tries in a row may bring nothing; 0 is 6
	MaxWait  time.Duration // the longest Retry-After that is waited for; 0 is 5 min

	// Retrying is told of listings that are asked for again after a wait; nil tells
	// nobody. For files there is the Observer.
	Retrying func(err error, wait time.Duration)
}

// Hub speaks to one endpoint. It is safe for concurrent use.
type Hub struct {
	options  Options
	endpoint *url.URL // without a slash at its end
	client   *http.Client
	direct   *http.Client // follows no redirect
}

// New checks the options. It asks nothing yet.
func New(o Options) (*Hub, error) {
	if o.Endpoint == "" {
		o.Endpoint = PublicEndpoint
	}
	endpoint, err := url.Parse(strings.TrimRight(o.Endpoint, "/"))
	switch {
	case err != nil || endpoint.Scheme != "https" && endpoint.Scheme != "http" || endpoint.Host == "":
		return nil, fmt.Errorf("endpoint %q is no address of a Hub: want something like %s", o.Endpoint, PublicEndpoint)
	case endpoint.User != nil:
		return nil, fmt.Errorf("endpoint %s has a user name in it: leave it out, and put a token into HF_TOKEN", endpoint.Redacted())
	case endpoint.RawQuery != "" || endpoint.Fragment != "":
		return nil, fmt.Errorf("endpoint %q must not have a ? or # part", o.Endpoint)
	}
	for _, r := range o.Token {
		if r <= ' ' || r > '~' {
			return nil, errors.New("the token has a character in it that no token has: copy it again (HF_TOKEN)")
		}
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	o.Parallel = orDefault(o.Parallel, 3)
	o.Idle = orDefault(o.Idle, 30*time.Second)
	o.Tries = orDefault(o.Tries, 6)
	o.MaxWait = orDefault(o.MaxWait, 5*time.Minute)
	h := &Hub{options: o, endpoint: endpoint}
	if o.Retrying == nil {
		h.options.Retrying = func(error, time.Duration) {}
	}
	transport := bearer{h.endpoint, o.Token, o.Transport}
	h.client = &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	h.direct = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return h, nil
}

func orDefault[T int | time.Duration](given, fallback T) T {
	if given > 0 {
		return given
	}
	return fallback
}

// bearer adds the token to requests to the endpoint itself. Each hop of a redirect
// comes through here, so what the Hub redirects to never sees it. (http.Client alone
// would send it to another port of the same host, and to subdomains.)
type bearer struct {
	endpoint *url.URL
	token    string
	next     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	if b.token == "" || !sameOrigin(request.URL, b.endpoint) {
		return b.next.RoundTrip(request)
	}
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(request)
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// checkRedirect bounds redirects, and keeps the address of where one came from, which
// may hold a private repository's name, from the host that it leads to.
func checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("redirected 10 times")
	}
	request.Header.Del("Referer")
	return nil
}

func newRequest(ctx context.Context, method, address string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "graft")
	// A compressed transfer has no ranges, and a size that says nothing.
	request.Header.Set("Accept-Encoding", "identity")
	return request, nil
}

// repository is OWNER/NAME, or the NAME of one from before there were owners.
var repository = regexp.MustCompile(`^([A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9_][\w.-]{0,95}$`)

func checkRepository(name string) error {
	if !repository.MatchString(name) || strings.Contains(name, "..") {
		return fmt.Errorf("%q is no name of a repository: want OWNER/NAME, such as onnx-community/Qwen2.5-0.5B-Instruct", name)
	}
	return nil
}
