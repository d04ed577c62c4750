package doctor

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

// Server is a base behind a server, and what it can do.
type Server struct {
	Name     string    `json:"name"` // in the configuration
	Verdict  Level     `json:"verdict"`
	Findings []Finding `json:"findings"`

	URL         string   `json:"url"` // without a password
	Serves      []string `json:"serves"`
	PassThrough bool     `json:"pass_through"` // no route has experts over it: requests go straight through
	Dialect     string   `json:"dialect"`      // empty if it was not recognised
	Version     string   `json:"version"`
	Model       string   `json:"model"`
	Identity    string   `json:"identity"`
	Context     int      `json:"context"`    // tokens; 0 if it does not tell
	VocabSize   int      `json:"vocab_size"` // ids that it scores; 0 if it does not tell
	// TopLogprobs is the size of the rows that are asked for, the cap the most that
	// the server gives: −1 for no cap.
	TopLogprobs    int         `json:"top_logprobs"`
	TopLogprobsCap int         `json:"top_logprobs_cap"`
	CapFlag        string      `json:"cap_flag,omitempty"` // of the server, that raises the cap
	Dense          bool        `json:"dense"`
	Names          int         `json:"named_tokens"` // that a position can be asked for by id
	Tokens         string      `json:"tokens"`       // ids, bytes or text
	Batch          bool        `json:"batch"`        // several prompts in one request
	Scoring        string      `json:"path_scoring"`
	Stream         bool        `json:"stream"`
	PrefixCache    string      `json:"prefix_cache"` // yes, no or unknown
	Isolation      string      `json:"isolation"`    // what keeps tenants' caches apart; empty is nothing
	Rows           *ServerRows `json:"rows"`         // null if they were not measured

	Notes  []string `json:"-"`
	Faults []Fault  `json:"-"`
}

// enough is how many of the best log-probs make little of a row's tail.
const enough = 100

func (s *Server) judge() {
	s.Findings = broken(s.Faults, s.fix)
	add := func(level Level, part, problem, fix string) {
		s.Findings = append(s.Findings, Finding{level, part, problem, fix})
	}
	if s.Dialect != "" && !s.PassThrough && !s.Dense && s.TopLogprobs < enough {
		level, fix := Remark, "say top_logprobs: "+fmt.Sprint(enough)+" or more for this base"
		if s.TopLogprobsCap >= 0 && s.TopLogprobsCap < enough {
			level, fix = Warning, "choose a server that gives more"
			if s.CapFlag != "" {
				fix = fmt.Sprintf("start the server with %s %d, or more", s.CapFlag, enough)
			}
		}
		add(level, "rows", fmt.Sprintf("they hold the %d best log-probs; what tuning wants beyond them is guessed from the tail", s.TopLogprobs), fix)
	}
	if s.Dialect != "" && !s.PassThrough && s.Tokens != "ids" {
		add(Warning, "tokens", "the server names tokens by their "+s.Tokens+", not by ids: what is ambiguous fails a request", "choose a server that gives ids")
	}
	if s.PrefixCache == "no" {
		add(Warning, "prefix cache", "the server has none: every token costs it the whole prompt again", "turn it on at the server")
	}
	for _, note := range s.Notes {
		add(Remark, "server", note, "")
	}
	s.Verdict = verdict(s.Findings)
}

// fix says how to mend a fault of the server.
func (s *Server) fix(f Fault) string {
	switch f.Cause {
	case Missing:
		return "start the server, or correct bases." + s.Name + ".url; with wait: 10m serve waits for it"
	case Denied:
		return "put a key that the server knows into a variable of the environment, and name that as bases." + s.Name + ".api_key_env"
	case Differs:
		return "choose a base and pairs that share a tokenizer"
	case Unloaded:
		return "mend the models of its routes first"
	}
	return "correct bases." + s.Name + " in the configuration, or the server"
}

func (s *Server) facts() []fact {
	facts := []fact{{"url", s.URL}, {"serves", strings.Join(s.Serves, ", ")}}
	if s.Dialect != "" {
		facts = append(facts, fact{"dialect", strings.TrimSpace(s.Dialect + " " + s.Version)})
	}
	facts = append(facts, fact{"model", s.Model})
	if s.PassThrough {
		return append(facts, fact{"requests", "go straight through, for no route has experts over it"})
	}
	if s.Dialect == "" {
		return facts
	}
	if s.Context > 0 {
		facts = append(facts, fact{"context", humanize.Comma(int64(s.Context)) + " tokens"})
	}
	if s.VocabSize > 0 {
		facts = append(facts, fact{"vocabulary", humanize.Comma(int64(s.VocabSize)) + " ids scored"})
	}
	facts = append(facts, fact{"rows", s.rows()}, fact{"tokens as", s.Tokens}, fact{"paths by", s.paths()},
		fact{"prefix cache", s.PrefixCache}, fact{"isolation", s.Isolation}, fact{"speed", s.Rows.speed()}, fact{"epsilon", s.Rows.epsilon()})
	return facts
}

func (s *Server) rows() string {
	line := fmt.Sprintf("the %s best log-probs", humanize.Comma(int64(s.TopLogprobs)))
	if s.Dense {
		line = "dense"
	}
	switch {
	case s.TopLogprobsCap < 0:
		line += ", no cap"
	case s.CapFlag != "":
		line += fmt.Sprintf(", cap %s (%s)", humanize.Comma(int64(s.TopLogprobsCap)), s.CapFlag)
	default:
		line += fmt.Sprintf(", cap %s", humanize.Comma(int64(s.TopLogprobsCap)))
	}
	if s.Names > 0 {
		line += fmt.Sprintf("; and up to %d by name", s.Names)
	}
	return line
}

func (s *Server) paths() string {
	line := s.Scoring
	if s.Batch {
		line += ", several prompts a request"
	}
	if s.Stream {
		line += ", streamed continuations"
	}
	return line
}
