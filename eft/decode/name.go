package decode

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// wantedShare is how probable a token must be to a tuned model, as a share of its best
// token's probability, to be asked for by name. Those below could win only where the
// untuned model thinks next to nothing of them, and asking costs a request.
const wantedShare = 1e-3

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
		tuned := rows[i].Tuned
		best = l.request.Vocabulary.Best(best[:0], tuned, max(n/active, 1))
		for _, id := range best {
			if tuned.Scores[id] < tuned.Scores[best[0]]+float32(math.Log(wantedShare)) {
				break
			}
			if len(dst) < n && !slices.Contains(row.IDs, id) && !slices.Contains(dst, id) {
				dst = append(dst, id)
			}
		}
	}
	return dst
}
