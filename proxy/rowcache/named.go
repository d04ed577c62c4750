package rowcache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/chain"
)

// mostNames bounds the names that are stored with a row: routes differ in what they
// ask for.
const mostNames = 1024

// Named returns log-probs for names[i] behind generated and the first i tokens of path,
// in the order of names[i]. Rows of the last call stay valid.
func (s *Sequence) Named(ctx context.Context, generated, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	if len(names) != len(path)+1 {
		return nil, fmt.Errorf("names of %d positions for a path of %d", len(names), len(path))
	}
	// The last Rows was for the same positions, as a rule: its entries are at hand.
	old := slices.Clone(s.keys[:min(len(s.entries), len(s.keys))])
	s.locate(generated, path)
	if len(old) != len(s.keys) || !slices.Equal(old, s.keys) {
		s.entries = make([]entry, len(s.keys))
	}
	missing := s.missing(ctx, names)
	if missing != nil {
		if err := s.learn(ctx, generated, path, missing); err != nil {
			return nil, err
		}
	}
	out := make([][]eft.Scored, len(names))
	for i := range names {
		for _, id := range names[i] {
			p, ok := s.entries[i].named(id)
			if !ok {
				return nil, fmt.Errorf("the base gave no log-prob for id %d, which was asked for by name", id)
			}
			out[i] = append(out[i], eft.Scored{ID: id, LogProb: p})
		}
	}
	return out, nil
}

// missing returns what is neither at hand nor in the tier; nil is nothing.
func (s *Sequence) missing(ctx context.Context, names [][]eft.Token) [][]eft.Token {
	var missing [][]eft.Token
	for i, ids := range names {
		e := &s.entries[i]
		unknown := func() bool {
			return slices.ContainsFunc(ids, func(id eft.Token) bool { _, ok := e.named(id); return !ok })
		}
		if unknown() && !s.scope.Dense {
			// Others may have asked since, or no row was asked for.
			if found, ok := s.lookup(ctx, s.keys[i]); ok {
				e.row, e.names = found.row, union(e.names, found.names)
			}
		}
		for _, id := range ids {
			if _, ok := e.named(id); ok {
				s.cache.names.Add(1)
				continue
			}
			if missing == nil {
				missing = make([][]eft.Token, len(names))
			}
			if !slices.Contains(missing[i], id) {
				missing[i] = append(missing[i], id)
			}
		}
	}
	return missing
}

// learn asks the source for what is missing, or waits for a text that asks for just
// that, and puts it to the entries.
func (s *Sequence) learn(ctx context.Context, generated, path []eft.Token, missing [][]eft.Token) error {
	sure := false
	for {
		f, work := s.cache.flights.join(ctx, []chain.Key{s.question(missing)}, sure)
		if f.call == nil {
			if missing = s.missing(ctx, missing); missing == nil {
				return nil
			}
			sure = true
			continue
		}
		if work != nil {
			s.askNames(work, f.call, generated, path, missing)
		}
		again, err := s.landed(ctx, f.call, work != nil)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		for i, scored := range f.call.named {
			s.entries[i].names = union(s.entries[i].names, scored)
		}
		return nil
	}
}

// question is the key of asking for these names at the current positions.
func (s *Sequence) question(names [][]eft.Token) chain.Key {
	last := s.keys[len(s.keys)-1]
	data := append([]byte("names"), last[:]...)
	for _, ids := range names {
		data = binary.AppendUvarint(data, uint64(len(ids)))
		for _, id := range ids {
			data = binary.AppendUvarint(data, uint64(uint32(id)))
		}
	}
	return sha256.Sum256(data)
}

// askNames begins a call for names. What it finds is stored with the rows that are at
// hand; without its row a name is not stored.
func (s *Sequence) askNames(ctx context.Context, c *call, generated, path []eft.Token, names [][]eft.Token) {
	generated, path = slices.Clone(generated), slices.Clone(path)
	keys, entries := slices.Clone(s.keys), make([]entry, len(s.entries))
	for i, e := range s.entries {
		// The work may outlive the decoder's memory.
		if len(names[i]) > 0 && !e.row.Dense() && e.row.Best > 0 {
			entries[i] = entry{eft.Row{IDs: slices.Clone(e.row.IDs), LogProbs: slices.Clone(e.row.LogProbs), Best: e.row.Best}, slices.Clone(e.names)}
		}
	}
	s.begin(ctx, c, func(source Source) error {
		s.cache.nameCalls.Add(1)
		named, err := source.Named(ctx, generated, path, names)
		if err != nil {
			return err
		}
		if c.named, err = answers(names, named); err != nil {
			return err
		}
		for i, e := range entries {
			if e.row.Best == 0 {
				continue
			}
			if e.names = union(e.names, c.named[i]); len(e.names) > mostNames {
				e.names = c.named[i]
			}
			s.cache.store(keys[i], e, len(generated)+i)
		}
		return nil
	})
}

// answers checks that named is what names asked for, and returns a copy by id.
func answers(names [][]eft.Token, named [][]eft.Scored) ([][]eft.Scored, error) {
	if len(named) != len(names) {
		return nil, fmt.Errorf("the base gave names of %d positions, %d were asked for", len(named), len(names))
	}
	out := make([][]eft.Scored, len(names))
	for i, ids := range names {
		if len(named[i]) != len(ids) {
			return nil, fmt.Errorf("the base gave %d log-probs by name, %d were asked for", len(named[i]), len(ids))
		}
		for j, id := range ids {
			if named[i][j].ID != id {
				return nil, fmt.Errorf("the base gave the log-prob of id %d, and %d was asked for", named[i][j].ID, id)
			}
		}
		out[i] = union(nil, named[i])
	}
	return out, nil
}

// union returns old and more by rising id, in memory of its own; of an id in both
// old's is taken.
func union(old, more []eft.Scored) []eft.Scored {
	out := slices.Concat(old, more)
	slices.SortStableFunc(out, func(a, b eft.Scored) int { return byID(a, b.ID) })
	return slices.CompactFunc(out, func(a, b eft.Scored) bool { return a.ID == b.ID })
}
