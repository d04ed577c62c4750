package decode

import (
	"fmt"

	"github.com/graft-gateway/graft/eft"
)

// owed is a position whose divergence is still to be told: over a large vocabulary it
// costs ten times what choosing the token did, and nobody waits for it but the report.
type owed struct {
	base   eft.Row
	scores []float32 // what base lies in if it is dense
	slot   *slot
}

// mostOwed bounds the memory of rows that are kept for it.
const mostOwed = 32

// owe keeps the rows of the first slot, and the base's, until there is time. Without
// pairs there is next to nothing to tell, and it is told at once.
func (l *loop) owe(base eft.Row, c *eft.Combination) {
	if l.ahead.active == 0 {
		l.report.KL += c.KL()
		return
	}
	var o owed
	if n := len(l.paid); n > 0 {
		o, l.paid = l.paid[n-1], l.paid[:n-1]
	}
	o.slot = l.ahead.hold()
	o.base = base
	if base.Dense() {
		o.scores = append(o.scores[:0], base.Scores...)
		o.base.Scores = o.scores
	} else {
		o.base.IDs = append([]eft.Token(nil), base.IDs...)
		o.base.LogProbs = append([]float32(nil), base.LogProbs...)
	}
	l.owed = append(l.owed, o)
}

// repay tells the divergence of the oldest position that is owed.
func (l *loop) repay() error {
	o := l.owed[0]
	combination, err := l.mixer.Combine(eft.Rows{Base: o.base, Pairs: o.slot.rows})
	if err != nil {
		return fmt.Errorf("divergence: %w", err) // they were combined before
	}
	l.report.KL += combination.KL()
	l.owed = append(l.owed[:0], l.owed[1:]...)
	l.ahead.release(o.slot)
	l.paid = append(l.paid, owed{scores: o.scores})
	return nil
}

// settle repays until no more than n are owed.
func (l *loop) settle(n int) error {
	for len(l.owed) > n {
		if err := l.repay(); err != nil {
			return err
		}
	}
	return nil
}
