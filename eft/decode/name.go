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
func (l *loop) name(ctx context.Context, rows []eft.Row, path []eft.Token) ([]eft.Row, error) {
	if l.askable() == 0 {
		return rows, nil
	}
	asked := false
	l.names = slices.Grow(l.names[:0], len(rows))[:len(rows)]
	for i, row := range rows {
		if err := l.ahead.reach(ctx, i); err != nil {
			return nil, failure(ctx, err)
		}
		l.names[i] = l.wanted(l.names[i][:0], i, row)
		asked = asked || len(l.names[i]) > 0
	}
	if !asked {
		return rows, nil
	}
	named, err := l.named(ctx, path, l.names)
	if err != nil {
		return nil, err
	}
	rows = slices.Clone(rows) // they are the sequence's
	for i, scored := range named {
		if len(l.names[i]) > 0 {
			rows[i] = rows[i].WithNamed(scored)
		}
	}
	return rows, nil
}

// askable is how many tokens of a position the base can be asked for by name.
func (l *loop) askable() int {
	if namer, ok := l.base.(Namer); ok {
		return namer.Names()
	}
	return 0
}

// named asks the base for names[i] behind i tokens of path.
func (l *loop) named(ctx context.Context, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	named, err := l.base.(Namer).Named(ctx, l.ahead.generated(), path, names)
	if err == nil && len(named) != len(names) {
		err = fmt.Errorf("named tokens of %d positions, asked for %d", len(named), len(names))
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("base: %w", err)
	}
	return named, nil
}

// wanted appends the best tokens of each tuned model behind i guessed tokens that the
// base's row does not list, as many as can be asked for.
func (l *loop) wanted(dst []eft.Token, i int, row eft.Row) []eft.Token {
	active, n := l.ahead.active, l.askable()
	if row.Dense() || active == 0 || n == 0 {
		return dst
	}
	var best []eft.Token
	for p, rows := range l.ahead.slots[i].rows {
		if l.ahead.pairs[p] == nil || !rows.Tuned.Dense() {
			continue
		}
		tuned := rows.Tuned
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
