package dialecttest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/graft-gateway/graft/proxy"
)

// Client is a client of the server at url.
func Client(t testing.TB, url string) *proxy.Client {
	t.Helper()
	client, err := proxy.NewClient(proxy.Endpoint{Name: "tiny", URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Serve is a client of a server that handler answers for, until the test ends.
func Serve(t testing.TB, handler http.Handler) *proxy.Client {
	t.Helper()
	listener := httptest.NewServer(handler)
	t.Cleanup(listener.Close)
	return Client(t, listener.URL)
}

// Saying is a client of a server that answers every request with body, which is of a
// kind such as text/event-stream.
func Saying(t testing.TB, kind, body string) *proxy.Client {
	t.Helper()
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body) // fails for a client that left
	}))
}
