package doctor

// Model is a model folder and one way to run it.
type Model struct {
	Name     string    `json:"name"` // unique in a report; what routes refer to
	Verdict  Level     `json:"verdict"`
	Findings []Finding `json:"findings"`

	Folder       string      `json:"folder"`
	Graph        string      `json:"graph"` // file in the folder
	Serves       []string    `json:"serves"`
	Architecture string      `json:"architecture"`
	ModelType    string      `json:"model_type"`
	Layers       int         `json:"layers"`
	Parameters   int64       `json:"parameters"`
	DType        string      `json:"dtype"` // of the weights
	CacheDType   string      `json:"cache_dtype"`
	LogitsDType  string      `json:"logits_dtype"`
	KVStrategy   string      `json:"kv_strategy"`           // shared or grow
	Notes        []string    `json:"graph_notes,omitempty"` // what is special about the graph
	Provider     string      `json:"provider"`              // that computes it; empty if it is not loaded
	ProviderNote string      `json:"provider_note,omitempty"`
	Memory       Memory      `json:"memory"`
	LoadSeconds  float64     `json:"load_seconds"`
	Context      int         `json:"context"`
	Vocabulary   *Vocabulary `json:"vocabulary"` // null if the tokenizer cannot be read
	EndTokens    []Token     `json:"end_tokens"`
	ChatTemplate Template    `json:"chat_template"`
	Probe        *Probe      `json:"probe"` // null if it did not run

	Loaded  bool     `json:"-"`
	Chatted bool     `json:"-"` // a route speaks with its template
	Speaks  bool     `json:"-"` // texts of a route end with its end tokens
	Remarks []string `json:"-"` // on what its folder configures
	Others  []string `json:"-"` // how its vocabulary differs from another folder's
	Faults  []Fault  `json:"-"`
}

// Memory is what a model takes.
type Memory struct {
	Weights      int64 `json:"weights_bytes"`
	CachePerText int64 `json:"cache_bytes_full_context"` // keys and values of one text as long as the context
	CachePerStep int64 `json:"cache_bytes_per_token"`
	Growth       int64 `json:"process_growth_bytes"` // of the process, by loading and probing it
}

// needed is what the model takes with one long text.
func (m Memory) needed() int64 { return max(m.Weights+m.CachePerText, m.Growth) }

// Vocabulary is a tokenizer's, and how many ids the graph scores.
type Vocabulary struct {
	Size        int    `json:"size"`    // one more than the highest id with a token
	Rows        int    `json:"rows"`    // scores in a row; 0 if the graph did not open
	Padding     int    `json:"padding"` // ids that are scored and have no token: masked
	Fingerprint string `json:"fingerprint"`
}

// Token is an id and what it stands for.
type Token struct {
	ID    int    `json:"id"`
	Piece string `json:"piece"`
}

// Template is a folder's chat template, and what it does with small conversations.
type Template struct {
	// Status is ok, refused (it does not render a user's turn), broken (it cannot be
	// read), none, or empty if there is no folder to look into.
	Status string  `json:"status"`
	Source string  `json:"source,omitempty"` // the file it is in
	Trials []Trial `json:"trials"`
	// Unknown are the marks it writes that are no token of the tokenizer.
	Unknown []string `json:"unknown_marks,omitempty"`
}

// The values of Template.Status.
const (
	TemplateOK      = "ok"
	TemplateRefused = "refused"
	TemplateBroken  = "broken"
	TemplateNone    = "none"
)

// Trial is a small conversation that was rendered.
type Trial struct {
	Conversation string `json:"conversation"` // user, system or tools
	Tokens       int    `json:"tokens"`
	Refusal      string `json:"refusal,omitempty"` // the template's own words
	Ignored      bool   `json:"ignored,omitempty"` // what the conversation is named for leaves no trace
}

// The conversations that are tried.
const (
	TrialUser   = "user"
	TrialSystem = "system"
	TrialTools  = "tools"
)
