package decode

import (
	"context"
	"fmt"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// name completes truncated base rows by what the tuned models want most: tokens that
// the base's best do not list would otherwise be guessed from the tail. Which tokens
// those are depends on the small models' rows alone, so that a row stays a function
// of its prefix.
func (l *loop) name(ctx context.Context) error {
	namer, ok := l.base.(Namer)
	if !ok || namer.Names() < 1 {
		return nil
	}
	asked := false
	l.names = slices.Grow(l.names[:0], len(l.fetched.base))[:len(l.fetched.base)]
	for i, row := range l.fetched.base {
		l.names[i] = l.wanted(l.names[i][:0], i, row, namer.Names())
		asked = asked || len(l.names[i]) > 0
	}
	if !asked {
		return nil
	}
	named, err := namer.Named(ctx, l.generated, l.path, l.names)
	if err == nil && len(named) != len(l.names) {
		err = fmt.Errorf("named tokens of %d positions for a path of %d", len(named), len(l.path))
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("base: %w", err)
	}
	l.fetched.base = slices.Clone(l.fetched.base) // the rows are the sequence's
	for i, scored := range named {
		if len(l.names[i]) > 0 {
			l.fetched.base[i] = l.fetched.base[i].WithNamed(scored)
		}
	}
	return nil
}

// wanted appends the best tokens of each tuned model behind i tokens of the path that
// the base's row does not list, at most n of them all.
func (l *loop) wanted(dst []eft.Token, i int, row eft.Row, n int) []eft.Token {
	active := 0
	for _, rows := range l.fetched.pairs {
		if rows != nil {
			active++
		}
	}
	if row.Dense() || active == 0 {
		return dst
	}
	var best []eft.Token
	for _, rows := range l.fetched.pairs {
		if rows == nil || !rows[i].Tuned.Dense() {
			continue
		}
		best = l.request.Vocabulary.Best(best[:0], rows[i].Tuned, max(n/active, 1))
		for _, id := range best {
			if len(dst) < n && !slices.Contains(row.IDs, id) && !slices.Contains(dst, id) {
				dst = append(dst, id)
			}
		}
	}
	return dst
}
