package vllm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

const (
	// tooMany is a number of log-probs that no vocabulary has.
	tooMany = 1 << 30
	// shortPrompts is how many prompts of one token a probe has.
	shortPrompts = 8
	// longPrompt fills two of the largest blocks that vLLM caches (128 tokens on a
	// processor) and begins another.
	longPrompt = 272
	// fewLogprobs is how many a probe asks for where more are not needed.
	fewLogprobs = 20
	// probeBias is what a probe adds to a token's logit: it would be the best.
	probeBias = 100
	// massEpsilon is how much more than 1 a row's probabilities may sum to.
	massEpsilon = 1e-2
)

// Refusals, of vLLM 0.8 to 0.33 and Graft. The first is of a request for the whole
// vocabulary; the second of any number; the third is older.
var (
	refusedWhole = regexp.MustCompile(`Requested sample logprobs of (\d+), which is greater than max allowed: (\d+)`)
	refusedCap   = regexp.MustCompile(`max allowed: (\d+)|more than (\d+) logprobs`)
	refusedSalt  = regexp.MustCompile(`cache_salt.*non-empty`)
)

// probe finds out what one model of a server can do.
type probe struct {
	client  *proxy.Client
	model   model
	graft   bool
	prompts [][]eft.Token // of one token each, and a long one

	shape       shape
	limit       int // most log-probs, −1 for no limit
	vocabulary  int // 0 if the server does not tell
	names       int
	hazard      hazard // why names is 0 nevertheless
	salted      bool
	prefixCache string
}

func (p *probe) run(ctx context.Context, topLogprobs int) error {
	if err := p.findLimit(ctx); err != nil {
		return err
	}
	if err := p.choose(topLogprobs); err != nil {
		return err
	}
	if err := p.checkRows(ctx); err != nil {
		return err
	}
	if err := p.findNames(ctx); err != nil {
		return err
	}
	return p.findSalt(ctx)
}

// findLimit asks for the whole vocabulary and reads the refusal, if it is one. Servers
// older than that request are asked for too many.
func (p *probe) findLimit(ctx context.Context) error {
	if p.graft {
		p.vocabulary, p.limit = p.model.VocabSize, p.model.MaxLogprobs
		if p.limit >= p.vocabulary || p.limit < 0 {
			p.limit = wholeVocabulary
		}
		return nil
	}
	listed, said, err := p.ask(ctx, wholeVocabulary)
	if err != nil {
		return err
	}
	if m := refusedWhole.FindStringSubmatch(said); m != nil {
		p.vocabulary, _ = strconv.Atoi(m[1])
		p.limit, _ = strconv.Atoi(m[2])
		return nil
	}
	if said != "" {
		if listed, said, err = p.ask(ctx, tooMany); err != nil {
			return err
		}
	}
	if said == "" {
		p.vocabulary, p.limit = len(listed), wholeVocabulary
		return p.check(shape{k: len(listed), vocabulary: len(listed), dense: true}, listed)
	}
	m := refusedCap.FindStringSubmatch(said)
	if m == nil {
		return fmt.Errorf("the server refuses log-probs, without saying how many it gives: %s", said)
	}
	p.limit, err = strconv.Atoi(m[1] + m[2])
	return err
}

// ask asks for log-probs behind one prompt and returns what was listed, or why the
// server refused. The number listed may be that of the vocabulary, which is not known
// yet: only padding tells a row that is short.
func (p *probe) ask(ctx context.Context, logprobs int) (listed []eft.Scored, refused string, err error) {
	lists, _, err := completeRows(ctx, p.client, newRequest(p.model.ID, p.prompts[:1], logprobs), func(listed []eft.Scored) error {
		if padded(listed) {
			return errPadded
		}
		return nil
	})
	if refused, err := refusal(err); refused != "" || err != nil {
		return nil, refused, err
	}
	return lists[0], "", nil
}

// refusal tells a request that the server finds wrong, with what it says of it, from
// other failures.
func refusal(err error) (string, error) {
	fault := (*proxy.Error)(nil)
	if errors.As(err, &fault) && (fault.Status == 400 || fault.Status == 422) {
		return fault.Error(), nil
	}
	return "", err
}

