// The state of a mixer. Invariants, from one successful Combine to the next:
//
//   - rows are those of the position, and maxima[k] is the greatest score that fill
//     gives for block k, so that whoever looks for a token need not look into most
//     blocks;
//   - scores are not normalised: they are log-probs up to a constant, which no token
//     depends on;
//   - everything else about the position is made from the two when it is asked for.

package eft

import (
	"fmt"
	"math"
)

// Mixer combines rows with the weights of one request. It holds the scratch of
// one goroutine: a [Combination] is valid until the next Combine, and as long as the
// rows are.
type Mixer struct {
	vocabulary *Vocabulary
	mix        Mix
	plain      bool    // no pair has weight
	lead       int     // else the last pair that has
	weights    Weights // its
	swift      bool    // mixBlocks can mix: no pair counts, or one with both its models
	holes      []Token // ids without a token
	close      []bool  // blocks that mixBlocks cannot do: with holes, or at the vocabulary's end

	rows      Rows
	base      []float32 // the base's scores: its dense row's, or else completed
	completed []float32 // memory for them
	listed    []bool    // by a truncated row
	maxima    []float64
	least     float64 // a base score below it is implausible
	combined  Combination
	// Memory of what the combination tells.
	logProbs, baseLogProbs []float64
	ranking                ranking
}

// NewMixer panics if mix does not validate: callers validate what clients sent.
func NewMixer(v *Vocabulary, mix Mix) *Mixer {
	if err := mix.Validate(); err != nil {
		panic("eft: " + err.Error())
	}
	m := &Mixer{vocabulary: v, mix: mix, close: make([]bool, blocks(v.Size())), maxima: make([]float64, blocks(v.Size()))}
	active := 0
	for i, w := range mix.Pairs {
		if !w.Zero() {
			m.lead = i
			active++
		}
	}
	if active == 1 {
		m.weights = mix.Pairs[m.lead]
	}
	m.plain = active == 0
	m.swift = m.plain || active == 1 && m.weights.Tuned > 0 && m.weights.Untuned != 0
	for id, piece := range v.pieces {
		if piece == nil {
			m.holes = append(m.holes, Token(id))
			m.close[id/blockSize] = true
		}
	}
	if rest := v.Size() % blockSize; rest > 0 {
		m.close[v.Size()/blockSize] = true
	}
	return m
}

// Combine mixes one position. Where a log-prob of −∞ leaves a shift undefined
// there is none: an id impossible to the base stays so, and an id impossible to
// an untuned model is not shifted by that pair. It fails on rows of the wrong
// shape and on NaN or +∞ in them.
func (m *Mixer) Combine(rows Rows) (*Combination, error) {
	if len(rows.Pairs) != len(m.mix.Pairs) {
		return nil, fmt.Errorf("rows of %d pairs, weights of %d", len(rows.Pairs), len(m.mix.Pairs))
	}
	m.rows, m.combined = rows, Combination{mixer: m}
	if err := m.checkPairs(); err != nil {
		return nil, err
	}
	if err := m.readBase(); err != nil {
		return nil, fmt.Errorf("base row: %w", err)
	}
	if err := m.mixAll(); err != nil {
		return nil, err
	}
	return &m.combined, nil
}

// checkPairs checks the shapes of the rows of pairs with weight.
func (m *Mixer) checkPairs() error {
	for i, w := range m.mix.Pairs {
		if w.Zero() {
			continue
		}
		err := m.checkDense("tuned", m.rows.Pairs[i].Tuned)
		if err == nil && w.Untuned != 0 {
			err = m.checkDense("untuned", m.rows.Pairs[i].Untuned)
		}
		if err != nil {
			return fmt.Errorf("pair %d: %w", i, err)
		}
	}
	return nil
}

func (m *Mixer) checkDense(name string, row Row) error {
	if !row.Dense() {
		return fmt.Errorf("%s row is truncated or missing: small models must score the whole vocabulary", name)
	}
	if len(row.Scores) < m.vocabulary.Size() {
		return fmt.Errorf("%s row scores %d ids, the vocabulary has %d", name, len(row.Scores), m.vocabulary.Size())
	}
	return nil
}

// mixAll finds the greatest score of every block and the best ids, mixed and of the
// base.
func (m *Mixer) mixAll() error {
	best, at := m.sweep()
	m.least = best + math.Log(m.mix.Plausibility) // −∞ for none
	var b block
	for k, greatest := range m.maxima {
		doubt := !(greatest <= math.MaxFloat64)
		if !doubt && m.mix.Plausibility > 0 {
			if doubt = m.plausible(k); !doubt {
				m.maxima[k] = math.Inf(-1)
			}
		}
		if doubt {
			if !m.fill(k, &b) {
				return m.blame()
			}
			_, m.maxima[k] = b.greatest()
		}
	}
	k, top := greatest(m.maxima)
	if !finite(top) || !finite(best) {
		return m.blame()
	}
	m.fill(k, &b)
	i, _ := b.greatest()
	m.combined.Top = Token(k*blockSize + i)
	m.fillBase(at, &b)
	i, _ = b.greatest()
	m.combined.BaseTop = Token(at*blockSize + i)
	return nil
}

// plausible says whether block k has an id that the plausibility mask leaves.
func (m *Mixer) plausible(k int) bool {
	var b block
	m.fillBase(k, &b)
	for _, s := range b {
		if s >= m.least {
			return true
		}
	}
	return false
}

