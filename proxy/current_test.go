package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// Who keeps rows asks the server nothing, and must hear of another model all the same.
func TestCurrentIsWhatTheServerHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("A")
		b := w.base(t)
		expect := func(when, identity string, checks uint64) {
			t.Helper()
			if got, err := b.Current(t.Context()); got != identity || err != nil {
				t.Errorf("%s: %q, %v; want %s", when, got, err, identity)
			}
			if got := b.Stats().IdentityChecks; got != checks {
				t.Errorf("%s: %d checks, want %d", when, got, checks)
			}
		}
		checks := b.Stats().IdentityChecks
		expect("just connected", "A", checks)
		time.Sleep(2 * restartLeast)
		expect("over an open connection", "A", checks)
		time.Sleep(identityAge)
		expect("after long", "A", checks+1)

		w.restart("B")
		time.Sleep(restartLeast)
		now := b.Stats().IdentityChecks
		if got, err := b.Current(t.Context()); got != "B" || err != nil {
			t.Errorf("behind a restart with B: %q, %v", got, err)
		}
		if n := b.Stats().IdentityChecks - now; n < 1 || n > 2*identityTries {
			t.Errorf("%d checks behind a restart", n)
		}

		w.down()
		time.Sleep(restartLeast)
		if got, err := b.Current(t.Context()); got != "B" || err != nil {
			t.Errorf("with nobody there: %q, %v; want what is known", got, err)
		}
		w.caps.TopLogprobs = 3
		w.restart("C")
		time.Sleep(restartLeast)
		if got, err := b.Current(t.Context()); !faulty(err, Changed) {
			t.Errorf("with a model that cannot be taken: %q, %v", got, err)
		}
	})
}

func TestConnectionsAreSeenToEnd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	defer server.Close()
	c := mustClient(t, Endpoint{Name: "b", URL: server.URL})
	if c.Alive(1) {
		t.Error("a connection is open before the first request")
	}
	if err := c.Get(t.Context(), "/props", nil); err != nil {
		t.Fatal(err)
	}
	if !c.Alive(1) || c.Alive(0) || c.Dials() != 1 {
		t.Errorf("connection 1: %v, none: %v, of %d; want the first open", c.Alive(1), c.Alive(0), c.Dials())
	}
	server.CloseClientConnections()
	for ctx := t.Context(); c.Alive(1); {
		select {
		case <-ctx.Done():
			t.Fatal("the end of the connection was not seen")
		case <-time.After(time.Millisecond):
		}
	}
}
