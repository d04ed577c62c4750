package decode

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// wantedShare is how probable a token must be to be asked for by name, which costs a
// request: to a tuned model, as a share of its best token's probability, and as a share
// of the best listed one's in the mix, if the base gave it all that it can.
const wantedShare = 1e-3

// tailError is how far a server's listed probabilities may be from summing to what they
// should: rounding makes a tail of that size of nothing.
const tailError = 1e-5

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
// base's row does not list and that the mix might well choose, as many as can be asked
// for.
func (l *loop) wanted(dst []eft.Token, i int, row eft.Row) []eft.Token {
	active, n := l.ahead.active, l.askable()
	if row.Dense() || row.Best < 1 || active == 0 || n == 0 { // the mix refuses a row without a best
		return dst
	}
	pairs := l.ahead.slots[i].rows
	least := l.leastWanted(row, pairs)
	var best []eft.Token
	for p, rows := range pairs {
		if l.ahead.pairs[p] == nil || !rows.Tuned.Dense() {
			continue
		}
		best = l.request.Vocabulary.Best(best[:0], rows.Tuned, max(n/active, 1))
		for _, id := range best {
			if rows.Tuned.Scores[id] < rows.Tuned.Scores[best[0]]+float32(math.Log(wantedShare)) {
				break
			}
			if l.shift(pairs, id) >= least && len(dst) < n && !slices.Contains(row.IDs, id) && !slices.Contains(dst, id) {
				dst = append(dst, id)
			}
		}
	}
	return dst
}

// leastWanted is the shift from which on a token that the row does not list may have
// wantedShare of the best listed one's probability: the base gives it no more than the
// least of its best, nor more than all of the tail.
func (l *loop) leastWanted(row eft.Row, pairs []eft.PairRows) float64 {
	w, best, mass := l.request.Mix.Base, math.Inf(-1), 0.0
	for i, id := range row.IDs[:row.Best] {
		b := float64(row.LogProbs[i])
		mass += math.Exp(b)
		best = max(best, w*b+l.shift(pairs, id))
	}
	most := min(float64(row.LogProbs[row.Best-1]), math.Log(max(1-mass, tailError)))
	return best + math.Log(wantedShare) - w*most
}

// shift is what the pairs add to a token's score, but for what they add to all.
func (l *loop) shift(pairs []eft.PairRows, id eft.Token) float64 {
	sum := 0.0
	for p, rows := range pairs {
		weights := l.request.Mix.Pairs[p]
		if l.ahead.pairs[p] == nil || int(id) >= len(rows.Tuned.Scores) {
			continue
		}
		untuned := 0.0
		if weights.Untuned != 0 {
			if int(id) >= len(rows.Untuned.Scores) || math.IsInf(float64(rows.Untuned.Scores[id]), -1) {
				continue // no shift: the mixer says so, too
			}
			untuned = float64(rows.Untuned.Scores[id])
		}
		sum += weights.Tuned*float64(rows.Tuned.Scores[id]) - weights.Untuned*untuned
	}
	return sum
}
