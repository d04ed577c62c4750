package eft

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// truncate lists the k best ids of a dense row and the named ones behind them.
func truncate(row Row, n, k int, named ...Token) Row {
	dense := make([]float64, n)
	norm := LogSumExp(row.Scores[:n])
	for i := range dense {
		dense[i] = float64(row.Scores[i]) - norm
	}
	ids := make([]Token, n)
	for i := range ids {
		ids[i] = Token(i)
	}
	slices.SortStableFunc(ids, func(a, b Token) int { return cmp.Compare(dense[b], dense[a]) })
	ids = ids[:k]
	out := Row{Best: len(ids)}
	for _, id := range ids {
		out.IDs, out.LogProbs = append(out.IDs, id), append(out.LogProbs, float32(dense[id]))
		dense[id] = math.Inf(-1)
	}
	for _, id := range named {
		if !math.IsInf(dense[id], -1) {
			out.IDs, out.LogProbs = append(out.IDs, id), append(out.LogProbs, float32(dense[id]))
		}
	}
	return out
}

func TestListingEverythingIsTheDenseRow(t *testing.T) {
	const n = 40
	r := rand.New(rand.NewPCG(3, 4))
	v := letters(n)
	base, pair := randomRow(r, n), PairRows{randomRow(r, n), randomRow(r, n)}
	dense := combine(t, v, strength(1), Rows{base, []PairRows{pair}})
	all := combine(t, v, strength(1), Rows{truncate(base, n, n), []PairRows{pair}})
	if !all.Truncated || all.MissingMass > 1e-6 {
		t.Errorf("truncated %v, missing %v", all.Truncated, all.MissingMass)
	}
	for i := range dense.LogProbs() {
		if math.Abs(dense.LogProbs()[i]-all.LogProbs()[i]) > 1e-5 {
			t.Errorf("id %d: %v, dense %v", i, all.LogProbs()[i], dense.LogProbs()[i])
		}
	}
}

// Computed by hand: base .6 .2 | missing .2 over ids 2 and 3, untuned .1 and .3
// there, so .05 and .15, both below the least listed .2.
func TestTailFollowsTheUntunedModel(t *testing.T) {
	base := Row{IDs: []Token{1, 0}, LogProbs: []float32{float32(math.Log(.6)), float32(math.Log(.2))}, Best: 2}
	small := func(p ...float64) Row {
		row := Row{}
		for _, x := range p {
			row.Scores = append(row.Scores, float32(math.Log(x))+7)
		}
		return row
	}
	untuned := small(.3, .3, .1, .3)
	for name, c := range map[string]struct {
		tail  Tail
		tuned Row
		want  []float64
	}{
		"completed, no shift":         {TailUntuned, untuned, []float64{.2, .6, .05, .15}},
		"completed is the default":    {"", untuned, []float64{.2, .6, .05, .15}},
		"completed, tuned wants id 2": {TailUntuned, small(.1, .1, .7, .1), []float64{.2 / 3 / (.2/3 + .2 + .35 + .05), .2 / (.2/3 + .2 + .35 + .05), .35 / (.2/3 + .2 + .35 + .05), .05 / (.2/3 + .2 + .35 + .05)}},
		"dropped":                     {TailDrop, untuned, []float64{.25, .75, 0, 0}},
	} {
		mix := strength(1)
		mix.Tail = c.tail
		got := combine(t, letters(4), mix, Rows{base, []PairRows{{c.tuned, untuned}}})
		for i, want := range c.want {
			if math.Abs(math.Exp(got.LogProbs()[i])-want) > 1e-6 {
				t.Errorf("%s: p(%d) = %v, want %v", name, i, math.Exp(got.LogProbs()[i]), want)
			}
		}
		base := []float64{.2, .6, .05, .15}
		if c.tail == TailDrop {
			base = []float64{.25, .75, 0, 0}
		}
		for i, want := range base {
			if math.Abs(math.Exp(got.BaseLogProbs()[i])-want) > 1e-6 {
				t.Errorf("%s: the base's p(%d) = %v, want %v", name, i, math.Exp(got.BaseLogProbs()[i]), want)
			}
		}
		if math.Abs(got.MissingMass-.2) > 1e-6 {
			t.Errorf("%s: missing mass %v", name, got.MissingMass)
		}
	}
}

