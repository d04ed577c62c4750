package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// sight is what a client saw of an answer.
type sight struct {
	status   int
	retry    string // Retry-After
	ids      []int
	failure  string // the code of an error, or of an error event
	finished bool   // it was told to be whole
	broken   error  // the connection broke, or there was none
	body     string
	took     time.Duration
}

// look asks for a completion with token ids, streamed or whole.
func look(ctx context.Context, url string, question object) sight {
	began := time.Now()
	var seen sight
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	seen.look(ctx, url, question)
	seen.took = time.Since(began)
	return seen
}

func (s *sight) look(ctx context.Context, url string, question object) {
	data, err := json.Marshal(question)
	if err != nil {
		panic(err) // numbers and strings
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/completions", bytes.NewReader(data))
	if err != nil {
		s.broken = err
		return
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.broken = err
		return
	}
	defer response.Body.Close()
	s.status, s.retry = response.StatusCode, response.Header.Get("Retry-After")
	// An endless answer that is passed on has no end here either.
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	s.body, s.broken = string(text), err
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		s.read(text, false)
		return
	}
	done := false
	for lines := bufio.NewScanner(strings.NewReader(s.body)); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data == "[DONE]" {
			done = true
		} else if ok {
			s.read([]byte(data), true)
		}
	}
	s.finished = s.finished && done
}

// read takes in an answer or an event.
func (s *sight) read(data []byte, event bool) {
	var answer struct {
		Choices []struct {
			IDs    []int   `json:"token_ids"`
			Finish *string `json:"finish_reason"`
		}
		Error *struct{ Code any }
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return
	}
	if answer.Error != nil {
		s.failure = fmt.Sprint(answer.Error.Code)
	}
	for _, c := range answer.Choices {
		s.ids = append(s.ids, c.IDs...)
		s.finished = s.finished || c.Finish != nil
	}
}

// failures are the codes of errors of the gateway's own by their statuses.
var failures = map[string]int{
	"rate_limit_exceeded": http.StatusTooManyRequests, "bad_gateway": http.StatusBadGateway,
	"service_unavailable": http.StatusServiceUnavailable, "gateway_timeout": http.StatusGatewayTimeout,
}

// outcome says what that was, right being the whole answer.
func (s *sight) outcome(right []int) outcome {
	switch status := failures[s.failure]; {
	case s.broken != nil && s.status == http.StatusOK:
		return brokeOff
	case s.broken != nil:
		return outcome("no answer: " + s.broken.Error())
	case s.finished && s.failure == "" && slices.Equal(s.ids, right):
		return whole
	case status > 0 && (s.status == status || s.status == http.StatusOK):
		return outcome(fmt.Sprint(status) + s.later())
	case s.status == http.StatusOK && s.failure == "" && len(s.ids) > 0:
		return short
	}
	return outcome(string(asSent) + s.later())
}

// later is when the client may come back, if it was told.
func (s *sight) later() string {
	if s.retry == "" {
		return ""
	}
	return " in " + s.retry + " s"
}

// line is the outcome for people.
func (s *sight) line(right []int) string {
	got := string(s.outcome(right))
	switch {
	case strings.HasPrefix(got, string(asSent)):
		return fmt.Sprintf("%d %s", s.status, got)
	case s.status == http.StatusOK && got != string(whole):
		return fmt.Sprintf("%d tokens, %s", len(s.ids), got)
	}
	return got
}

// leaks says whether the client was told where the base's server is.
func (s *sight) leaks(server string) bool {
	u, err := url.Parse(server)
	return err != nil || strings.Contains(s.body, u.Host)
}

// wrongTokens are those of ids that differ from the beginning of right.
func wrongTokens(ids, right []int) int {
	n := 0
	for i, id := range ids {
		if i >= len(right) || right[i] != id {
			n++
		}
	}
	return n
}
