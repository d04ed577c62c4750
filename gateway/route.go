package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway/openai"
)

// Route is a model as clients see it: a base, and the experts that tune it. It
// never changes once the server has it.
//
// A route with an Upstream has no experts: its requests go to the base's server as they
// are. Such a one has a name, its base's, a context if that is known, and bounds; the
// parts that decode are nil.
type Route struct {
	Name     string
	BaseName string // for /v1/models
	// Upstream nil is the decode loop. UpstreamModel is what the server behind it
	// calls the model.
	Upstream      Upstream
	UpstreamModel string
	// Fingerprint, for /v1/models, is another one where the route's answers would be
	// others: other models, weights or prompts. Empty is not told.
	Fingerprint string

	Base       decode.Base
	Prompter   Prompter // of the base
	Experts    []Expert
	Text       Text
	Vocabulary *eft.Vocabulary
	Ends       []eft.Token // end a text; the tuned model's, or the base's without experts
	Context    int         // tokens, the smallest among the parts; 0 only for an unknown upstream's
	Bounds     Bounds      // the zero value is DefaultBounds
	// Tail is what the base's truncated rows mean for the ids they do not list; empty
	// is eft.TailUntuned.
	Tail eft.Tail
	// TopLogprobs caps top_logprobs of chat, CompletionLogprobs logprobs of text
	// completions. Up to openai.MaxNamed log-probs that are named by id are always told.
	TopLogprobs, CompletionLogprobs int
	// Drafters by name. A request that names none gets auto's drafts where there is one.
	Drafters map[openai.Draft]decode.Drafter
	Info     openai.TokenizerInfo
	Created  int64 // seconds since 1970
}

// Expert is one pair of a route.
type Expert struct {
	Name           string
	Small          decode.Small
	Tuned, Untuned Prompter
	Weight         float64 // where the request gives none
}

// Bounds are a route's policy: least and most, both included. Weights are policy
// because the same formula can undo a model's alignment.
type Bounds struct {
	Strength, Weight, Base [2]float64
}

// DefaultBounds allow twice the papers' strength and no negative weight.
func DefaultBounds() Bounds {
	return Bounds{Strength: [2]float64{0, 2}, Weight: [2]float64{0, 2}, Base: [2]float64{0, 2}}
}

// Prompter turns a conversation into one role's token prefix.
type Prompter interface {
	// Prompt fails if the role's template refuses the messages; what it says is
	// for the client.
	Prompt(ctx context.Context, messages []openai.Message) ([]eft.Token, error)
}

// Text turns text into tokens and back.
type Text interface {
	// Encode adds the tokens that begin every text of the model if special is set.
	Encode(text string, special bool) []eft.Token
	// Decode keeps special tokens.
	Decode(ids []eft.Token) string
	// Stream begins a text whose tokens come one by one, special ones unseen.
	Stream() TextStream
}

// SpecialText is a Text that can also show special tokens; on other routes
// skip_special_tokens can only be true.
type SpecialText interface {
	// StreamSpecial is Stream with special tokens in the text.
	StreamSpecial() TextStream
}

// TextStream gives a text as its tokens come.
type TextStream interface {
	// Push returns the text that id made certain, perhaps none: bytes of a
	// character are held until it is whole.
	Push(id eft.Token) string
	// Flush returns what is held.
	Flush() string
}

// validate panics if the route is wired wrongly.
func (r *Route) validate() {
	if r.Upstream != nil {
		r.validateUpstream()
		return
	}
	switch {
	case r.Name == "" || r.Base == nil || r.Prompter == nil || r.Text == nil || r.Vocabulary == nil:
		panic(fmt.Sprintf("gateway: route %q lacks a part", r.Name))
	case r.Context < 2:
		panic(fmt.Sprintf("gateway: route %q has a context of %d tokens", r.Name, r.Context))
	}
	if err := (eft.Mix{Tail: r.Tail}).Validate(); err != nil {
		panic(fmt.Sprintf("gateway: route %q: %v", r.Name, err))
	}
	for _, e := range r.Experts {
		if e.Name == "" || e.Small == nil || e.Tuned == nil || e.Untuned == nil {
			panic(fmt.Sprintf("gateway: expert %q of route %q lacks a part", e.Name, r.Name))
		}
	}
}

