package rowcache

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/chain"
)

// leader is a [Source] that reads the base's own tokens ahead for a text that means to go
// along them.
type leader interface{ Lead(rows int) }

// Sequence gives the base's rows along one text. One goroutine uses it at a time.
type Sequence struct {
	cache  *Cache
	scope  Scope
	source *lease
	closed bool
	leads  bool // the source is to be told so
	lead   int  // rows that it is to read ahead at most, of those not handed out yet

	// start is behind the prompt, head behind the prompt and generated.
	start, head chain.Chain
	generated   []eft.Token

	// keys and entries are those of the last call's positions; entries may be fewer.
	keys    []chain.Key
	entries []entry
	rows    []eft.Row
	decoder decoder
	buffer  []byte
}

// Rows returns len(path)+1 rows: the one behind the prompt and generated, and the one
// behind each token of path. They are valid until the next call of Rows, and nobody may
// change them. After an error it can be called again.
func (s *Sequence) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	s.leads = s.leads && len(path) == 0
	s.decoder.reset()
	s.entries = s.entries[:0]
	s.locate(generated, path)
	for _, key := range s.keys {
		e, ok := s.lookup(ctx, key)
		if !ok {
			break
		}
		s.entries = append(s.entries, e)
	}
	s.cache.hits.Add(uint64(len(s.entries)))
	if err := s.fetch(ctx, generated, path); err != nil {
		return nil, err
	}
	s.lead -= len(s.entries)
	s.rows = s.rows[:0]
	for _, e := range s.entries {
		s.rows = append(s.rows, e.row)
	}
	return s.rows, nil
}

// Names is how many log-probs can be asked for by id at a position.
func (s *Sequence) Names() int { return s.scope.Names }

// Lead is passed on to a source that has a use for it: the text goes along the base's
// own tokens from here on, until a path is asked for.
func (s *Sequence) Lead(rows int) { s.leads, s.lead = true, rows }

// Close frees what the text holds. Calling it again does nothing.
func (s *Sequence) Close() {
	if !s.closed {
		s.closed = true
		s.source.release()
	}
}

// locate makes the keys of all positions.
func (s *Sequence) locate(generated, path []eft.Token) {
	if n := len(s.generated); n > len(generated) || !slices.Equal(s.generated, generated[:n]) {
		s.head, s.generated = s.start, s.generated[:0]
	}
	s.head.Append(generated[len(s.generated):]...)
	s.generated = append(s.generated, generated[len(s.generated):]...)
	at := s.head
	s.keys = append(s.keys[:0], at.Key())
	for _, token := range path {
		at.Append(token)
		s.keys = append(s.keys, at.Key())
	}
}

// lookup asks the tier.
func (s *Sequence) lookup(ctx context.Context, key chain.Key) (entry, bool) {
	data, ok := s.cache.tier.Get(ctx, key, s.buffer[:0])
	s.buffer = data
	if !ok {
		return entry{}, false
	}
	e, err := s.decoder.decode(data, s.scope.Dense, s.scope.K)
	if err != nil {
		s.cache.broken.Add(1)
		return entry{}, false
	}
	return e, true
}

// fetch completes entries: from what others are asking for, and from the source.
func (s *Sequence) fetch(ctx context.Context, generated, path []eft.Token) error {
	sure := false
	for len(s.entries) < len(s.keys) {
		i := len(s.entries)
		// The call keeps its keys longer than this text may.
		f, work := s.cache.flights.join(ctx, slices.Clone(s.keys[i:]), sure)
		sure = false
		if f.call == nil {
			e, ok := s.lookup(ctx, s.keys[i])
			if sure = !ok; ok {
				s.cache.hits.Add(1)
				s.entries = append(s.entries, e)
			}
			continue
		}
		if work != nil {
			s.ask(work, f.call, generated, path, i)
		}
		again, err := s.landed(ctx, f.call, work != nil)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		for j := f.at; j < len(f.call.rows) && len(s.entries) < len(s.keys) && f.call.keys[j] == s.keys[len(s.entries)]; j++ {
			s.entries = append(s.entries, entry{row: f.call.rows[j]})
		}
		if work == nil {
			s.cache.shared.Add(uint64(len(s.entries) - i))
		}
	}
	return nil
}

// landed waits for a call and returns what it failed with. Again is that it was another
// text's, which left: whoever still wants the answer must ask anew.
func (s *Sequence) landed(ctx context.Context, c *call, own bool) (again bool, err error) {
	if err := s.cache.flights.wait(ctx, c); err != nil {
		return false, err
	}
	if !own && errors.Is(c.err, context.Canceled) && ctx.Err() == nil {
		return true, nil
	}
	return false, c.err
}

// ask begins a call for the rows of its keys, the first of which is position i's.
func (s *Sequence) ask(ctx context.Context, c *call, generated, path []eft.Token, i int) {
	prefix := slices.Concat(generated, path[:i])
	path = slices.Clone(path[i : i+len(c.keys)-1])
	leads, lead := s.leads, s.lead
	s.begin(ctx, c, func(source Source) error {
		s.cache.calls.Add(1)
		if leader, can := source.(leader); leads && can {
			leader.Lead(lead)
		}
		rows, err := source.Rows(ctx, prefix, path)
		if err != nil {
			return err
		}
		if len(rows) != len(c.keys) {
			return fmt.Errorf("wrong number of rows: %d for a path of %d", len(rows), len(path))
		}
		c.rows = make([]eft.Row, len(rows))
		for j, row := range rows {
			if c.rows[j], err = s.agreed(row); err != nil {
				return err
			}
		}
		s.cache.asked.Add(uint64(len(rows)))
		for j, row := range c.rows {
			s.cache.store(c.keys[j], entry{row: row}, len(prefix)+j)
		}
		return nil
	})
}

// begin runs a call's work. It uses nothing of s that changes.
func (s *Sequence) begin(ctx context.Context, c *call, work func(Source) error) {
	source, flights := s.source, &s.cache.flights
	source.hold()
	go func() {
		c.err = source.use(ctx, work)
		source.release() // before anybody hears of it: who closes its text then closes the source
		flights.end(c)
	}()
}

// agreed returns a copy of a source's row without what is not its best, if it is the
// kind of row that the scope says: another would not be what the cache gives next time.
func (s *Sequence) agreed(row eft.Row) (eft.Row, error) {
	switch {
	case row.Dense() != s.scope.Dense && s.scope.Dense:
		return eft.Row{}, errors.New("the base gave a truncated row where whole rows were agreed on")
	case row.Dense() != s.scope.Dense:
		return eft.Row{}, errors.New("the base gave a whole row where truncated rows were agreed on")
	case row.Dense():
		return eft.Row{Scores: slices.Clone(row.Scores)}, nil
	case row.Best > s.scope.K || row.Best > len(row.IDs) || row.Best > len(row.LogProbs):
		return eft.Row{}, fmt.Errorf("the base gave a row of %d best, %d ids and %d log-probs where %d were agreed on", row.Best, len(row.IDs), len(row.LogProbs), s.scope.K)
	}
	return eft.Row{IDs: slices.Clone(row.IDs[:row.Best]), LogProbs: slices.Clone(row.LogProbs[:row.Best]), Best: row.Best}, nil
}
