package doctor

// Route is a model as clients see it, and whether its parts fit together.
type Route struct {
	Name     string    `json:"name"`
	Verdict  Level     `json:"verdict"`
	Findings []Finding `json:"findings"`

	Base      string   `json:"base"`             // a model's name, as those below
	Server    string   `json:"server,omitempty"` // the base server's, which is Base then
	Experts   []Expert `json:"experts"`
	Speaker   string   `json:"speaker"` // whose template and end tokens count
	Context   int      `json:"context"` // the smallest of the parts'
	ContextOf string   `json:"context_of"`
	EndTokens []Token  `json:"end_tokens"`
	Prompts   []Prompt `json:"prompts"`

	Faults []Fault `json:"-"`
}

// Expert is a pair and its weight.
type Expert struct {
	Name    string  `json:"name"`
	Tuned   string  `json:"tuned"`
	Untuned string  `json:"untuned"`
	Weight  float64 `json:"weight"`
}

// Prompt is what a role sees of a user's turn.
type Prompt struct {
	Role   string `json:"role"`   // base, tuned or untuned
	How    string `json:"how"`    // chat, plain or a file
	Tokens int    `json:"tokens"` // 0 if it was not rendered
}

// models lists the route's models once each: the base, then the pairs in order.
func (r *Route) models() []string {
	names := []string{r.Base}
	for _, e := range r.Experts {
		names = append(names, e.Tuned, e.Untuned)
	}
	return names
}
