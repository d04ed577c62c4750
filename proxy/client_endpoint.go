package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Endpoint is where a base server is and how to speak to it.
type Endpoint struct {
	Name string // in errors: the base's name in the configuration
	// URL as OpenAI's clients take it: http://host:8000/v1. Without a path, /v1 is
	// where the API lies. A user and password in it are sent as basic authentication.
	URL      string
	Key      string // sent as a bearer token; empty sends none
	TLS      TLS
	Timeouts Timeouts
	// Retries is how often a request for rows is sent again at most: 0 is 3, negative
	// is never.
	Retries int
	Breaker Breaker
	// MaxAnswer is how many bytes a whole answer may have: 0 is 512 MiB, which takes
	// eleven rows of 150,000 ids where the server spells each out in 300 bytes. An event
	// of a stream may have as many, up to 64 MiB.
	MaxAnswer int64
}

// TLS says whom to trust and who to be. It is for https only.
type TLS struct {
	CA string // PEM file of authorities, in place of the system's; empty is the system's
	// Certificate and PrivateKey are PEM files that say who the gateway is; empty is
	// nobody. They belong together.
	Certificate, PrivateKey string
	ServerName              string // what the server's certificate must name; empty is the URL's host
	Insecure                bool   // believe any certificate
}

// Timeouts bound the phases of a request. A zero value is the default.
type Timeouts struct {
	Connect time.Duration // until there is a connection, TLS included: 5 s
	// FirstByte is from then on until the first byte of the answer's body: 60 s. Servers
	// send the headers of a stream before they begin to work, so headers tell nothing.
	FirstByte time.Duration
	Stall     time.Duration // from one byte of the body to the next: 30 s; ten times that for all of it, but for streams
}

// Breaker is when a server is left alone for a while, so that what cannot be answered
// fails at once. A zero value is the default.
type Breaker struct {
	Failures int           // in a row, that open the breaker: 5; negative is never
	Pause    time.Duration // until a single request may try again: 5 s
}

// patience with idle connections. uvicorn (vLLM, SGLang) and llama-server close them
// after five seconds, and a request that meets that moment is lost.
const idlePatience = 4 * time.Second

const (
	maxHeader = 256 << 10
	maxIdle   = 256 // connections
)

// withDefaults is the endpoint with nothing left to fill in.
func (e Endpoint) withDefaults() Endpoint {
	set := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	set(&e.Timeouts.Connect, 5*time.Second)
	set(&e.Timeouts.FirstByte, 60*time.Second)
	set(&e.Timeouts.Stall, 30*time.Second)
	set(&e.Breaker.Pause, 5*time.Second)
	if e.Retries == 0 {
		e.Retries = 3
	}
	if e.Breaker.Failures == 0 {
		e.Breaker.Failures = 5
	}
	if e.MaxAnswer <= 0 {
		e.MaxAnswer = 512 << 20
	}
	return e
}

// parse reads the URL and takes the credentials out of it.
func (e Endpoint) parse() (*url.URL, *url.Userinfo, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, nil, fmt.Errorf("url %q: want http://HOST:PORT/v1", withoutUser(e.URL))
	}
	user := u.User
	u.User = nil
	switch {
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, nil, fmt.Errorf("url %q: a query or fragment means nothing here; want %s", withoutUser(e.URL), u.Scheme+"://"+u.Host+"/v1")
	case user != nil && e.Key != "":
		return nil, nil, fmt.Errorf("url %q: there is a key and a user, and a request has one Authorization: leave out one of them", u)
	case strings.ContainsFunc(e.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, nil, errors.New("the key has a space, a line break or another character in it that keys have not; is the variable right that it comes from?")
	case u.Scheme == "http" && e.TLS != (TLS{}):
		return nil, nil, fmt.Errorf("url %q: TLS is set up, and http has none; write https", u)
	}
	if _, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err != nil {
		return nil, nil, errors.New("HTTP_PROXY or HTTPS_PROXY is not the address of a proxy: want http://HOST:PORT")
	}
	return u, user, nil
}

// withoutUser cuts credentials out of what may be no URL.
func withoutUser(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "…" + text[at:]
	}
	return text
}

// config reads the files.
func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("TLS authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("TLS authorities: %s holds no certificate in PEM", t.CA)
		}
	}
	switch {
	case (t.Certificate == "") != (t.PrivateKey == ""):
		return nil, errors.New("TLS: a certificate and its private key belong together, and one of them is missing")
	case t.Certificate != "":
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("TLS certificate %s with key %s: %w", t.Certificate, t.PrivateKey, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// transport is how requests travel: over HTTP/1.1, where a connection carries one request
// at a time and its end is the end of that request; over any proxy that the environment
// names; with bodies as they are.
func (e Endpoint) transport(opened *connections) (*http.Transport, error) {
	config, err := e.TLS.config()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: e.Timeouts.Connect}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return opened.add(conn), nil
		},
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    e.Timeouts.Connect,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idlePatience,
		MaxResponseHeaderBytes: maxHeader,
	}, nil
}
