package enginetest

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
)

// Requests keeps the bodies of requests until somebody takes them. It is safe for
// concurrent use.
type Requests struct {
	mu     sync.Mutex // guards bodies
	bodies []json.RawMessage
}

// Read reads the body of a request, and keeps it. It fails if the client leaves in the
// middle of it, whom nobody need answer.
func (q *Requests) Read(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bodies = append(q.bodies, body)
	return body, nil
}

// Take returns the bodies since the last call, in the order in which they were read.
func (q *Requests) Take() []json.RawMessage {
	q.mu.Lock()
	defer q.mu.Unlock()
	bodies := q.bodies
	q.bodies = nil
	return bodies
}
