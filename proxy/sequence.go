// One text of a base, as the decode loop goes along it. Invariants:
//
//   - prefix is the prompt and the generated tokens of the last call; a call that goes
//     on from there appends to it;
//   - rows are a function of prompt, generated and path: whether a stream or a request
//     gave them shows in nothing but time;
//   - all rows that were handed out are one model's, by a proof (identity.go), and have
//     passed the rules;
//   - text, rider and stream are model's; a stream is open only behind rows that are proven.

package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// Sequence gives a base's rows along one text. One goroutine uses it at a time.
type Sequence struct {
	base   *Base
	tenant string
	prompt int // tokens of it

	prefix []eft.Token
	model  *model // nil before it is needed
	// bound says that the model cannot be exchanged for another any more: its rows or
	// its identity were told.
	bound  bool
	closed bool
	text   Text
	rules  rules
	stream *stream // nil for none
	pace   pace
	rider  *rider // nil where the model gathers nothing
	lead   int    // rows that Lead wants, of those not handed out yet
	known  int    // tokens of prefix that the last rows were behind, 0 for none

	// What the base's own next tokens were in the last call's rows: own[i] behind the
	// first i tokens of path.
	own, path []eft.Token
	rows      []eft.Row
}

// rowTries is how often rows are asked for that nobody can tell whose they are.
const rowTries = 3

// Rows returns len(path)+1 rows: the one that follows prompt and generated, and the
// one behind each token of path. They stay valid until the next call. After an error,
// as after a cancelled ctx, it can be called again.
func (s *Sequence) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	if err := s.follow(generated); err != nil {
		return nil, err
	}
	if len(path) > 0 {
		s.part() // one request scores a path at once, which a stream could only do bit by bit
		s.pace.leads = false
	}
	row, has, err := s.readAhead(ctx, generated)
	if err != nil {
		return nil, err
	}
	if has {
		s.rows = append(s.rows[:0], row)
	} else if err := s.fetch(ctx, path); err != nil {
		return nil, err
	}
	s.base.counts.rows.Add(uint64(len(s.rows)))
	s.lead -= len(s.rows)
	s.known = len(s.prefix)
	s.path = append(s.path[:0], path...)
	s.own = s.own[:0]
	for _, row := range s.rows {
		s.own = append(s.own, best(row))
	}
	return s.rows, nil
}

// Lead says that the text goes along the base's own tokens from here on, as far as they
// are right: rows come from a stream at once, and behind each divergence from a new one.
// It holds until a path is asked for. A stream has no more than so many rows, which are all
// that the text has a use for: one that ends by itself leaves its connection for the next.
func (s *Sequence) Lead(rows int) { s.pace.leads, s.lead = true, rows }

// Names is how many tokens of a position can be asked for by id; 0 is none.
func (s *Sequence) Names() int { return s.base.Names() }

