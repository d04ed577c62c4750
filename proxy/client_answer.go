package proxy

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxSaid = 64 << 10 // bytes that are read of an answer which is an error
	maxClip = 300      // bytes of them that are shown
)

// authorize says who the gateway is, and what errors must not tell.
func (c *Client) authorize(user *url.Userinfo) {
	switch {
	case c.endpoint.Key != "":
		c.authorization = "Bearer " + c.endpoint.Key
		c.secrets = append(c.secrets, c.endpoint.Key)
	case user != nil:
		password, _ := user.Password()
		encoded := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		c.authorization = "Basic " + encoded
		c.secrets = append(c.secrets, encoded)
		if password != "" {
			c.secrets = append(c.secrets, password)
		}
	}
}

// clean names the base, and takes the secrets out of what was said. An error that holds
// one gives only its text.
func (c *Client) clean(e *Error) *Error {
	e.Base = c.endpoint.Name
	e.Message = c.scrub(e.Message)
	if e.Err != nil {
		if text := e.Err.Error(); c.scrub(text) != text {
			e.Err = errors.New(c.scrub(text))
		}
	}
	return e
}

func (c *Client) scrub(text string) string {
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// refused is the error of an answer whose status is not good.
func (c *Client) refused(response *http.Response, op string) *Error {
	e := &Error{Fault: faultOf(response.StatusCode), Op: op, Status: response.StatusCode, RetryAfter: retryAfter(response.Header)}
	if response.StatusCode/100 == 3 {
		e.Message = "it sends the request elsewhere, where the key is not meant to go"
		if to, err := response.Location(); err == nil {
			to.User, to.RawQuery, to.Fragment = nil, "", ""
			e.Message = fmt.Sprintf("it sends the request to %s, where the key is not meant to go; if it is, make that the base's url", to)
		}
		return c.clean(e)
	}
	said := readSome(response.Body)
	if message, ok := parseRefusal(said); ok {
		e.Message = clip([]byte(message))
	} else {
		e.Message = clip(said)
	}
	return c.clean(e)
}

// faultOf is what a status that is not good means.
func faultOf(status int) Fault {
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return Overloaded
	case status >= 500:
		return Failed
	}
	return Refused
}

// saidError is an error that stands in an answer of a good status, if data is one.
func (c *Client) saidError(op string, data []byte) (*Error, bool) {
	message, code, ok := parseError(data)
	if !ok {
		return nil, false
	}
	e := &Error{Fault: Failed, Op: op, Message: clip([]byte(message))}
	if code >= 400 && code < 600 {
		e.Fault, e.Status = faultOf(code), code
	}
	return c.clean(e), true
}

// said is the body of an error as servers write it: OpenAI and llama-server {"error":
// {"message", "code"}}, others {"error": "…"}, vLLM once {"object": "error", "message",
// "code"}, FastAPI {"detail": "…"} or {"detail": [{"loc", "msg"}]}.
type said struct {
	Error   json.RawMessage `json:"error"`
	Object  json.RawMessage `json:"object"`
	Message json.RawMessage `json:"message"`
	Code    json.RawMessage `json:"code"`
	Type    json.RawMessage `json:"type"`
	Detail  json.RawMessage `json:"detail"`
}

// parseError returns what an error says, and the status that it names, or 0.
func parseError(data []byte) (message string, code int, ok bool) {
	var s said
	if json.Unmarshal(data, &s) != nil {
		return "", 0, false
	}
	if present(s.Error) {
		var inner said
		if json.Unmarshal(s.Error, &inner) != nil {
			return text(s.Error), status(s.Code), true
		}
		message, code = text(inner.Message), status(inner.Code)
		if message == "" {
			message = string(s.Error)
		}
		if code == 0 {
			code = status(s.Code)
		}
		if code == 0 {
			code = kindStatus(text(inner.Type) + " " + text(inner.Code))
		}
		return message, code, true
	}
	if text(s.Object) == "error" {
		return text(s.Message), status(s.Code), true
	}
	return "", 0, false
}

// parseRefusal is parseError for an answer that is known to be an error.
func parseRefusal(data []byte) (message string, ok bool) {
	if message, _, ok := parseError(data); ok {
		return message, true
	}
	var s said
	switch {
	case json.Unmarshal(data, &s) != nil:
	case present(s.Detail):
		return detail(s.Detail), true
	case present(s.Message):
		return text(s.Message), true
	}
	return "", false
}

// kindStatus is the status that a kind of error stands for, where no number tells: 0 if
// nothing is known.
func kindStatus(kind string) int {
	kind = strings.ToLower(kind)
	switch {
	case strings.Contains(kind, "rate_limit"), strings.Contains(kind, "ratelimit"), strings.Contains(kind, "too_many_requests"):
		return http.StatusTooManyRequests
	case strings.Contains(kind, "overloaded"), strings.Contains(kind, "unavailable"):
		return http.StatusServiceUnavailable
	case strings.Contains(kind, "invalid_request"), strings.Contains(kind, "badrequest"):
		return http.StatusBadRequest
	}
	return 0
}

func present(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", `""`, "{}", "[]", "false":
		return false
	}
	return true
}

// text is a JSON string, or JSON as it stands.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func status(raw json.RawMessage) int {
	n, err := strconv.Atoi(text(raw))
	if err != nil {
		return 0
	}
	return n
}

// detail is what FastAPI says: a text, or what is wrong where in the request.
func detail(raw json.RawMessage) string {
	var wrong []struct {
		Where []any  `json:"loc"`
		What  string `json:"msg"`
	}
	if json.Unmarshal(raw, &wrong) != nil {
		return text(raw)
	}
	var all []string
	for _, w := range wrong {
		var where []string
		for _, part := range w.Where {
			where = append(where, fmt.Sprint(part))
		}
		all = append(all, strings.Join(where, ".")+": "+w.What)
	}
	return strings.Join(all, "; ")
}

// retryAfter is when a server wants to be asked again, 0 if it does not say: seconds, or
// a date, which the server's own clock measures if it tells the time.
func retryAfter(header http.Header) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, at.Sub(now))
}

// readSome reads the beginning of what cannot be an answer, as far as it comes: that it is
// none is known already.
func readSome(body io.Reader) []byte {
	data, _ := io.ReadAll(io.LimitReader(body, maxSaid)) // see above
	return data
}

// clip makes what a server said fit for a line of a log.
func clip(data []byte) string {
	cut := len(data) > maxClip
	if cut {
		data = data[:maxClip]
	}
	line := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return utf8.RuneError
	}, strings.TrimSpace(string(data)))
	switch {
	case cut:
		return strings.TrimRight(line, string(utf8.RuneError)) + " …"
	case line == "":
		return "nothing"
	}
	return line
}

// around shows JSON where it went wrong: what offset was read up to.
func around(data []byte, offset int) string {
	from := max(0, min(offset, len(data))-maxClip/2)
	shown := clip(data[from:])
	if from > 0 {
		shown = "… " + shown
	}
	return shown
}
