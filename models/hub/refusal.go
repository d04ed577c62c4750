package hub

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v6"
)

// Refusal is an answer that is no success, in words for the person who asked.
type Refusal struct {
	Status int    // of the HTTP answer
	Code   string // X-Error-Code: GatedRepo, RepoNotFound, RevisionNotFound, EntryNotFound or empty
	text   string
}

// Error implements error.
func (r *Refusal) Error() string { return r.text }

// subject is what a request was about.
type subject struct{ repository, revision, path string }

func (s subject) String() string {
	if s.path != "" {
		return s.path
	}
	return s.repository
}

// refused turns an answer into a *Refusal, wrapped for persist: for good, or with the
// wait that the server asks for.
func (h *Hub) refused(response *http.Response, about subject) error {
	r := &Refusal{Status: response.StatusCode, Code: response.Header.Get("X-Error-Code")}
	message := printable(response.Header.Get("X-Error-Message"))
	host := response.Request.URL.Host
	ours := sameOrigin(response.Request.URL, h.endpoint)
	if ours {
		r.text = h.explain(r, about, message)
	}
	if r.text == "" {
		r.text = fmt.Sprintf("%s: %s answers %d %s", about, host, r.Status, http.StatusText(r.Status))
		if message != "" {
			r.text += ": " + message
		}
	}
	switch {
	case r.Status == http.StatusRequestTimeout, r.Status == http.StatusTooEarly, r.Status >= 500 && r.Status != http.StatusNotImplemented:
	case r.Status == http.StatusTooManyRequests:
	case !ours && (r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden):
		// A signed address has expired; the next try gets a new one.
	default:
		return backoff.Permanent(r)
	}
	wait, asked := retryAfter(response.Header)
	switch {
	case !asked:
		return r
	case wait > h.options.MaxWait:
		r.text += fmt.Sprintf("; it asks to come back in %v", wait.Round(time.Second))
		return backoff.Permanent(r)
	}
	return &later{r, backoff.RetryAfterError{Duration: wait}}
}

// later is a refusal with the wait that the server asked for.
type later struct {
	*Refusal
	wait backoff.RetryAfterError
}

// Unwrap lets errors.As find both.
func (l *later) Unwrap() []error { return []error{l.Refusal, &l.wait} }

// explain says what a person can do, or nothing where there is nothing special to say.
func (h *Hub) explain(r *Refusal, about subject, message string) string {
	page := h.endpoint.String() + "/" + about.repository
	tokens := h.endpoint.String() + "/settings/tokens"
	anonymous := h.options.Token == ""
	switch {
	case r.Code == "GatedRepo" && anonymous:
		return fmt.Sprintf("%s is gated: log in at %s and accept its licence there, make a token at %s, and set HF_TOKEN to it", about.repository, page, tokens)
	case r.Code == "GatedRepo":
		return fmt.Sprintf("%s is gated, and the token's account has no access to it: accept its licence at %s (some owners take a while to agree), and see at %s that the token may read gated repositories", about.repository, page, tokens)
	case r.Code == "RevisionNotFound":
		return fmt.Sprintf("%s has no branch, tag or commit %q: look at %s/tree/main for those that there are, and choose with --revision", about.repository, about.revision, page)
	case r.Code == "EntryNotFound":
		return fmt.Sprintf("%s has no file %s at %s", about.repository, about.path, about.revision)
	case strings.Contains(message, "is disabled"):
		return fmt.Sprintf("%s was disabled by the Hub: see %s", about.repository, page)
	case r.Status == http.StatusUnauthorized && !anonymous && r.Code == "":
		return fmt.Sprintf("%s does not accept the token (401): it has expired or was mistyped; make one at %s and set HF_TOKEN to it", h.endpoint.Host, tokens)
	case r.Status == http.StatusForbidden && anonymous:
		return fmt.Sprintf("%s lets nobody read %s without a token (403%s): make one at %s and set HF_TOKEN to it", h.endpoint.Host, about.repository, suffix(": ", message), tokens)
	case r.Status == http.StatusForbidden:
		return fmt.Sprintf("%s does not let this token read %s (403%s): give it that permission at %s", h.endpoint.Host, about.repository, suffix(": ", message), tokens)
	case r.Code == "RepoNotFound" || r.Status == http.StatusUnauthorized || r.Status == http.StatusNotFound && about.path == "":
		if anonymous {
			return fmt.Sprintf("%s does not exist at %s, or is private: check the spelling; for a private one set HF_TOKEN to a token that may read it (%s)", about.repository, h.endpoint.Host, tokens)
		}
		return fmt.Sprintf("%s does not exist at %s, or is private and the token's account may not see it: check the spelling, and whose token HF_TOKEN is", about.repository, h.endpoint.Host)
	}
	return ""
}

func suffix(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// printable takes a server's words into a message: one line, and not a long one.
func printable(text string) string {
	text = strings.Trim(strconv.QuoteToGraphic(text), `"`)
	return text[:min(len(text), 300)]
}

// reset is when a window of the Hub's rate limit ends: RateLimit: "api";r=0;t=42.
var reset = regexp.MustCompile(`;\s*r=0\s*;\s*t=(\d{1,6})`)

// retryAfter reads the wait that an answer asks for.
func retryAfter(header http.Header) (time.Duration, bool) {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at)), true
	}
	if found := reset.FindStringSubmatch(header.Get("RateLimit")); found != nil {
		seconds, _ := strconv.Atoi(found[1]) // at most six digits
		return time.Duration(seconds) * time.Second, true
	}
	return 0, false
}
