package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway/openai"
)

// maxTopEntries bounds the log-probs one answer may hold: choices × tokens × tokens
// told at each position. Where those are whole vocabularies, so that they need no more
// than four bytes each, 32 rows over the largest fit.
const maxTopEntries = 1 << 23

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
	top      int         // tokens told for each position
	named    []eft.Token // are told in place of the best ones
	whole    bool        // all ids are told, by name
	names    bool        // tokens are told as ids
	ids      bool        // the answer's tokens are told
	special  bool        // they are seen in the text
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
		special: g.KeepSpecialTokens,
		explain: knob.Explain.Or(false), tenant: salted(tenantOf(r.Context()), g.CacheSalt),
	}
	if p.weights, err = route.weigh(knob); err != nil {
		return nil, err
	}
	if p.draft, err = route.drafter(knob.Draft); err != nil {
		return nil, err
	}
	if _, can := route.Text.(SpecialText); p.special && !can {
		return nil, openai.BadRequest("skip_special_tokens", openai.CodeUnsupported, "route %s cannot show special tokens; leave skip_special_tokens out or send true", route.Name)
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
	allowed := maxTopEntries
	if !p.whole {
		allowed /= 4 // each holds its id and perhaps its text, too
	}
	if entries := p.choices() * most * p.top; entries > allowed {
		return openai.BadRequest("max_tokens", openai.CodeInvalidValue,
			"the answer could hold %d log-probs (choices × tokens × logprobs), at most %d are told; lower max_tokens or logprobs", entries, allowed)
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

// tellChat says what a chat answer tells about its tokens.
func (p *plan) tellChat(request *openai.ChatRequest) error {
	p.logprobs, p.top = request.Logprobs, request.TopLogprobs
	if most := p.route.TopLogprobs; p.top > most {
		return openai.BadRequest("top_logprobs", openai.CodeInvalidValue, "top_logprobs must be at most %d on route %s, got %d", most, p.route.Name, p.top)
	}
	return nil
}

// tellText says what a text completion tells about its tokens. The cap is told in the
// words of vLLM, whose clients read it from there.
func (p *plan) tellText(request *openai.CompletionRequest) error {
	p.logprobs, p.ids, p.named = request.Logprobs.Set, request.ReturnTokenIDs, request.Named
	if p.top = len(p.named); p.top > 0 {
		return nil
	}
	size, most := p.route.Vocabulary.Size(), p.route.maxLogprobs()
	if p.top = request.Logprobs.Value; p.top == openai.WholeVocabulary {
		p.top = size
	}
	if p.top > most {
		return openai.BadRequest("logprobs", openai.CodeInvalidValue,
			"Requested sample logprobs of %d, which is greater than max allowed: %d on route %s", p.top, most, p.route.Name)
	}
	p.whole = p.names && p.top == size
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

// plainPrompts gives every model of the route the same prompts. Special adds to texts
// what begins every text of the model.
func (p *plan) plainPrompts(prompts []openai.Prompt, special bool) error {
	for i, given := range prompts {
		tokens := given.Tokens
		if tokens == nil {
			tokens = p.route.Text.Encode(given.Text, special)
		}
		if len(tokens) == 0 {
			return openai.BadRequest("prompt", openai.CodeInvalidValue, "prompt %d has no token", i)
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
