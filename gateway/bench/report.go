package bench

import (
	"fmt"
	"time"
)

// Report is what one run found. As JSON its names are stable: fields may be added,
// none is renamed or changes its unit. Times are seconds and rates are by second unless
// the name says otherwise. What was not measured is empty or zero.
type Report struct {
	Date    time.Time `json:"date"`
	Quick   bool      `json:"quick"`
	Seconds float64   `json:"seconds"` // that the run took
	Machine Machine   `json:"machine"`

	Cells      []Cell       `json:"cells"`
	FirstToken []FirstToken `json:"time_to_first_token"`

	Models   []DecodingReport `json:"models"`
	Overhead []OverheadReport `json:"overhead"`

	Notes    []string `json:"notes"`    // what was left out, and why
	Failures []string `json:"failures"` // sections that broke off
}

// NewReport begins a report. Nothing in it is null.
func NewReport(quick bool) *Report {
	return &Report{
		Date: time.Now(), Quick: quick, Cells: []Cell{}, FirstToken: []FirstToken{},
		Models: []DecodingReport{}, Overhead: []OverheadReport{}, Notes: []string{}, Failures: []string{},
	}
}

// Note tells people something about the run, once.
func (r *Report) Note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	for _, told := range r.Notes {
		if told == note {
			return
		}
	}
	r.Notes = append(r.Notes, note)
}

// How answers end, as [Cell] says it.
const (
	Natural = "natural" // by themselves
	Fixed   = "fixed"   // at so many tokens, and not before
)

// Cell is the speed of one way to ask one base, against the base alone.
type Cell struct {
	Base     string `json:"base"`     // in-process, graft, llama-server, simulated, or a server's URL
	Checking string `json:"checking"` // how the base checks a path: in process, list of prefixes, one pass, row by row; empty if nobody tells

	Drafter     string  `json:"drafter"`
	Temperature float64 `json:"temperature"`
	Strength    float64 `json:"strength"`
	Concurrency int     `json:"concurrency"`   // clients, each asking one question after the other
	Prompt      float64 `json:"prompt_tokens"` // mean over the questions
	Answer      string  `json:"answer"`        // natural or fixed
	// Lowered is the agreement that the drafter was artificially lowered to; 0 if it was not.
	Lowered float64 `json:"lowered_agreement"`

	TokensPerSecond      float64 `json:"tokens_per_second"`
	PlainTokensPerSecond float64 `json:"plain_tokens_per_second"`
	Ratio                float64 `json:"ratio"`
	RatioLow             float64 `json:"ratio_low"` // of single rounds
	RatioHigh            float64 `json:"ratio_high"`
	Rounds               int     `json:"rounds"`

	Answers      int     `json:"answers"`
	AnswerTokens float64 `json:"answer_tokens"` // mean over the answers
	Tokens       int     `json:"tokens"`
	Seconds      float64 `json:"seconds"` // that the proxied answers took
	Errors       int     `json:"errors"`
	Agreement    float64 `json:"agreement"` // agreed ÷ drafted tokens; 0 if nothing was drafted
	Drafted      int     `json:"drafted_tokens"`
	Agreed       int     `json:"agreed_tokens"`
	BaseCalls    int     `json:"base_calls"`

	Latency      Latency `json:"latency"`
	PlainLatency Latency `json:"plain_latency"`
}

// Latency is what somebody who reads a stream waits for.
type Latency struct {
	FirstTokenP50 float64 `json:"first_token_p50_seconds"`
	FirstTokenP95 float64 `json:"first_token_p95_seconds"`
	TokenP50      float64 `json:"token_p50_seconds"` // between tokens, mean of an answer
	TokenP95      float64 `json:"token_p95_seconds"`
	GapP95        float64 `json:"gap_p95_seconds"` // between pieces of text
}

// FirstToken is the time to the first token of a repeated prompt.
type FirstToken struct {
	Base    string  `json:"base"`
	Prefix  string  `json:"prefix"` // where the prompt's keys and values came from: cold, memory, redis
	Prompt  float64 `json:"prompt_tokens"`
	P50     float64 `json:"p50_seconds"`
	P95     float64 `json:"p95_seconds"`
	Ratio   float64 `json:"ratio"` // cold ÷ this
	Answers int     `json:"answers"`
}
