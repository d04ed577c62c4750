package eft

import (
	"fmt"
	"math"
	"slices"
)

// readBase fills m.base with the base's normalised log-probs and the base's part
// of the combination: its best id, and what a truncated row left out.
func (m *Mixer) readBase(rows Rows) error {
	m.combined = Combination{logProbs: m.combined.logProbs, baseLogProbs: m.base}
	var err error
	if rows.Base.Dense() {
		err = m.readDense(rows.Base)
	} else {
		err = m.readTruncated(rows)
	}
	if err != nil {
		return fmt.Errorf("base row: %w", err)
	}
	m.combined.BaseTop = argmax(m.base)
	return nil
}

func (m *Mixer) readDense(row Row) error {
	if len(row.Scores) < len(m.base) {
		return fmt.Errorf("scores %d ids, the vocabulary has %d", len(row.Scores), len(m.base))
	}
	for id := range m.base {
		m.base[id] = float64(row.Scores[id])
	}
	for _, id := range m.holes {
		m.base[id] = math.Inf(-1)
	}
	norm := LogSumExp(m.base)
	if !finite(norm) {
		return fmt.Errorf("log-sum-exp is %v: the scores hold NaN or ∞, or are all −∞", norm)
	}
	for id := range m.base {
		m.base[id] -= norm
	}
	return nil
}

// readTruncated spreads the k best over the vocabulary and completes the tail:
// for x outside the list, base(x) = m · untuned(x) / Σ untuned(y outside), never
// above the least of the best. Listed probabilities that sum to more than 1 (some
// servers' do) are normalised and leave no tail.
func (m *Mixer) readTruncated(rows Rows) error {
	row := rows.Base
	if err := m.checkTruncated(row); err != nil {
		return err
	}
	mass := 0.0
	for id := range m.base {
		m.base[id] = math.Inf(-1)
	}
	for i, id := range row.IDs {
		m.base[id] = float64(row.LogProbs[i])
		mass += math.Exp(m.base[id])
	}
	if !finite(mass) || mass == 0 {
		return fmt.Errorf("listed probabilities sum to %v", mass)
	}
	c := &m.combined
	c.Truncated = true
	c.MissingMass = max(1-mass, 0)
	if c.MissingMass > 0 && m.mix.Tail != TailDrop {
		if err := m.completeTail(row, rows.Pairs); err != nil {
			return err
		}
	}
	norm := LogSumExp(m.base)
	for id := range m.base {
		m.base[id] -= norm
	}
	return nil
}

func (m *Mixer) checkTruncated(row Row) error {
	if len(row.IDs) == 0 || len(row.IDs) != len(row.LogProbs) {
		return fmt.Errorf("lists %d ids and %d log-probs", len(row.IDs), len(row.LogProbs))
	}
	if row.Best < 1 || row.Best > len(row.IDs) {
		return fmt.Errorf("says that %d of %d listed ids are the best", row.Best, len(row.IDs))
	}
	if m.listed == nil {
		m.listed = make([]bool, len(m.base))
	}
	clear(m.listed)
	for _, id := range row.IDs {
		if m.vocabulary.Piece(id) == nil {
			return fmt.Errorf("lists id %d, which the vocabulary lacks", id)
		}
		if m.listed[id] {
			return fmt.Errorf("lists id %d twice", id)
		}
		m.listed[id] = true
	}
	return nil
}

// completeTail gives the ids outside the list the missing mass in proportion to
// the first untuned model's. Where no pair has one the tail is dropped.
func (m *Mixer) completeTail(row Row, pairs []PairRows) error {
	first := slices.IndexFunc(pairs, func(p PairRows) bool { return p.Untuned.Dense() })
	if first < 0 {
		return nil
	}
	scores, err := m.dense("untuned", pairs[first].Untuned)
	if err != nil {
		return err
	}
	outside := func(id int) bool { return !m.listed[id] && m.vocabulary.pieces[id] != nil }
	tail := math.Inf(-1)
	for id, s := range scores {
		if outside(id) {
			tail = logAdd(tail, float64(s))
		}
	}
	if math.IsNaN(tail) || math.IsInf(tail, 1) {
		return fmt.Errorf("untuned scores hold NaN or ∞")
	}
	if math.IsInf(tail, -1) {
		return nil
	}
	shift := math.Log(m.combined.MissingMass) - tail
	least := float64(row.LogProbs[row.Best-1])
	for id, s := range scores {
		if outside(id) {
			m.base[id] = min(float64(s)+shift, least)
		}
	}
	return nil
}

// logAdd returns log(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
