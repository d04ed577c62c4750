package vllm

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

const (
	// namesAsked is more than the 128 names that vLLM takes.
	namesAsked = 256
	// namesBeside is how many a proof asks for, and namedTokens how many tokens: one is
	// computed with its prompt, and one behind it, as a stream's tokens are.
	namesBeside, namedTokens = 10, 2
	// A proof's first stream has shortProof tokens; each further one has four times as
	// many, up to longProof.
	shortProof, longProof = 16, 256
	// rowDistance bounds the total variation of a row that is computed beside others from
	// the same one alone: half precision moves log-probs by tenths of a nat.
	rowDistance = 0.2
)

// hazard is why names that a server takes are not used.
type hazard int

const (
	noHazard hazard = iota
	spoiling        // rows beside them are wrong
	unproven        // nobody saw rows beside them
)

// findNames asks for more names than vLLM takes. Servers that do not know the field
// ignore it or refuse the request. Whole rows need no names.
func (p *probe) findNames(ctx context.Context) error {
	if p.shape.dense && !p.graft {
		return nil
	}
	if err := p.countNames(ctx); err != nil || p.names == 0 || p.graft {
		return err
	}
	var err error
	if p.hazard, err = p.proveNames(ctx); p.hazard != noHazard || err != nil {
		p.names = 0
	}
	return err
}

func (p *probe) countNames(ctx context.Context) error {
	in := newRequest(p.model.ID, p.prompts[:1], 0)
	in.Names = p.firstNames(namesAsked)
	for range 2 {
		positions, _, err := complete(ctx, p.client, in)
		refused, err := refusal(err)
		if err != nil {
			return err
		}
		if refused == "" {
			if len(positions[0][0].listed) >= len(in.Names) {
				p.names = len(in.Names)
			}
			return nil
		}
		m := refusedCap.FindStringSubmatch(refused)
		if m == nil {
			return nil
		}
		// What the refusal promises is tried.
		n, err := strconv.Atoi(m[1])
		if err != nil || n < 1 || n >= len(in.Names) {
			return nil
		}
		in.Names = in.Names[:n]
	}
	return nil
}

// firstNames are n ids, or all there are.
func (p *probe) firstNames(n int) []eft.Token {
	if p.vocabulary > 0 {
		n = min(n, p.vocabulary)
	}
	names := make([]eft.Token, n)
	for i := range names {
		names[i] = eft.Token(i)
	}
	return names
}

// proveNames shows whether names leave the rows of other requests alone. vLLM's V1 model
// runner gives all requests of a batch the log-probs of the names that one of them asked
// for: the others' rows are the sampled token and padding, whoever sent them.
//
//	stream   |--●--●--●--●--●--●--●--|
//	names          sent |-----| answered
//
// The stream asks for its best tokens. Its first token is here when the names are sent,
// and some are still to come when they are answered: one of its steps computed both. So
// its rows tell. A stream that was too short for that is tried again with more tokens.
func (p *probe) proveNames(ctx context.Context) (hazard, error) {
	for limit := shortProof; limit <= longProof && (p.model.Context <= 0 || limit < p.model.Context); limit *= 4 {
		positions, beside, err := p.besideNames(ctx, limit)
		if err != nil {
			return unproven, failedProof(ctx, err)
		}
		if p.anyShort(positions) {
			return spoiling, nil
		}
		if !beside {
			continue
		}
		alone, err := p.readStream(ctx, len(positions))
		switch {
		case err != nil:
			return unproven, failedProof(ctx, err)
		case p.anyShort(alone) || !alike(positions, alone):
			return spoiling, nil
		}
		return noHazard, nil
	}
	return unproven, nil
}

// failedProof keeps what another try may not meet again. A server that cannot stream
// proves nothing.
func failedProof(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fault := (*proxy.Error)(nil)
	if !errors.As(err, &fault) {
		return err
	}
	switch fault.Fault {
	case proxy.Malformed, proxy.Refused, proxy.Failed:
		return nil
	}
	return err
}

// proofShape is the kind of rows that a proof's streams have: few, but more than one of a
// server whose rows have one, since that one is right even where names spoil.
func (p *probe) proofShape() shape {
	k := fewLogprobs
	if p.limit != wholeVocabulary {
		k = min(k, p.limit)
	}
	return shape{k: k, vocabulary: p.vocabulary}
}

func (p *probe) anyShort(positions []position) bool {
	shape := p.proofShape()
	return slices.ContainsFunc(positions, func(at position) bool {
		return padded(at.listed) || shape.short(at.listed) != nil
	})
}

