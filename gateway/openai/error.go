package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The values of an error's "code", OpenAI's own where it has one.
const (
	CodeInvalidJSON   = "invalid_json"
	CodeInvalidType   = "invalid_type"
	CodeInvalidValue  = "invalid_value"
	CodeMissing       = "missing_required_parameter"
	CodeDuplicate     = "duplicate_parameter"
	CodeUnknown       = "unknown_parameter"
	CodeUnsupported   = "unsupported_parameter"
	CodeInvalidHeader = "invalid_header"
	CodeInvalidKey    = "invalid_api_key"
	CodeModelNotFound = "model_not_found"
	CodeUnknownURL    = "unknown_url"
	CodeMethod        = "method_not_allowed"
	CodeTooLarge      = "request_too_large"
	CodeContextLength = "context_length_exceeded"
	CodeRateLimit     = "rate_limit_exceeded"
	CodeUnavailable   = "service_unavailable"
	CodeBadGateway    = "bad_gateway"
	CodeTimeout       = "gateway_timeout"
	CodeInternal      = "internal_error"
)

// The values of an error's "type".
const (
	typeInvalidRequest = "invalid_request_error"
	typeRateLimit      = "rate_limit_error"
	typeServer         = "server_error"
)

// Error is what a client is told, and privately why. It marshals to OpenAI's
// error object, {"error": {"message", "type", "param", "code"}}.
type Error struct {
	Status  int    // HTTP status
	Type    string // OpenAI's class of the error, such as invalid_request_error
	Code    string // one of the Code constants; empty is written as null
	Param   string // path of the field at fault; empty is written as null
	Message string // for the client

	RetryAfter time.Duration // above 0: sent as Retry-After, in whole seconds, rounded up
	Allow      []string      // methods for the Allow header; nil sends none
	Cause      error         // for the log; the client never sees it
}

// Error says all there is to say, the private cause included: it is for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Param != "" {
		fmt.Fprintf(&b, " (param %s)", e.Param)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Cause }

// MarshalJSON writes the public half only.
func (e *Error) MarshalJSON() ([]byte, error) {
	type object struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	o := object{Message: e.Message, Type: e.Type}
	if e.Param != "" {
		o.Param = &e.Param
	}
	if e.Code != "" {
		o.Code = &e.Code
	}
	return json.Marshal(map[string]object{"error": o})
}

// AsError returns the *Error inside err; any other error becomes an Internal
// one, so that its text stays private.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Internal(err)
}

// WriteError answers with err's status, headers and error object. Nothing of
// the answer may have been written before.
func WriteError(w http.ResponseWriter, err error) {
	e := AsError(err)
	body, merr := json.Marshal(e)
	if merr != nil {
		// Four strings always marshal.
		panic("openai: an error object that does not marshal: " + merr.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatFloat(math.Ceil(e.RetryAfter.Seconds()), 'f', 0, 64))
	}
	if len(e.Allow) > 0 {
		h.Set("Allow", strings.Join(e.Allow, ", "))
	}
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(e.Status)
	// A client that left before its error came has nothing to be told.
	_, _ = w.Write(append(body, '\n'))
}

// BadRequest is a 400 about param, with one of the Code constants.
func BadRequest(param, code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: typeInvalidRequest, Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Unauthorized is a 401: the key is missing or not one of ours.
func Unauthorized(message string) *Error {
	return &Error{Status: http.StatusUnauthorized, Type: typeInvalidRequest, Code: CodeInvalidKey, Message: message}
}

// ModelNotFound is the 404 for a model name that is no route.
func ModelNotFound(model string) *Error {
	return &Error{
		Status: http.StatusNotFound, Type: typeInvalidRequest, Code: CodeModelNotFound, Param: "model",
		Message: fmt.Sprintf("the model %s does not exist; GET /v1/models lists those that do", quote(model)),
	}
}

// EndpointNotFound is the 404 for a path that is not served.
func EndpointNotFound(method, path string) *Error {
	return &Error{
		Status: http.StatusNotFound, Type: typeInvalidRequest, Code: CodeUnknownURL,
		Message: fmt.Sprintf("there is no endpoint %s %s", clip(method), clip(path)),
	}
}

// MethodNotAllowed is the 405 for a path that is served under other methods.
func MethodNotAllowed(method, path string, allow ...string) *Error {
	return &Error{
		Status: http.StatusMethodNotAllowed, Type: typeInvalidRequest, Code: CodeMethod, Allow: allow,
		Message: fmt.Sprintf("%s is not allowed on %s; use %s", clip(method), clip(path), strings.Join(allow, ", ")),
	}
}

// TooLarge is the 413 for a body of more than limit bytes.
func TooLarge(limit int64) *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Type: typeInvalidRequest, Code: CodeTooLarge,
		Message: fmt.Sprintf("the body is larger than the %d bytes allowed", limit),
	}
}

// ContextTooLong is the 400 for a prompt that, with the tokens asked for, does
// not fit a context of limit tokens. param is "messages" or "prompt".
func ContextTooLong(param string, prompt, asked, limit int) *Error {
	return BadRequest(param, CodeContextLength,
		"the model's context is %d tokens, but %d were asked for (%d in %s, %d to generate); shorten %s or ask for fewer",
		limit, prompt+asked, prompt, param, asked, param)
}

// RateLimited is a 429; retryAfter says when to come back.
func RateLimited(retryAfter time.Duration, message string) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Type: typeRateLimit, Code: CodeRateLimit,
		RetryAfter: retryAfter, Message: message,
	}
}

// Unavailable is a 503; retryAfter may be 0 for "unknown", cause may be nil.
func Unavailable(message string, retryAfter time.Duration, cause error) *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Type: typeServer, Code: CodeUnavailable,
		RetryAfter: retryAfter, Message: message, Cause: cause,
	}
}

// BaseFailed is what a client is told of a base's server that failed: 429, 503 and
// 504 stay what they are, any other status is a 502. cause may be nil.
func BaseFailed(status int, message string, retryAfter time.Duration, cause error) *Error {
	e := Unavailable(message, retryAfter, cause)
	switch e.Status = status; status {
	case http.StatusServiceUnavailable:
	case http.StatusTooManyRequests:
		e.Type, e.Code = typeRateLimit, CodeRateLimit
	case http.StatusGatewayTimeout:
		e.Code = CodeTimeout
	default:
		e.Status, e.Code = http.StatusBadGateway, CodeBadGateway
	}
	return e
}

// Internal is a 500. The client learns nothing of cause.
func Internal(cause error) *Error {
	return &Error{
		Status: http.StatusInternalServerError, Type: typeServer, Code: CodeInternal,
		Message: "the server failed to answer; its log says why", Cause: cause,
	}
}
