package cli

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/proxy"
)

func TestServersAreWaitedForAsLongAsTheyMayCome(t *testing.T) {
	const come = 7 * time.Second
	for name, c := range map[string]struct {
		fault proxy.Fault
		wait  time.Duration
		stop  time.Duration // when the wait is interrupted, 0 for never
		took  time.Duration // at most
		ok    bool
	}{
		"it comes":                  {fault: proxy.Unreachable, wait: time.Minute, took: 8 * time.Second, ok: true},
		"it loads its model":        {fault: proxy.Overloaded, wait: time.Minute, took: 8 * time.Second, ok: true},
		"it comes too late":         {fault: proxy.Unreachable, wait: 5 * time.Second, took: 5 * time.Second},
		"nobody waits":              {fault: proxy.Unreachable},
		"it has another model":      {fault: proxy.Refused, wait: time.Minute},
		"it speaks another dialect": {fault: proxy.Malformed, wait: time.Minute},
		"the wait is interrupted":   {fault: proxy.Unreachable, wait: time.Minute, stop: 3 * time.Second, took: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.stop > 0 {
					time.AfterFunc(c.stop, cancel)
				}
				began := time.Now()
				_, err := await(ctx, slog.New(slog.DiscardHandler), "b", c.wait, func() (string, error) {
					if time.Since(began) < come {
						return "", &proxy.Error{Fault: c.fault, Base: "b"}
					}
					return "there", nil
				})
				if took := time.Since(began); took > c.took || (err == nil) != c.ok {
					t.Errorf("%v after %s", err, took)
				}
				if c.stop > 0 && !errors.Is(err, context.Canceled) {
					t.Errorf("interrupted: %v", err)
				}
			})
		})
	}
}

func TestAWrongCertificateIsNotWaitedFor(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	began := time.Now()
	_, _, err := wire(t, "bases: {b: {url: "+server.URL+", wait: 1h}}\nroutes: {r: {base: b}}", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "tls.ca") || time.Since(began) > time.Minute {
		t.Errorf("%v", err)
	}
	if cause := causeOf(err); cause != "refused" {
		t.Errorf("the cause is %s: starting the server mends nothing", cause)
	}
}
