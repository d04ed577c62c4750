package simulated

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

// Log-probs are most of an answer, so they are written without reflection.

// appendLogProb writes a log-prob as vLLM does, for whom JSON's lack of −∞ is −9999.
func appendLogProb(dst []byte, p float32) []byte {
	if math.IsInf(float64(p), -1) {
		return append(dst, "-9999.0"...)
	}
	return strconv.AppendFloat(dst, float64(p), 'g', -1, 32)
}

// appendString writes a JSON string.
func appendString(dst []byte, s string) []byte {
	data, err := json.Marshal(s)
	if err != nil {
		panic("a string that does not marshal: " + err.Error())
	}
	return append(dst, data...)
}

// appendLogprobs writes the logprobs object of a completion's pieces. offset is where the
// first begins; where the next would is returned.
func (l listing) appendLogprobs(dst []byte, pieces []piece, offset int) ([]byte, int) {
	offsets, own, tokens, tops := []byte{}, []byte{}, []byte{}, []byte{}
	for i, p := range pieces {
		if i > 0 {
			offsets, own, tokens, tops = append(offsets, ','), append(own, ','), append(tokens, ','), append(tops, ',')
		}
		name := l.name(p.token)
		offsets, offset = strconv.AppendInt(offsets, int64(offset), 10), offset+utf8.RuneCountInString(name)
		own = appendLogProb(own, p.row.LogProbs[p.token])
		tokens = appendString(tokens, name)
		tops = l.appendTop(tops, p)
	}
	dst = append(append(append(dst, `{"text_offset":[`...), offsets...), `],"token_logprobs":[`...)
	dst = append(append(append(dst, own...), `],"tokens":[`...), tokens...)
	return append(append(append(dst, `],"top_logprobs":[`...), tops...), `]}`...), offset
}

// appendTop writes one position's log-probs by name. Of several ids with one name the
// first stays, as the better one.
func (l listing) appendTop(dst []byte, p piece) []byte {
	dst = append(dst, '{')
	seen := map[string]bool{}
	for i, id := range l.listed(p) {
		if l.text == nil {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(strconv.AppendInt(append(dst, `"token_id:`...), int64(id), 10), '"')
		} else {
			name := l.name(id)
			if seen[name] {
				continue
			}
			seen[name] = true
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, name)
		}
		dst = appendLogProb(append(dst, ':'), p.row.LogProbs[id])
	}
	return append(dst, '}')
}

// usage is what an answer cost.
type usage struct {
	Prompt     int            `json:"prompt_tokens"`
	Total      int            `json:"total_tokens"`
	Completion int            `json:"completion_tokens"`
	Details    map[string]any `json:"prompt_tokens_details"`
}

func usageOf(prompt, completion, cached int) usage {
	return usage{prompt, prompt + completion, completion, map[string]any{"cached_tokens": cached, "created_cache_tokens": nil, "multimodal_tokens": nil}}
}

// newID is a request's.
func newID(prefix string) string {
	var b [8]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}

func reply(w http.ResponseWriter, status int, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		panic("an answer that does not marshal: " + err.Error())
	}
	replyRaw(w, status, data)
}

func replyRaw(w http.ResponseWriter, status int, data []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	w.Write(data) // fails for a client that left
}

// events writes a stream; every event goes out at once.
type events struct {
	w     http.ResponseWriter
	flush func() error
}

func newEvents(w http.ResponseWriter) *events {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	return &events{w, http.NewResponseController(w).Flush}
}

func (e *events) send(data []byte) error {
	if _, err := fmt.Fprintf(e.w, "data: %s\n\n", data); err != nil {
		return err
	}
	return e.flush()
}

func (e *events) done() error { return e.send([]byte("[DONE]")) }

// appendIDs writes ids as a list.
func appendIDs(dst []byte, ids []eft.Token) []byte {
	dst = append(dst, '[')
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	return append(dst, ']')
}

// appendJSON writes a value of our own making.
func appendJSON(dst []byte, value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic("an answer that does not marshal: " + err.Error())
	}
	return append(dst, data...)
}
