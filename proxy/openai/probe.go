package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// tryOut finds out the rest: temperature, bias, names of tokens, batches, streams.
func (s *server) tryOut(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.tryTemperature, s.tryBias, s.tryNames, s.tryBatch, s.tryStream} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tryTemperature prefers greedy answers, whose choice shows the best. It keeps to
// temperature 1, at which all rows are raw, unless it sees at a row that is not
// settled that temperature 0 changes nothing.
func (s *server) tryTemperature(ctx context.Context) error {
	const settled = -0.5 // the best log-prob of a row that division by little would not change
	for _, prompt := range s.probePrompts() {
		s.cold = 1
		warm, err := s.positionAt(ctx, s.request(prompt))
		if err != nil {
			return err
		}
		if first, err := best(warm); err != nil || first.logProb > settled {
			continue
		}
		s.cold = 0
		cold, err := s.positionAt(ctx, s.request(prompt))
		if err != nil && !rejected(err) {
			return err
		}
		if err == nil && len(cold.top) == 0 {
			continue // the text ends here
		}
		if err == nil && near(warm, cold) && near(cold, warm) {
			return nil
		}
		break
	}
	s.cold = 1
	return nil
}

// tryBias biases a token that is not the best, and sees whether it comes, and whether
// the row stays.
func (s *server) tryBias(ctx context.Context) error {
	free, prompt, err := s.position(ctx)
	if err != nil {
		return err
	}
	first, err := best(free)
	if err != nil {
		return s.malformed("%v", err)
	}
	for _, id := range s.samples() {
		if known, err := s.naming.id(first); err == nil && known == id {
			continue
		}
		out, err := s.positionAt(ctx, s.pinned(prompt, id))
		if rejected(err) {
			return nil
		}
		if err != nil {
			return err
		}
		got, err := s.naming.id(out.chosen)
		if err == nil && got == id && near(free, out) && near(out, free) {
			s.pin = id
		}
		return nil
	}
	return nil
}

// samples are ids that text may spoil: words behind a space, and words without.
func (s *server) samples() []eft.Token {
	var bare, spaced []eft.Token
	for id := eft.Token(0); int(id) < s.vocabulary.Size() && (len(bare) < 3 || len(spaced) < 3); id++ {
		word, space := strings.CutPrefix(string(s.vocabulary.Piece(id)), " ")
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r < 'A' || r > 'z' || r > 'Z' && r < 'a' }) {
			continue
		}
		if got, err := s.naming.pieces.ID(s.vocabulary.Piece(id)); err != nil || got != id {
			continue
		}
		if space && len(spaced) < 3 {
			spaced = append(spaced, id)
		} else if !space && len(bare) < 3 {
			bare = append(bare, id)
		}
	}
	return append(bare, spaced...)
}

// tryNames proves that the server's text is the vocabulary's, by tokens that a bias
// brings out, or at least that it does not strip the spaces that begin tokens.
func (s *server) tryNames(ctx context.Context) error {
	if s.caps.Tokens == proxy.TokenIDs {
		return nil
	}
	brought, prompt := 0, s.probePrompts()[0]
	for _, id := range s.samples() {
		out, err := s.positionAt(ctx, s.pinned(prompt, id))
		if rejected(err) {
			break
		}
		if err != nil {
			return err
		}
		s.naming.learn(out.top)
		got, err := s.naming.id(out.chosen)
		if first, none := best(out); none == nil && first.name() == out.chosen.name() && got != id && s.pin < 0 {
			break // the bias was not minded: this is the model's own choice
		}
		if len(out.top) > 0 && (err != nil || got != id) {
			return fmt.Errorf("the server writes %q for id %d, which is %q in the vocabulary: it is another vocabulary, or text that is not a token's own", out.chosen.text, id, s.vocabulary.Piece(id))
		}
		brought++
	}
	if brought > 0 {
		return s.tryParts(ctx, prompt)
	}
	for _, prompt := range s.probePrompts() {
		p, err := s.positionAt(ctx, s.request(prompt))
		if err != nil {
			return err
		}
		s.naming.learn(p.top)
	}
	if s.caps.Tokens == proxy.TokenText && !s.naming.spaced && strippable(s.vocabulary, s.naming.pieces) {
		return errors.New("the server tells tokens as text, and was not seen to keep the space that begins many: it may strip it, and so name other tokens; a server that tells ids or bytes would do")
	}
	s.note("that the server's tokens are the vocabulary's was not shown by a bias on some")
	return nil
}

// tryParts brings out a token that holds a part of a character: whether the server
// writes bytes then shows whether its text can be trusted.
func (s *server) tryParts(ctx context.Context, prompt any) error {
	for id := eft.Token(0); int(id) < s.vocabulary.Size(); id++ {
		piece := s.vocabulary.Piece(id)
		if utf8.Valid(piece) {
			continue
		}
		if got, err := s.naming.pieces.ID(piece); err != nil || got != id {
			continue
		}
		out, err := s.positionAt(ctx, s.pinned(prompt, id))
		if err != nil && !rejected(err) {
			return err
		}
		if err == nil && len(out.top) > 0 {
			s.naming.learn([]entry{out.chosen})
		}
		if s.naming.exact {
			s.caps.Tokens = proxy.TokenBytes
		}
		return nil
	}
	return nil
}

// tryBatch asks for two rows at once that are known singly.
func (s *server) tryBatch(ctx context.Context) error {
	if s.cut != nil {
		return nil
	}
	prompts := s.probes()[:2]
	singly := make([]position, len(prompts))
	for i, prompt := range prompts {
		var err error
		if singly[i], err = s.positionAt(ctx, s.request(prompt)); err != nil {
			return err
		}
		if len(singly[i].top) == 0 {
			return nil // an end token: nothing to compare
		}
	}
	out, err := s.ask(ctx, s.request(prompts))
	if rejected(err) || err == nil && len(out.Choices) != len(prompts) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range out.Choices {
		if c.Index < 0 || c.Index >= len(singly) || len(c.Logprobs) != 1 || !near(singly[c.Index], c.Logprobs[0]) {
			return nil
		}
	}
	s.caps.Batch, s.caps.Scoring = true, proxy.ScoringList
	return nil
}

// tryStream reads some tokens of a stream, as the decode loop will.
func (s *server) tryStream(ctx context.Context) error {
	if s.cold != 0 {
		return nil
	}
	const tokens = 3
	stream, err := s.open(ctx, s.probePrompts()[0], tokens)
	if rejected(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer stream.Close()
	for n := 0; ; n++ {
		_, _, err := stream.Next()
		switch {
		case err == io.EOF:
			s.caps.Stream = n > 0
			return nil
		case rejected(err):
			return nil
		case err != nil:
			return err
		}
	}
}
