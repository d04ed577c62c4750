package cli

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/llamacpp"
	"github.com/graft-gateway/graft/proxy/openai"
	"github.com/graft-gateway/graft/proxy/sglang"
	"github.com/graft-gateway/graft/proxy/vllm"
)

// BaseServer is where a base server is, and how to speak to it.
type BaseServer struct {
	URL       string        `yaml:"url"`         // as OpenAI's clients take it: http://host:8000/v1
	Model     string        `yaml:"model"`       // empty is the only one that the server has
	Dialect   string        `yaml:"dialect"`     // auto (empty, too), vllm, llamacpp, sglang or openai
	APIKeyEnv string        `yaml:"api_key_env"` // the variable that holds the server's key
	Wait      time.Duration `yaml:"wait"`        // for the server at start; 0 is not at all
	TLS       TLS           `yaml:"tls"`
	Timeouts  Timeouts      `yaml:"timeouts"`
	Retries   *int          `yaml:"retries"` // of a request for rows; nil is 3
}

// TLS says whom to trust and who to be. Files that are relative lie beside the
// configuration.
type TLS struct {
	CA         string `yaml:"ca"`   // PEM file of authorities; empty is the system's
	Cert       string `yaml:"cert"` // PEM file of the gateway's certificate, with key
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"` // empty is the URL's host
	Insecure   bool   `yaml:"insecure"`    // believe any certificate
}

// Timeouts are those of a request's phases; zero values are the defaults.
type Timeouts struct {
	Connect   time.Duration `yaml:"connect"`    // 5 s
	FirstByte time.Duration `yaml:"first_byte"` // 60 s
	Stall     time.Duration `yaml:"stall"`      // 30 s without a byte of the answer
}

// Where the configuration says nothing of [BaseModel].Named it is defaultNamed for rows of
// fewer than longRow ids. On the embedded family names halve what rows of 5 ids are off
// by, and change nothing at 100; where paths are checked each costs the base a pass.
const (
	defaultNamed = 10
	longRow      = 64
)

// remote says that the base is behind a server.
func (b BaseModel) remote() bool { return b.URL != "" }

// check finds what cannot be meant.
func (b BaseModel) check() error {
	switch {
	case b.Folder == "" && b.URL == "":
		return errors.New("folder or url is missing; name a model folder, embedded:NAME, or a server such as http://host:8000/v1")
	case b.Folder != "" && b.URL != "":
		return errors.New("folder and url exclude each other: a base is in process or behind a server")
	case b.URL == "" && b.BaseServer != (BaseServer{}):
		return errors.New("model, dialect, api_key_env, wait, tls, timeouts and retries are for a server: url is missing")
	case b.URL != "" && b.Runtime != Runtime{Context: b.Context}:
		return errors.New("provider, device, threads, graph and exact are for a model in process; this base has a url")
	case b.TopLogprobs < -1:
		return fmt.Errorf("top_logprobs %d: must be -1 (the whole vocabulary), 0 (of a server up to %d) or more", b.TopLogprobs, proxy.DefaultTopLogprobs)
	case b.named() < 0:
		return fmt.Errorf("named %d: must be 0 or more", b.named())
	}
	if err := b.Runtime.check(); err != nil || b.URL == "" {
		return err
	}
	return b.BaseServer.check()
}

func (s BaseServer) check() error {
	t := s.Timeouts
	switch {
	case s.Wait < 0 || t.Connect < 0 || t.FirstByte < 0 || t.Stall < 0:
		return errors.New("wait and timeouts cannot be negative")
	case s.Retries != nil && *s.Retries < 0:
		return errors.New("retries cannot be negative")
	case (s.TLS.Cert == "") != (s.TLS.Key == ""):
		return errors.New("tls: cert and key belong together")
	case s.TLS.Insecure && (s.TLS.CA != "" || s.TLS.ServerName != ""):
		return errors.New("tls: insecure believes any certificate, so ca and server_name would not be looked at: leave out one or the other")
	}
	if u, err := url.Parse(s.URL); err == nil && (u.RawQuery != "" || u.Fragment != "") { // which may hold a key
		return errors.New("url: a query or fragment means nothing here, want http://HOST:PORT/v1; put the server's key into a variable, and name that as api_key_env")
	}
	if err := checkVariable("api_key_env", s.APIKeyEnv); err != nil {
		return err
	}
	if _, err := s.dialects(); err != nil {
		return err
	}
	if s.APIKeyEnv != "" && os.Getenv(s.APIKeyEnv) == "" {
		return fmt.Errorf("api_key_env: the variable %s is empty or not set; put the server's key into it", s.APIKeyEnv)
	}
	return nil
}

func (b BaseModel) named() int {
	switch {
	case b.Named != nil:
		return *b.Named
	case b.TopLogprobs >= longRow:
		return 0
	}
	return defaultNamed
}

// dialects are those to try, in this order: each one that is more general than others
// stands behind them.
func (s BaseServer) dialects() ([]proxy.Dialect, error) {
	all := []proxy.Dialect{vllm.Dialect{}, llamacpp.Dialect{}, sglang.Dialect{}, openai.Dialect{}}
	if s.Dialect == "" || s.Dialect == "auto" {
		return all, nil
	}
	var names []string
	for _, d := range all {
		if d.Name() == s.Dialect {
			return []proxy.Dialect{d}, nil
		}
		names = append(names, d.Name())
	}
	return nil, fmt.Errorf("dialect %q is unknown: use auto, %s", s.Dialect, strings.Join(slices.Clip(names), ", "))
}
