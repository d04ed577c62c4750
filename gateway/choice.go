package gateway

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway/openai"
)

// piece is what became certain of a choice: some text, the tokens behind it, and
// in its last piece why it ended.
type piece struct {
	choice int
	text   string
	tokens []told
	finish openai.FinishReason
}

// told is a token of the answer with what clients may ask about it.
type told struct {
	scored
	top    []scored
	whole  openai.Whole // in place of top
	offset int          // characters of the text before it
	starts int          // bytes of the text before it
	reason *openai.Explanation
}

// scored is a token and its log-prob in the mixed distribution.
type scored struct {
	id      eft.Token
	logprob float64
}

// choice turns the tokens of one text into pieces. Text is held while it may be
// part of a character or of a stop string; tokens are told with the text that
// releases them.
//
// Invariant: bytes and characters count all text that stream gave, of which the
// first sent bytes are in pieces.
type choice struct {
	plan   *plan
	index  int
	stream TextStream
	stop   stopper
	send   func(piece) error

	held              []told
	bytes, characters int
	sent              int
	stopped           bool
	sendErr           error
	first, last       time.Time // when its tokens came
}

// generate runs choice i, whose prompt may stand on a ladder, and sends its pieces in
// order, the last with a reason.
func (p *plan) generate(ctx context.Context, i int, from *ladder, send func(piece) error) (*choice, decode.Report, error) {
	c := &choice{plan: p, index: i, stream: p.stream(), stop: stopper{stops: p.stops}, send: send}
	request := p.request(i)
	if from != nil {
		request.Base = from
	}
	report, err := decode.Run(ctx, request, c.step)
	if err == nil && c.sendErr == nil {
		c.end(report.Finish)
	}
	if c.sendErr != nil {
		err = c.sendErr
	}
	return c, report, err
}

// stream begins the text of a choice.
func (p *plan) stream() TextStream {
	if p.special {
		return p.route.Text.(SpecialText).StreamSpecial()
	}
	return p.route.Text.Stream()
}

// step takes one token and says whether the text goes on.
func (c *choice) step(s decode.Step) bool {
	c.last = time.Now()
	if c.first.IsZero() {
		c.first = c.last
	}
	if c.plan.logprobs || c.plan.explain || c.plan.ids {
		c.held = append(c.held, c.tell(s))
	}
	if s.End && !c.plan.ignore {
		return true // the loop ends by itself
	}
	searched := s.Position+1 >= c.plan.params.MinTokens
	if text := c.take(c.stream.Push(s.Token), searched); text != "" {
		c.release(piece{text: text})
	}
	return !c.stopped && c.sendErr == nil
}

// end sends what is held and why the text ended.
func (c *choice) end(finish decode.Finish) {
	text := ""
	if !c.stopped {
		text = c.take(c.stream.Flush(), true)
	}
	if !c.stopped {
		text += c.stop.pass("")
	}
	reason := openai.FinishStop
	if finish == decode.FinishLength && !c.stopped {
		reason = openai.FinishLength
	}
	c.release(piece{text: text, finish: reason})
}

// take counts new text and returns what of it and of the held text can be sent. At a
// stop string it drops the tokens that begin behind the cut.
func (c *choice) take(text string, searched bool) string {
	c.bytes, c.characters = c.bytes+len(text), c.characters+utf8.RuneCountInString(text)
	if !searched {
		return c.stop.pass(text)
	}
	text, c.stopped = c.stop.push(text)
	if c.stopped {
		end := c.sent + len(text)
		c.held = slices.DeleteFunc(c.held, func(t told) bool { return t.starts >= end })
	}
	return text
}

// release sends a piece with the tokens that were held for it.
func (c *choice) release(out piece) {
	out.choice, out.tokens = c.index, c.held
	c.held = nil
	c.sent += len(out.text)
	c.sendErr = c.send(out)
}

// tell keeps what a client may ask about a token beyond the step.
func (c *choice) tell(s decode.Step) told {
	t := told{
		scored: scored{s.Token, s.Combination.LogProb(s.Token)},
		offset: c.characters, starts: c.bytes,
	}
	if c.plan.top > 0 {
		c.tellTop(&t, s.Combination)
	}
	if c.plan.explain {
		t.reason = c.explain(s)
	}
	return t
}

// tellTop keeps the log-probs of other tokens that the client asked for.
func (c *choice) tellTop(t *told, of *eft.Combination) {
	if c.plan.whole {
		whole := of.LogProbs()
		t.whole = make(openai.Whole, len(whole))
		for id, l := range whole {
			t.whole[id] = float32(l)
		}
		return
	}
	ids := c.plan.named
	if ids == nil {
		ids = of.Best(nil, c.plan.top)
	}
	t.top = make([]scored, 0, len(ids))
	for _, id := range ids {
		t.top = append(t.top, scored{id, of.LogProb(id)})
	}
}

// explain sets the models' log-probs of a token side by side.
func (c *choice) explain(s decode.Step) *openai.Explanation {
	route := c.plan.route
	e := &openai.Explanation{
		Choice: c.index, Token: c.plan.text(s.Token), ID: s.Token,
		Base:       openai.Logprob(s.Combination.BaseLogProbs()[s.Token]),
		Combined:   openai.Logprob(s.Combination.LogProb(s.Token)),
		BaseChoice: c.plan.text(s.Combination.BaseTop), BaseChoiceID: s.Combination.BaseTop,
		Tuned: map[string]openai.Logprob{}, Untuned: map[string]openai.Logprob{},
	}
	for i, expert := range route.Experts {
		pair := s.Rows.Pairs[i]
		if pair.Tuned.Dense() {
			e.Tuned[expert.Name] = openai.Logprob(route.Vocabulary.LogProb(pair.Tuned, s.Token))
		}
		if pair.Untuned.Dense() {
			e.Untuned[expert.Name] = openai.Logprob(route.Vocabulary.LogProb(pair.Untuned, s.Token))
		}
	}
	return e
}

// text is how a token is told to clients.
func (p *plan) text(id eft.Token) string {
	if p.names {
		return openai.TokenName(id)
	}
	return p.route.Text.Decode([]eft.Token{id})
}

// candidate tells a token by its text and bytes.
func (p *plan) candidate(s scored) openai.TopLogprob {
	return openai.TopLogprob{Token: p.text(s.id), Logprob: openai.Logprob(s.logprob), Bytes: p.route.Vocabulary.Piece(s.id)}
}