// checkRows sends the prompts as a list and checks that the rows are log-probs of the
// model itself. The long prompt comes twice, which shows whether it was cached. Few
// log-probs a row are enough for it, and cheap.
func (p *probe) checkRows(ctx context.Context) error {
	few := shape{k: min(p.shape.k, fewLogprobs), vocabulary: p.vocabulary, sparse: p.graft}
	lists, _, err := completeRows(ctx, p.client, newRequest(p.model.ID, p.prompts, few.k), few.short)
	if err != nil {
		return err
	}
	for _, listed := range lists {
		if err := p.check(few, listed); err != nil {
			return err
		}
	}
	last := len(p.prompts) - 1
	again := newRequest(p.model.ID, p.prompts[last:], few.k)
	biased := p.unlikely(lists[last])
	if !p.graft {
		again.Bias = map[eft.Token]float64{biased: probeBias}
	}
	repeated, usage, err := completeRows(ctx, p.client, again, few.short)
	if err != nil {
		return err
	}
	if !p.graft && best(repeated[0]).ID == biased {
		return errors.New("the server's log-probs are those behind penalties, bias and filters: start vLLM with --logprobs-mode raw_logprobs (the default), version 0.8 or newer with its V1 engine")
	}
	p.prefixCache = "unknown"
	if d := usage.Details; d != nil && d.Cached != nil {
		p.prefixCache = "no"
		if *d.Cached > 0 {
			p.prefixCache = "yes"
		}
	}
	return nil
}

// check wants the log-probs of a distribution. Logits have any mass.
func (p *probe) check(shape shape, listed []eft.Scored) error {
	row, err := shape.row(slices.Clone(listed))
	if err != nil {
		return p.client.Malformed("POST "+completions, "%v", err)
	}
	values := row.LogProbs
	if row.Dense() {
		values = row.Scores
	}
	mass, top := 0.0, math.Inf(-1)
	for _, v := range values {
		mass += math.Exp(float64(v))
		top = max(top, float64(v))
	}
	// The best token has no less than the mean.
	low := p.vocabulary > 0 && math.Exp(top)*float64(p.vocabulary) < 1-massEpsilon
	if low || mass > 1+massEpsilon || row.Dense() && mass < 1-massEpsilon {
		return fmt.Errorf("the server's log-probs are not those of a distribution (their mass is %.3g): start vLLM with --logprobs-mode raw_logprobs (the default)", mass)
	}
	return nil
}

// best is the first of the most probable.
func best(listed []eft.Scored) eft.Scored {
	return slices.MaxFunc(listed, func(a, b eft.Scored) int {
		switch {
		case a.LogProb < b.LogProb:
			return -1
		case a.LogProb > b.LogProb:
			return 1
		}
		return 0
	})
}

// unlikely is a token of the prompts that is far from the best of listed.
func (p *probe) unlikely(listed []eft.Scored) eft.Token {
	top := best(listed)
	var least eft.Scored
	for i, prompt := range p.prompts[:2] {
		scored := eft.Scored{ID: prompt[0], LogProb: float32(math.Inf(-1))}
		if at := slices.IndexFunc(listed, func(s eft.Scored) bool { return s.ID == prompt[0] }); at >= 0 {
			scored = listed[at]
		}
		if i == 0 || least.ID == top.ID || scored.ID != top.ID && scored.LogProb < least.LogProb {
			least = scored
		}
	}
	return least.ID
}

// findSalt sends an empty salt: a server that knows salts refuses it.
func (p *probe) findSalt(ctx context.Context) error {
	if p.graft {
		p.salted = true
		return nil
	}
	in := newRequest(p.model.ID, p.prompts[:1], 0)
	empty := ""
	in.Salt = &empty
	_, _, err := complete(ctx, p.client, in)
	refused, err := refusal(err)
	p.salted = refusedSalt.MatchString(refused)
	return err
}

// probePrompts are prompts of one token each and a long one, in ids that every
// vocabulary has.
func probePrompts(vocabulary *eft.Vocabulary, context int) [][]eft.Token {
	var ids []eft.Token
	for id := eft.Token(0); len(ids) < shortPrompts; id++ {
		if vocabulary == nil || vocabulary.Piece(id) != nil || int(id) >= vocabulary.Size() {
			ids = append(ids, id)
		}
	}
	length := longPrompt
	if context > 0 {
		length = max(1, min(length, context/2))
	}
	long := make([]eft.Token, length)
	for i := range long {
		long[i] = ids[(i*i+i/shortPrompts)%shortPrompts]
	}
	prompts := make([][]eft.Token, 0, shortPrompts+1)
	for _, id := range ids {
		prompts = append(prompts, []eft.Token{id})
	}
	return append(prompts, long)
}