// told is an event of a stream: tokens, or its end.
type told struct {
	positions []position
	err       error
}

// beginStream returns a stream's events. It ends with the channel, and with ctx.
func (p *probe) beginStream(ctx context.Context, limit int) (<-chan told, error) {
	in := newRequest(p.model.ID, p.prompts[:1], p.proofShape().k)
	in.MaxTokens, in.Stream = limit, true
	events, err := p.client.Stream(ctx, completions, in)
	if err != nil {
		return nil, err
	}
	c := &Continuation{text: &Text{server: &Server{client: p.client}}, events: events, left: limit}
	// No event waits for whoever takes it: they are at most one a token, and the end.
	out := make(chan told, limit+1)
	go func() {
		defer close(out)
		defer c.Close()
		for {
			if err := c.read(); err != nil {
				if err != io.EOF {
					err = p.client.Malformed("POST "+completions, "a stream failed: %v", err)
				}
				out <- told{err: err}
				return
			}
			if len(c.ready) > 0 {
				out <- told{positions: c.ready}
				c.ready = nil
			}
		}
	}()
	return out, nil
}

// readStream reads a whole stream.
func (p *probe) readStream(ctx context.Context, limit int) ([]position, error) {
	stream, err := p.beginStream(ctx, limit)
	if err != nil {
		return nil, err
	}
	var all []position
	for event := range stream {
		all = append(all, event.positions...)
		err = event.err
	}
	if err != io.EOF {
		return nil, err
	}
	return all, nil
}

// besideNames reads a stream, with names sent behind its first event. It returns all its
// tokens, or some more than there were when the names were answered, and whether those
// were computed later: a stream that took longer to begin than to go on was held back, and
// what it brought may be old.
func (p *probe) besideNames(ctx context.Context, limit int) (positions []position, beside bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	asked := time.Now()
	stream, err := p.beginStream(ctx, limit)
	if err != nil {
		cancel()
		return nil, false, err
	}
	first := time.Now()
	held := func() bool { return 2*time.Since(first) < first.Sub(asked) }
	defer func() {
		cancel()
		for range stream { // until nobody uses the stream any more
		}
	}()
	var answered chan error // nil until names are sent; its sender ends with ctx
	for answer, enough := false, limit; len(positions) < enough; {
		event, err, isEvent := next(stream, answered)
		switch {
		case isEvent && event.err == io.EOF:
			return positions, beside && !held(), nil
		case isEvent && event.err != nil:
			return nil, false, event.err
		case isEvent:
			positions, beside = append(positions, event.positions...), answer
			if answered == nil {
				answered = make(chan error, 1)
				go func() { answered <- p.askNames(ctx) }()
			}
		case err != nil:
			return nil, false, err
		default:
			answer, enough = true, min(limit, len(positions)+shortProof)
			answered = make(chan error) // nobody sends any more
		}
	}
	return positions, beside && !held(), nil
}

// next takes what comes first of a stream's event and the answer. Events that have come
// go first: those behind the answer came later than it.
func next(stream <-chan told, answered <-chan error) (event told, err error, isEvent bool) {
	select {
	case event = <-stream:
		return event, nil, true
	default:
	}
	select {
	case event = <-stream:
		return event, nil, true
	case err = <-answered:
		return told{}, err, false
	}
}

// askNames asks for names behind several prompts at once: a server with several engines
// spreads them.
func (p *probe) askNames(ctx context.Context) error {
	in := newRequest(p.model.ID, p.prompts[:shortPrompts], 0)
	in.MaxTokens, in.Names = namedTokens, p.firstNames(namesBeside)
	_, _, err := complete(ctx, p.client, in)
	return err
}

// alike compares the rows of two streams as long as they are behind the same tokens: at
// least half of what each lists must be the same, and nearly all of the probability.
func alike(a, b []position) bool {
	for i := range min(len(a), len(b)) {
		other := make(map[eft.Token]float64, len(b[i].listed))
		for _, s := range b[i].listed {
			other[s.ID] = math.Exp(float64(s.LogProb))
		}
		common, distance := 0, 0.0
		for _, s := range a[i].listed {
			probability := math.Exp(float64(s.LogProb))
			if theirs, ok := other[s.ID]; ok {
				common++
				delete(other, s.ID)
				probability -= theirs
			}
			distance += math.Abs(probability) / 2
		}
		for _, probability := range other {
			distance += probability / 2
		}
		if distance > rowDistance || 2*common < max(len(a[i].listed), len(b[i].listed)) {
			return false
		}
		if a[i].token != b[i].token {
			break
		}
	}
	return true
}
