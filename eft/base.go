package eft

import (
	"fmt"
	"math"
	"slices"
)

// readBase finds the base's scores.
func (m *Mixer) readBase() error {
	row := m.rows.Base
	if !row.Dense() {
		return m.readTruncated()
	}
	if len(row.Scores) < m.vocabulary.Size() {
		return fmt.Errorf("scores %d ids, the vocabulary has %d", len(row.Scores), m.vocabulary.Size())
	}
	m.base = row.Scores
	return nil
}

// readTruncated spreads the k best over the vocabulary and completes the tail:
// for x outside the list, base(x) = m · untuned(x) / Σ untuned(y outside), never
// above the least of the best. Listed probabilities that sum to more than 1 (some
// servers' do) leave no tail. What comes of it is a row like any other, in float32.
func (m *Mixer) readTruncated() error {
	row, c := m.rows.Base, &m.combined
	if err := m.checkTruncated(row); err != nil {
		return err
	}
	mass := 0.0
	for _, p := range row.LogProbs {
		mass += math.Exp(float64(p))
	}
	if !finite(mass) || mass == 0 {
		return fmt.Errorf("listed probabilities sum to %v", mass)
	}
	c.Truncated = true
	c.MissingMass = max(1-mass, 0)
	completed := false
	if c.MissingMass > 0 && m.mix.Tail != TailDrop {
		var err error
		if completed, err = m.completeTail(row); err != nil {
			return err
		}
	}
	if !completed {
		for i := range m.base {
			m.base[i] = float32(math.Inf(-1))
		}
	}
	for i, id := range row.IDs {
		m.base[id] = row.LogProbs[i]
	}
	return nil
}

// checkTruncated also marks the listed ids.
func (m *Mixer) checkTruncated(row Row) error {
	if len(row.IDs) == 0 || len(row.IDs) != len(row.LogProbs) {
		return fmt.Errorf("lists %d ids and %d log-probs", len(row.IDs), len(row.LogProbs))
	}
	if row.Best < 1 || row.Best > len(row.IDs) {
		return fmt.Errorf("says that %d of %d listed ids are the best", row.Best, len(row.IDs))
	}
	if m.completed == nil {
		m.completed, m.listed = make([]float32, m.vocabulary.Size()), make([]bool, m.vocabulary.Size())
	}
	m.base = m.completed
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
// the first untuned model's. It returns false where no pair has one, or it gives those
// ids no mass: the tail is dropped then.
func (m *Mixer) completeTail(row Row) (bool, error) {
	first := slices.IndexFunc(m.rows.Pairs, func(p PairRows) bool { return p.Untuned.Dense() })
	if first < 0 {
		return false, nil
	}
	untuned := m.rows.Pairs[first].Untuned
	if err := m.checkDense("untuned", untuned); err != nil {
		return false, err
	}
	best := m.copyOutside(row, untuned.Scores)
	if math.IsInf(best, -1) {
		return false, nil
	}
	if !finite(best) {
		return false, fmt.Errorf("untuned scores hold NaN or ∞")
	}
	sum := 0.0
	var b block
	for k := range m.maxima {
		m.fillBase(k, &b)
		sum += b.exponentials(best)
	}
	shift := math.Log(m.combined.MissingMass) - (best + math.Log(sum))
	least := row.LogProbs[row.Best-1]
	for i, s := range m.base {
		if s = float32(float64(s) + shift); s > least {
			s = least
		}
		m.base[i] = s
	}
	return true, nil
}

// copyOutside writes the scores of the ids outside the list to m.base, −∞ for all
// others, and returns the greatest, NaN or +∞ if it meets one.
func (m *Mixer) copyOutside(row Row, scores []float32) float64 {
	copy(m.base, scores)
	impossible := float32(math.Inf(-1))
	for _, id := range m.holes {
		m.base[id] = impossible
	}
	for _, id := range row.IDs {
		m.base[id] = impossible
	}
	best := impossible
	for _, s := range m.base {
		if !(s <= best) {
			if best = s; !(s <= math.MaxFloat32) {
				break
			}
		}
	}
	return float64(best)
}
