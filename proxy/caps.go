package proxy

// Caps is what a base server can do, found by probing it.
type Caps struct {
	Dialect string // vllm, llamacpp, sglang, openai
	Version string // of the server, empty if it does not tell
	Model   string // the name that is asked for
	// Identity changes when the server has another model under the same name. It is
	// part of every cache key.
	Identity string
	Context  int // tokens of prompt and answer; 0 if the server does not tell
	// VocabSize is how many ids the server scores; 0 if it does not tell.
	VocabSize int
	// TopLogprobs is k, the size of the rows that are asked for, and TopLogprobsCap
	// the most that the server gives, −1 for no cap. CapFlag is the server's flag
	// that raises it, such as --max-logprobs.
	TopLogprobs, TopLogprobsCap int
	CapFlag                     string
	// Dense says that rows are asked for whole.
	Dense bool
	// Names is how many log-probs can be asked for by id at a position; 0 is none.
	Names int
	// Tokens says what comes back for a token.
	Tokens TokenForm
	// Batch says that one request takes several prompts.
	Batch bool
	// Scoring says how the rows of a path are had.
	Scoring Scoring
	// Stream says that the base's own continuation can be streamed with its rows.
	Stream bool
	// PrefixCache tells of the server's cache of prefixes: yes, no or unknown.
	PrefixCache string
	// Isolation is what keeps the tenants' caches apart at the server, such as
	// cache_salt; empty is nothing.
	Isolation string
	// Notes say what is worse with this server than it could be, and how to mend it.
	Notes []string
}

// TokenForm is how a server names tokens in its answers.
type TokenForm string

const (
	TokenIDs   TokenForm = "ids"
	TokenBytes TokenForm = "bytes"
	TokenText  TokenForm = "text"
)

// Scoring is how a server gives the rows along a path.
type Scoring string

const (
	// ScoringList sends a list of prefixes and has one token generated behind each.
	ScoringList Scoring = "list of prefixes"
	// ScoringPass has one pass over the path behind a cached prefix.
	ScoringPass Scoring = "single pass"
	// ScoringGrammar forces the path through a grammar.
	ScoringGrammar Scoring = "grammar"
	// ScoringSingly sends one request a position.
	ScoringSingly Scoring = "one request a position"
)
