package onnx

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// probeTokens is how many tokens a new session is tried on.
const probeTokens = 4

// probe runs a new session on a few tokens, so that a graph that cannot be run as
// it was understood is refused when it is loaded and not at the first request. Where
// the layout was told from unusual names and shapes, it also compares the rows of
// tokens that come together with those of tokens that come one by one: past and
// present that are taken for each other, or positions in a wrong place, show there.
func (s *Session) probe(src Source) error {
	ctx := context.Background()
	q, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer q.Close()
	tokens := s.trial()
	refuse := func(err error) error {
		return &RefusedError{Model: src.String(), Why: fmt.Sprintf("it loads, but does not run as its inputs promise: %v", s.file.explain(err, s.env.version))}
	}
	together, err := q.collect(ctx, tokens, len(tokens))
	if err != nil {
		return refuse(err)
	}
	if slices.ContainsFunc(together, func(row []float64) bool { return slices.ContainsFunc(row, math.IsNaN) }) {
		return &RefusedError{Model: src.String(), Why: "its scores are not numbers: half precision overflows in it, or its weights are broken; choose another variant of the graph, such as the one in float32, or fetch it again"}
	}
	if len(tokens) < 2 {
		return nil
	}
	if err := q.Truncate(1); err != nil {
		return err
	}
	further, err := q.collect(ctx, tokens[1:], len(tokens)-1)
	if err != nil {
		return refuse(err)
	}
	switch {
	case s.layout.inferred:
		err = s.probeRows(ctx, src, q, tokens, together, further)
	case s.layout.strategy == Grow:
		err = s.probeOrder(ctx, q, tokens[:1], together, further)
	}
	if err != nil {
		return err
	}
	if s.options.ExactShapes && s.Provider() == CPU && !s.layout.alone {
		return s.probeShapes(ctx)
	}
	return nil
}

// trial are the tokens that the session is tried on.
func (s *Session) trial() []eft.Token {
	tokens := make([]eft.Token, min(probeTokens, s.Context()))
	for i := range tokens {
		tokens[i] = eft.Token(i % s.layout.vocab)
		if i < len(s.options.Trial) && int(s.options.Trial[i]) < s.layout.vocab {
			tokens[i] = s.options.Trial[i]
		}
	}
	return tokens
}

// probeOrder finds out whether a token's row depends on tokens after it in the same run:
// graphs that were traced for a single token, as the half for texts that go on of a
// decoder in two files is, have all tokens of a run stand at the end of the text.
// GroupQueryAttention always has an order, and need not be tried.
func (s *Session) probeOrder(ctx context.Context, q *Sequence, begin []eft.Token, together, further [][]float64) error {
	if err := q.Truncate(0); err != nil {
		return err
	}
	first, err := q.collect(ctx, begin, 1)
	if err != nil {
		return err
	}
	// How far rows of one text lie apart stands for what the tokens between them change.
	most := s.tolerance(farthestRow(together[1:], together))
	switch {
	case farthestRow(first, together) > most:
		s.layout.stepwise = true
	case farthestRow(further, together[1:]) > most:
		s.layout.single, s.layout.alone = true, s.layout.alone || s.options.ExactShapes
	}
	return nil
}

// shapeTokens is how many tokens are grouped in different ways to see whether rows
// depend on it.
const shapeTokens = 33

// shapeGroups are those ways. Kernels choose how they sum by the number of rows, so
// every small number comes several times, at different places.
var shapeGroups = [][]int{{3, 4, 5, 6, 7, 8}, {8, 7, 6, 5, 4, 3}, {5, 8, 3, 7, 4, 6}, {16, 17}, slices.Repeat([]int{1}, shapeTokens)}

// probeShapes finds out whether runs of two tokens or more give identical rows.
func (s *Session) probeShapes(ctx context.Context) error {
	tokens := make([]eft.Token, min(shapeTokens, s.Context()))
	for i := range tokens {
		tokens[i] = eft.Token(i * 7 % s.layout.vocab)
	}
	q, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer q.Close()
	want, err := q.collect(ctx, tokens, len(tokens))
	if err != nil {
		return err
	}
	for _, groups := range shapeGroups {
		if err := q.Truncate(0); err != nil {
			return err
		}
		for done := 0; done < len(tokens); groups = groups[1:] {
			end := min(done+groups[0], len(tokens))
			got, err := q.collect(ctx, tokens[done:end], end-done)
			if err != nil {
				return err
			}
			if d := compare("", got, want[done:end]); d.Identical != d.Rows {
				s.layout.alone = true
				return nil
			}
			done = end
		}
	}
	return nil
}

// probeRows finds out whether rows agree: of tokens together, of all but the first
// together, and one by one.
func (s *Session) probeRows(ctx context.Context, src Source, q *Sequence, tokens []eft.Token, together, further [][]float64) error {
	// Steps are of one token here, whatever ExactShapes makes of them.
	was := s.layout.alone
	s.layout.alone = true
	defer func() { s.layout.alone = was }()
	if err := q.Truncate(0); err != nil {
		return err
	}
	steps, err := q.collect(ctx, tokens, 1)
	if err != nil {
		return err
	}
	// What a text before a token changes at all: rows without it.
	var alone [][]float64
	for i := range tokens {
		if err := q.Truncate(0); err != nil {
			return err
		}
		row, err := q.collect(ctx, tokens[i:i+1], 1)
		if err != nil {
			return err
		}
		alone = append(alone, row...)
	}
	most := s.tolerance(farthestRow(together, alone))
	// Rounding by run may change scores as much as a wrong cache does.
	if farthestRow(steps, together) > most && !s.file.roundsByRun() {
		return &RefusedError{Model: src.String(), Why: "tokens one by one get other scores than the same tokens together: its cache is not laid out as its names and shapes say; " +
			"export it with the task text-generation-with-past, with inputs past_key_values.N.key and .value"}
	}
	if farthestRow(further, together[1:]) > most {
		// The branch for texts that go on was traced for a single token.
		s.layout.single = true
		was = was || s.options.ExactShapes
	}
	return nil
}

// tolerance is how far log-probabilities of one token may lie apart for no other
// reason than rounding, where leaving out all tokens before it changes them by
// effect. What is larger is a defect, however small the effect of the text is.
func (s *Session) tolerance(effect float64) float64 {
	least, share := 0.01, 0.01
	if s.layout.kv != Float32 || s.layout.logits.Type != Float32 || s.file.halfArithmetic() {
		least, share = 0.1, 0.125
	}
	if s.file.quantised() {
		share = 0.25
	}
	if s.file.roundsByRun() {
		least, share = 1, 0.5
	}
	return max(least, share*effect)
}

// farthestRow is the largest difference between two lists of rows.
func farthestRow(a, b [][]float64) float64 {
	worst := 0.0
	for i := range a {
		if d := compare("", a[i:i+1], b[i:i+1]).LogProb; !slices.ContainsFunc(a[i], math.IsNaN) {
			worst = max(worst, d)
		}
	}
	return worst
}
