package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway/openai"
)

// maxTopEntries bounds the log-probs one answer may hold: choices × tokens × best
// tokens asked for.
const maxTopEntries = 1 << 21

// plan is a validated request: everything that [Server.run] needs, and nothing that
// can still be wrong.
type plan struct {
	route    *Route
	weights  weights
	params   eft.Params // with the seed of choice 0
	draft    openai.Draft
	prompts  []prompt // choice i answers prompt i / n
	n        int
	stops    []string
	ignore   bool // end tokens
	logprobs bool
	top      int  // best tokens told for each position
	names    bool // tokens are told as ids
	explain  bool
	tenant   string
}

// prompt is one text's beginning as every model sees it.
type prompt struct {
	base      []eft.Token
	experts   []decode.PairPrompts
	maxTokens int
}

// choices is how many texts the plan asks for.
func (p *plan) choices() int { return len(p.prompts) * p.n }

// promptTokens counts the base's prompts.
func (p *plan) promptTokens() int {
	n := 0
	for _, prompt := range p.prompts {
		n += len(prompt.base)
	}
	return n
}

// plan holds what chat and text completions share to the route that it names.
func (s *Server) plan(r *http.Request, g *openai.Generation) (*plan, error) {
	name, knob, err := openai.ResolveTuning(g.Model, r.Header, g.Tuning)
	if err != nil {
		return nil, err
	}
	route, err := s.route(name)
	if err != nil {
		return nil, err
	}
	note(r.Context(), func(n *notes) { n.route = route.Name })
	p := &plan{
		route: route, n: g.N, stops: g.Stop, ignore: g.IgnoreEOS, names: g.ReturnTokensAsTokenIDs,
		explain: knob.Explain.Or(false), tenant: tenantOf(r.Context()),
	}
	if p.weights, err = route.weigh(knob); err != nil {
		return nil, err
	}
	if p.draft, err = route.drafter(knob.Draft); err != nil {
		return nil, err
	}
	if err := g.CheckVocabulary(route.Vocabulary.Size()); err != nil {
		return nil, err
	}
	p.params = eft.Params{
		Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, MinP: g.MinP,
		Presence: g.PresencePenalty, Frequency: g.FrequencyPenalty, Bias: g.LogitBias,
		Seed: uint64(seedOf(g.Seed)), Ends: route.Ends, MinTokens: g.MinTokens,
	}
	return p, nil
}

// seedOf draws a seed where the client gave none. JavaScript clients can send it
// back: it is below 2⁵³.
func seedOf(asked openai.Optional[int64]) int64 {
	if asked.Set {
		return asked.Value
	}
	return rand.Int64N(1 << 53)
}

// limit gives each prompt its room, from max_tokens and the context. Param names
// the field that the prompt came in.
func (p *plan) limit(param string, asked openai.Optional[int], minTokens int) error {
	most := 0
	for i := range p.prompts {
		prompt := &p.prompts[i]
		longest := prompt.longest()
		room := p.route.Context - longest
		if room < 1 || asked.Or(1) > room {
			return openai.ContextTooLong(param, longest, asked.Or(1), p.route.Context)
		}
		prompt.maxTokens = asked.Or(room)
		if minTokens > prompt.maxTokens {
			return openai.BadRequest("min_tokens", openai.CodeInvalidValue, "min_tokens is %d, but the answer can have at most %d tokens", minTokens, prompt.maxTokens)
		}
		most = max(most, prompt.maxTokens)
	}
	if entries := p.choices() * most * p.top; entries > maxTopEntries {
		return openai.BadRequest("max_tokens", openai.CodeInvalidValue,
			"the answer could hold %d log-probs (choices × tokens × logprobs), at most %d are told; lower max_tokens or logprobs", entries, maxTopEntries)
	}
	return nil
}

// longest is the length of the longest of the models' prompts.
func (p *prompt) longest() int {
	longest := len(p.base)
	for _, e := range p.experts {
		longest = max(longest, len(e.Tuned), len(e.Untuned))
	}
	return longest
}

// capTop holds the number of best tokens asked for to the cap of the route.
func (p *plan) capTop(param string, asked, most int) error {
	if asked > most {
		return openai.BadRequest(param, openai.CodeInvalidValue, "%s must be at most %d on route %s, got %d", param, most, p.route.Name, asked)
	}
	p.top = asked
	return nil
}

// chatPrompt renders messages for every model of the route, once per template.
func (p *plan) chatPrompt(ctx context.Context, messages []openai.Message) error {
	rendered := map[Prompter][]eft.Token{}
	render := func(with Prompter) ([]eft.Token, error) {
		tokens, ok := rendered[with]
		if ok {
			return tokens, nil
		}
		tokens, err := with.Prompt(ctx, messages)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, openai.BadRequest("messages", openai.CodeInvalidValue, "no prompt can be made of the messages: %v", err)
		}
		rendered[with] = tokens
		return tokens, nil
	}
	base, err := render(p.route.Prompter)
	if err != nil {
		return err
	}
	text := prompt{base: base}
	for _, e := range p.route.Experts {
		var pair decode.PairPrompts
		if pair.Tuned, err = render(e.Tuned); err != nil {
			return err
		}
		if pair.Untuned, err = render(e.Untuned); err != nil {
			return err
		}
		text.experts = append(text.experts, pair)
	}
	p.prompts = []prompt{text}
	return nil
}

// plainPrompts gives every model of the route the same prompts.
func (p *plan) plainPrompts(prompts []openai.Prompt) error {
	for _, given := range prompts {
		tokens := given.Tokens
		if tokens == nil {
			tokens = p.route.Text.Encode(given.Text, true)
		}
		for _, id := range tokens {
			if p.route.Vocabulary.Piece(id) == nil {
				return openai.BadRequest("prompt", openai.CodeInvalidValue, "prompt has id %d, for which the vocabulary has no token", id)
			}
		}
		text := prompt{base: tokens}
		for range p.route.Experts {
			text.experts = append(text.experts, decode.PairPrompts{Tuned: tokens, Untuned: tokens})
		}
		p.prompts = append(p.prompts, text)
	}
	return nil
}

// request is what the decode loop takes for choice i.
func (p *plan) request(i int) decode.Request {
	text := p.prompts[i/p.n]
	request := decode.Request{
		Vocabulary: p.route.Vocabulary, Tenant: p.tenant, Base: p.route.Base, Prompt: text.base,
		Mix: p.weights.mix, Params: p.params, Drafter: p.route.Drafters[p.draft],
		MaxTokens: text.maxTokens, IgnoreEnd: p.ignore,
	}
	request.Params.Seed = eft.ChoiceSeed(p.params.Seed, i)
	for j, e := range p.route.Experts {
		request.Experts = append(request.Experts, decode.Expert{Small: e.Small, Prompts: text.experts[j]})
	}
	return request
}
