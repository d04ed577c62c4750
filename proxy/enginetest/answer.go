package enginetest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Reply answers with JSON. Its type is application/json, unless the server has set
// another one.
func Reply(w http.ResponseWriter, status int, value any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // fails for a client that left
}

// Stream begins a stream of events.
func Stream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
}

// Send sends one event, at once.
func Send(w http.ResponseWriter, event any) {
	data, _ := json.Marshal(event) // maps of a test's own making
	fmt.Fprintf(w, "data: %s\n\n", data)
	w.(http.Flusher).Flush()
}

// Done ends a stream as most servers do.
func Done(w http.ResponseWriter) { fmt.Fprint(w, "data: [DONE]\n\n") }