// validateUpstream panics if a route that passes requests on lacks what it needs for
// that, or has what it would never use.
func (r *Route) validateUpstream() {
	decodes := r.Base != nil || r.Prompter != nil || r.Text != nil || r.Vocabulary != nil || len(r.Experts) > 0
	switch {
	case r.Name == "" || r.UpstreamModel == "":
		panic(fmt.Sprintf("gateway: route %q with an upstream lacks a name, its own or the upstream's", r.Name))
	case decodes:
		panic(fmt.Sprintf("gateway: route %q has an upstream and parts that decode", r.Name))
	}
}

// bounds are the route's policy.
func (r *Route) bounds() Bounds {
	if r.Bounds == (Bounds{}) {
		return DefaultBounds()
	}
	return r.Bounds
}

// maxLogprobs is the most that a completion tells at a position.
func (r *Route) maxLogprobs() int { return min(r.CompletionLogprobs, r.Vocabulary.Size()) }

// weights are what one request applies on a route.
type weights struct {
	strength float64
	experts  map[string]float64 // by name: strength times the expert's weight
	mix      eft.Mix            // pairs in the order of the route's experts
}

// weigh holds the knob to the route's experts and bounds.
func (r *Route) weigh(t openai.Tuning) (weights, error) {
	w, bounds := weights{strength: t.Strength.Or(1), experts: map[string]float64{}}, r.bounds()
	if err := within("tuning.strength", w.strength, bounds.Strength); err != nil {
		return w, err
	}
	w.mix = eft.Mix{Base: t.Base.Or(1), Plausibility: t.Plausibility.Or(0), Tail: r.Tail}
	if t.Base.Set {
		if err := within("tuning.base", w.mix.Base, bounds.Base); err != nil {
			return w, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Experts)) {
		known := slices.ContainsFunc(r.Experts, func(e Expert) bool { return e.Name == name })
		if !known {
			return w, openai.BadRequest("tuning.experts."+name, openai.CodeInvalidValue, "route %s has no expert %q; it has %s", r.Name, name, r.expertNames())
		}
		if err := within("tuning.experts."+name, t.Experts[name], bounds.Weight); err != nil {
			return w, err
		}
	}
	for _, e := range r.Experts {
		alpha := e.Weight
		if asked, ok := t.Experts[e.Name]; ok {
			alpha = asked
		}
		alpha *= w.strength
		w.experts[e.Name] = alpha
		w.mix.Pairs = append(w.mix.Pairs, eft.Weights{Tuned: alpha, Untuned: alpha})
	}
	return w, nil
}

func (r *Route) expertNames() string {
	if len(r.Experts) == 0 {
		return "none"
	}
	names := ""
	for i, e := range r.Experts {
		if i > 0 {
			names += ", "
		}
		names += e.Name
	}
	return names
}

// within names the knob and its bounds; NaN is in no bounds.
func within(param string, x float64, bounds [2]float64) error {
	if x >= bounds[0] && x <= bounds[1] {
		return nil
	}
	return openai.BadRequest(param, openai.CodeInvalidValue, "%s must be from %v to %v on this route, got %v", param, bounds[0], bounds[1], x)
}

// drafter chooses by name; auto takes what the route has, off if it has none.
func (r *Route) drafter(asked openai.Optional[openai.Draft]) (openai.Draft, error) {
	draft := asked.Or(openai.DraftAuto)
	if _, ok := r.Drafters[draft]; ok {
		return draft, nil
	}
	if draft == openai.DraftAuto || draft == openai.DraftOff {
		return openai.DraftOff, nil
	}
	return "", openai.BadRequest("tuning.draft", openai.CodeInvalidValue, "route %s has no drafter %q; use auto or off", r.Name, draft)
}

// model describes the route. One with an upstream has nothing to turn.
func (r *Route) model() openai.Model {
	m := openai.Model{
		ID: r.Name, Object: openai.ObjectModel, Created: r.Created, OwnedBy: "graft",
		MaxModelLen: r.Context, Fingerprint: r.Fingerprint, Base: r.BaseName,
	}
	if r.Upstream != nil {
		return m
	}
	m.VocabSize, m.MaxLogprobs = r.Vocabulary.Size(), r.maxLogprobs()
	m.Experts = map[string]float64{}
	for _, e := range r.Experts {
		m.Experts[e.Name] = e.Weight
	}
	bounds := r.bounds()
	m.Bounds = map[string][2]float64{"strength": bounds.Strength, "experts": bounds.Weight, "base": bounds.Base}
	return m
}
