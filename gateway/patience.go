package gateway

import (
	"net/http"
	"time"
)

// A client must send its body, and take each piece of its answer, in these times.
const (
	readPatience  = time.Minute
	writePatience = 30 * time.Second
)

// patientWriter gives a client writePatience for each piece, however long the next one
// takes to come. The last deadline stands until rest is called.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func newPatientWriter(w http.ResponseWriter) *patientWriter {
	return &patientWriter{w, http.NewResponseController(w)}
}

func (p *patientWriter) Write(data []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(data)
}

// Unwrap is what http.ResponseController asks for.
func (p *patientWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// rest lifts the deadline: the connection may have other requests to serve.
func (p *patientWriter) rest() error { return p.control.SetWriteDeadline(time.Time{}) }