// sweep reads all rows once. It leaves NaN or +∞ in maxima for blocks that fill must mix, and
// returns the base's greatest score and its block.
func (m *Mixer) sweep() (best float64, at int) {
	best = math.Inf(-1)
	for k := 0; k < len(m.maxima); {
		end := k
		for m.swift && end < len(m.maxima) && !m.close[end] {
			end++
		}
		if end > k {
			if b, j := m.mixRun(k, end, best); j >= 0 {
				best, at = b, j
			}
			k = end
			continue
		}
		m.maxima[k] = math.NaN()
		var b block
		m.fillBase(k, &b)
		if _, g := b.greatest(); g > best {
			best, at = g, k
		}
		k++
	}
	return best, at
}

// mixRun is mixBlocks for the blocks [from, to).
func (m *Mixer) mixRun(from, to int, best float64) (float64, int) {
	t, u := m.pairScores()
	low, high := from*blockSize, to*blockSize
	// Best is a score of the float32 row, so nothing is lost.
	b, at := mixBlocks(m.base[low:high], t[low:high], u[low:high], m.mix.Base, m.weights, m.maxima[from:to], float32(best))
	if at >= 0 {
		at += from
	}
	return float64(b), at
}

// pairScores returns what mixBlocks adds with m.weights: the pair's scores or, for the
// base alone, scores that count for nothing.
func (m *Mixer) pairScores() (tuned, untuned []float32) {
	if m.plain {
		return m.base, m.base
	}
	return m.rows.Pairs[m.lead].Tuned.Scores, m.rows.Pairs[m.lead].Untuned.Scores
}

// fillBase writes the base's scores of block k.
func (m *Mixer) fillBase(k int, b *block) {
	low := k * blockSize
	if !m.close[k] {
		for i, s := range (*[blockSize]float32)(m.base[low:]) {
			b[i] = float64(s)
		}
		return
	}
	for i := range b {
		b[i] = math.Inf(-1)
		if m.vocabulary.Piece(Token(low+i)) != nil {
			b[i] = float64(m.base[low+i])
		}
	}
}

// fill writes the mixed scores of block k. It returns false if one of the rows has NaN
// or +∞ there.
func (m *Mixer) fill(k int, b *block) bool {
	if m.swift && m.mix.Plausibility == 0 && !m.close[k] {
		low := k * blockSize
		t, u := m.pairScores()
		base, tuned, untuned := (*[blockSize]float32)(m.base[low:]), (*[blockSize]float32)(t[low:]), (*[blockSize]float32)(u[low:])
		if fillBlock(b, base, tuned, untuned, m.mix.Base, m.weights) {
			return true
		}
	}
	m.fillBase(k, b)
	var base block
	if m.mix.Plausibility > 0 {
		base = *b
	}
	sound := true
	for i, s := range b {
		sound = sound && s <= math.MaxFloat64
		// Not by multiplication: 0·−∞ is NaN, and the impossible stays impossible.
		if !math.IsInf(s, -1) {
			b[i] = float64(m.mix.Base * s)
		}
	}
	for i, w := range m.mix.Pairs {
		if !w.Zero() {
			low, high := k*blockSize, min((k+1)*blockSize, m.vocabulary.Size())
			pair := m.rows.Pairs[i]
			var untuned []float32
			if w.Untuned != 0 {
				untuned = pair.Untuned.Scores[low:high]
			}
			sound = w.shift(b, pair.Tuned.Scores[low:high], untuned) && sound
		}
	}
	if m.mix.Plausibility > 0 {
		for i, s := range base {
			if s < m.least {
				b[i] = math.Inf(-1)
			}
		}
	}
	return sound
}

// shift adds the pair's shift to the scores of a block, which may end early. It returns
// false for NaN or +∞ among the pair's.
func (w Weights) shift(b *block, tuned, untuned []float32) bool {
	sound := true
	for i, x := range tuned {
		t, u := float64(x), 0.0
		if w.Untuned != 0 {
			u = float64(untuned[i])
		}
		sound = sound && t <= math.MaxFloat32 && u <= math.MaxFloat32
		if w.Tuned == 0 {
			t = 0 // −∞, too: what has no weight says nothing
		}
		if !math.IsInf(u, -1) {
			b[i] += float64(w.Tuned*t) - float64(w.Untuned*u)
		}
	}
	return sound
}

// blame says what is wrong with rows that could not be mixed.
func (m *Mixer) blame() error {
	base := make([]float64, 0, len(m.maxima)*blockSize)
	for k := range m.maxima {
		var b block
		m.fillBase(k, &b)
		base = append(base, b[:]...)
	}
	if norm := LogSumExp(base); !finite(norm) {
		return fmt.Errorf("base row: log-sum-exp is %v: the scores hold NaN or ∞, or are all −∞", norm)
	}
	for i, w := range m.mix.Pairs {
		if w.Zero() {
			continue
		}
		for _, row := range []struct {
			name   string
			scores []float32
		}{{"tuned", m.rows.Pairs[i].Tuned.Scores}, {"untuned", m.rows.Pairs[i].Untuned.Scores}} {
			for id, s := range row.scores[:min(len(row.scores), m.vocabulary.Size())] {
				if !(s <= math.MaxFloat32) {
					return fmt.Errorf("pair %d: the %s row holds NaN or ∞: id %d scores %v", i, row.name, id, s)
				}
			}
		}
	}
	_, top := greatest(m.maxima)
	return fmt.Errorf("mixed scores have no finite best (%v): no id has a chance", top)
}