// Named returns log-probs for names[i] behind prompt, generated and the first i tokens
// of path, in the order of names[i].
func (s *Sequence) Named(ctx context.Context, generated, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	if len(names) > len(path)+1 {
		return nil, fmt.Errorf("names for %d positions, with a path of %d", len(names), len(path))
	}
	asked := uint64(0)
	for _, n := range names {
		if len(n) > s.Names() {
			return nil, fmt.Errorf("%d names for a position, of at most %d", len(n), s.Names())
		}
		if len(n) > 0 {
			asked++
		}
	}
	if asked == 0 {
		return make([][]eft.Scored, len(names)), nil
	}
	if err := s.follow(generated); err != nil {
		return nil, err
	}
	s.stray()
	var named [][]eft.Scored
	err := s.trusted(ctx, func(int) error {
		var err error
		if named, err = s.text.Named(ctx, slices.Clip(s.prefix), path, names); err != nil {
			return err
		}
		if err := checkedNamed(named, names); err != nil {
			return s.malformed(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.base.counts.named.Add(asked)
	return named, nil
}

// Identity is that of the model whose rows all of the sequence's rows are. From the
// first call of it, or of Rows, another model's rows are refused with the fault
// [Changed].
func (s *Sequence) Identity() string {
	if s.model == nil {
		s.begin(s.base.watch.last())
	}
	s.bound = true
	return s.model.caps.Identity
}

// Close ends what is under way at the server. Calling it again does nothing.
func (s *Sequence) Close() {
	s.drop()
	s.end()
	s.closed = true
}

// follow takes the sequence to generated, and tells pace which of the tokens since the
// last call were the base's own.
func (s *Sequence) follow(generated []eft.Token) error {
	if s.base.config.Want.Vocabulary == nil {
		return fmt.Errorf("base %s: a text without a vocabulary", s.base.config.Name)
	}
	if s.closed {
		return errors.New("a sequence was used behind its end")
	}
	if s.prompt+len(generated) == 0 {
		return errors.New("a text needs at least one token of prompt")
	}
	old := s.prefix[s.prompt:]
	if len(old) > len(generated) || !slices.Equal(old, generated[:len(old)]) {
		s.part() // another text: what was learnt of this one is of no use
		leads := s.pace.leads
		s.pace = newPace()
		s.pace.leads = leads
		s.prefix, s.own = append(s.prefix[:s.prompt], generated...), s.own[:0]
		return nil
	}
	since := generated[len(old):]
	for i, token := range since {
		s.pace.saw(i < len(s.own) && s.own[i] == token)
		if i < len(s.path) && s.path[i] != token {
			s.own = s.own[:min(i+1, len(s.own))] // what follows is behind another path
		}
	}
	if len(since) > 0 {
		s.own = s.own[:0]
	}
	s.prefix = append(s.prefix, since...)
	return nil
}

// readAhead is streamed for a text whose server has not been seen to change.
func (s *Sequence) readAhead(ctx context.Context, generated []eft.Token) (eft.Row, bool, error) {
	if s.stream == nil {
		return eft.Row{}, false, nil
	}
	if err := s.base.watch.gone(s.model); err != nil {
		s.drop()
		return eft.Row{}, false, err
	}
	return s.streamed(ctx, generated)
}

// fetch asks for the rows of path: with a stream to follow if it is time for one.
func (s *Sequence) fetch(ctx context.Context, path []eft.Token) error {
	return s.trusted(ctx, func(try int) error {
		if len(path) == 0 && try == 1 {
			if row, has, err := s.ahead(ctx); has || err != nil {
				s.rows = append(s.rows[:0], row)
				return err
			}
		}
		rows, err := s.ask(ctx, path)
		if err != nil {
			return err
		}
		if len(rows) != len(path)+1 {
			return s.malformed(fmt.Errorf("%d rows for a path of %d", len(rows), len(path)))
		}
		s.rows = s.rows[:0]
		for _, row := range rows {
			if row, err = s.rules.checked(row); err != nil {
				return s.malformed(err)
			}
			s.rows = append(s.rows, row)
		}
		return nil
	})
}

// ask asks for the rows of path: with other texts, unless it brings the server much to read.
func (s *Sequence) ask(ctx context.Context, path []eft.Token) ([]eft.Row, error) {
	question := Ask{slices.Clip(s.prefix), path}
	alone := func() ([]eft.Row, error) { return s.text.Rows(ctx, question.Prefix, question.Path) }
	if s.rider == nil {
		return alone()
	}
	if len(s.prefix)-s.known > gatherLight {
		s.rider.stray()
		return alone()
	}
	return s.rider.rows(ctx, question, alone)
}

// ahead opens a stream if it is time for one, and reads its first row. A server that
// refuses a stream may still give the row alone.
func (s *Sequence) ahead(ctx context.Context) (eft.Row, bool, error) {
	s.drop()
	if !s.model.caps.Stream {
		return eft.Row{}, false, nil
	}
	if !s.pace.leads && s.rider != nil && s.rider.company() {
		return eft.Row{}, false, nil // in step with others, a row costs a share of a call
	}
	room := limitLead
	if s.model.caps.Context > 0 {
		room = s.model.caps.Context - len(s.prefix)
	}
	if s.pace.leads {
		room = min(room, s.lead)
	}
	limit := s.pace.ahead(room)
	if limit == 0 {
		return eft.Row{}, false, nil
	}
	s.stray()
	switch err := s.open(ctx, limit); {
	case err == nil:
		return s.streamed(ctx, s.prefix[s.prompt:])
	case ctx.Err() != nil:
		return eft.Row{}, false, ctx.Err()
	case unanswered(err):
		return eft.Row{}, false, err
	}
	s.pace.broke()
	return eft.Row{}, false, nil
}