func TestTailStaysBelowTheLeastOfTheBest(t *testing.T) {
	// Missing mass .5 would put .45 on id 2; the least of the best has .2. Id 3 was
	// asked for by name and does not lower the bound.
	base := Row{
		IDs:      []Token{0, 1, 3},
		LogProbs: []float32{float32(math.Log(.29)), float32(math.Log(.2)), float32(math.Log(.01))},
		Best:     2,
	}
	untuned := Row{Scores: []float32{0, 0, float32(math.Log(9)), 0, 0}}
	c := combine(t, letters(5), strength(1), Rows{base, []PairRows{{untuned, untuned}}})
	ratio := math.Exp(c.LogProbs()[2] - c.LogProbs()[1])
	if math.Abs(ratio-1) > 1e-6 {
		t.Errorf("id 2 has %v of the least listed probability, want 1", ratio)
	}
	if ratio := math.Exp(c.LogProbs()[4] - c.LogProbs()[1]); math.Abs(ratio-.25) > 1e-6 {
		t.Errorf("id 4 has %v of the least listed probability, want .25", ratio)
	}
}

func TestTailIsDroppedWithoutAnUntunedModel(t *testing.T) {
	base := Row{IDs: []Token{1}, LogProbs: []float32{float32(math.Log(.5))}, Best: 1}
	tuned := Row{Scores: []float32{0, 0, 0}}
	for name, c := range map[string]struct {
		mix  Mix
		rows Rows
	}{
		"strength 0":    {strength(0), Rows{base, []PairRows{{}}}},
		"no pairs":      {Mix{Base: 1}, Rows{Base: base}},
		"add-only pair": {Mix{Base: 1, Pairs: []Weights{{1, 0}}}, Rows{base, []PairRows{{Tuned: tuned}}}},
	} {
		got := combine(t, letters(3), c.mix, c.rows)
		if got.LogProbs()[1] != 0 || !math.IsInf(got.LogProbs()[0], -1) {
			t.Errorf("%s: %v", name, got.LogProbs())
		}
	}
}

func TestListedMassAboveOneIsNormalised(t *testing.T) {
	base := Row{IDs: []Token{0, 1}, LogProbs: []float32{float32(math.Log(.7)), float32(math.Log(.31))}, Best: 2}
	untuned := Row{Scores: []float32{0, 0, 0}}
	c := combine(t, letters(3), strength(1), Rows{base, []PairRows{{untuned, untuned}}})
	if c.MissingMass != 0 || math.Abs(math.Exp(c.LogProbs()[0])-.7/1.01) > 1e-6 || !math.IsInf(c.LogProbs()[2], -1) {
		t.Errorf("missing %v, log-probs %v", c.MissingMass, c.LogProbs())
	}
}

func TestCombineRefusesBrokenTruncatedRows(t *testing.T) {
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		row  Row
		says string
	}{
		"more ids than log-probs": {Row{IDs: []Token{1, 2}, LogProbs: []float32{0}, Best: 1}, "2 ids and 1 log-probs"},
		"an id twice":             {Row{IDs: []Token{1, 1}, LogProbs: []float32{-1, -1}, Best: 2}, "id 1 twice"},
		"an unknown id":           {Row{IDs: []Token{7}, LogProbs: []float32{-1}, Best: 1}, "id 7"},
		"a negative id":           {Row{IDs: []Token{-1}, LogProbs: []float32{-1}, Best: 1}, "id -1"},
		"best out of range":       {Row{IDs: []Token{1}, LogProbs: []float32{-1}, Best: 2}, "2 of 1"},
		"NaN":                     {Row{IDs: []Token{1}, LogProbs: []float32{nan}, Best: 1}, "sum to NaN"},
		"no mass":                 {Row{IDs: []Token{1}, LogProbs: []float32{float32(math.Inf(-1))}, Best: 1}, "sum to 0"},
	} {
		_, err := NewMixer(letters(3), Mix{Base: 1}).Combine(Rows{Base: c.row})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// Completing the tail must not be further from the dense result than dropping it
// when the untuned model knows something of the base's tail.
func TestCompletingBeatsDroppingOnTheWhole(t *testing.T) {
	const n, k = 64, 5
	v := letters(n)
	drop, complete := 0.0, 0.0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 9))
		base, untuned, tuned := randomRow(r, n), randomRow(r, n), randomRow(r, n)
		for i := range untuned.Scores { // related models
			untuned.Scores[i] = base.Scores[i] + untuned.Scores[i]/3
			tuned.Scores[i] = untuned.Scores[i] + tuned.Scores[i]/3
		}
		distance := func(tail Tail, row Row) float64 {
			mix := strength(1)
			mix.Tail = tail
			dense := append([]float64(nil), combine(t, v, strength(1), Rows{base, []PairRows{{tuned, untuned}}}).LogProbs()...)
			got := combine(t, v, mix, Rows{row, []PairRows{{tuned, untuned}}}).LogProbs()
			d := 0.0
			for i := range got {
				d += math.Abs(math.Exp(dense[i])-math.Exp(got[i])) / 2
			}
			return d
		}
		drop += distance(TailDrop, truncate(base, n, k))
		complete += distance(TailUntuned, truncate(base, n, k))
	}
	if complete >= drop {
		t.Errorf("mean total variation: completed %.3f, dropped %.3f", complete/100, drop/100)
	}
}
