package eft

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestLogSumExp(t *testing.T) {
	inf := math.Inf(1)
	for name, c := range map[string]struct {
		x    []float64
		want float64
	}{
		"empty":                  {nil, -inf},
		"one":                    {[]float64{-3}, -3},
		"log 2":                  {[]float64{0, 0}, math.Ln2},
		"large values":           {[]float64{1000, 1000}, 1000 + math.Ln2},
		"tiny values":            {[]float64{-1000, -1000}, -1000 + math.Ln2},
		"an impossible one":      {[]float64{-inf, 2}, 2},
		"all impossible":         {[]float64{-inf, -inf}, -inf},
		"infinite":               {[]float64{inf, 0}, inf},
		"e⁰ + e¹ + e² = 11.1073": {[]float64{0, 1, 2}, 2.4076059644443806},
	} {
		if got := LogSumExp(c.x); got != c.want && !(math.Abs(got-c.want) < 1e-12) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	for _, x := range [][]float64{{math.NaN()}, {0, math.NaN()}, {math.Inf(-1), math.NaN()}, {inf, math.NaN()}} {
		if got := LogSumExp(x); !math.IsNaN(got) {
			t.Errorf("%v: got %v, want NaN", x, got)
		}
	}
}

// The formula written out a second time: normalised rows, one id at a time.
func formula(mix Mix, rows Rows, n int) []float64 {
	logSoftmax := func(row Row) []float64 {
		sum := 0.0
		for _, s := range row.Scores[:n] {
			sum += math.Exp(float64(s))
		}
		out := make([]float64, n)
		for i, s := range row.Scores[:n] {
			out[i] = math.Log(math.Exp(float64(s)) / sum)
		}
		return out
	}
	mixed := make([]float32, n)
	for i, b := range logSoftmax(rows.Base) {
		mixed[i] = float32(mix.Base * b)
	}
	for p, w := range mix.Pairs {
		tuned, untuned := logSoftmax(rows.Pairs[p].Tuned), logSoftmax(rows.Pairs[p].Untuned)
		for i := range mixed {
			mixed[i] += float32(w.Tuned*tuned[i] - w.Untuned*untuned[i])
		}
	}
	return logSoftmax(Row{Scores: mixed})
}

func TestCombineIsTheFormula(t *testing.T) {
	const n = 50
	r := rand.New(rand.NewPCG(1, 2))
	v := letters(n)
	for _, mix := range []Mix{
		{Base: 1},
		strength(1),
		strength(0.3),
		{Base: 1.5, Pairs: []Weights{{1, 1.5}}}, // amplification
		{Base: 1, Pairs: []Weights{{0.7, 0.7}, {0.3, 0.3}}},          // two traits
		{Base: 0, Pairs: []Weights{{1, 0.5}, {0, 0}, {0.25, -0.25}}}, // anything finite
	} {
		rows := Rows{Base: randomRow(r, n+7)} // the model pads its vocabulary
		for range mix.Pairs {
			rows.Pairs = append(rows.Pairs, PairRows{randomRow(r, n), randomRow(r, n+3)})
		}
		c := combine(t, v, mix, rows)
		want := formula(mix, rows, n)
		kl := 0.0
		base := formula(Mix{Base: 1}, Rows{Base: rows.Base}, n)
		for i := range want {
			if math.Abs(c.LogProbs()[i]-want[i]) > 1e-5 {
				t.Errorf("%+v: id %d: %v, want %v", mix, i, c.LogProbs()[i], want[i])
			}
			kl += math.Exp(want[i]) * (want[i] - base[i])
		}
		if math.Abs(c.KL()-kl) > 1e-5 {
			t.Errorf("%+v: KL %v, want %v", mix, c.KL(), kl)
		}
		if sum := LogSumExp(c.LogProbs()); math.Abs(sum) > 1e-12 {
			t.Errorf("%+v: log of the total mass is %v", mix, sum)
		}
		if c.Top != argmax(c.LogProbs()) || c.BaseTop != argmax(base) {
			t.Errorf("%+v: tops %d and %d", mix, c.Top, c.BaseTop)
		}
	}
}

func TestIdentitiesOfTheMix(t *testing.T) {
	const n = 64
	v := letters(n)
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		base, tuned, untuned := randomRow(r, n), randomRow(r, n), randomRow(r, n)
		alone := func(row Row) []float64 { return combine(t, v, Mix{Base: 1}, Rows{Base: row}).LogProbs() }
		same := func(name string, got, want []float64, tolerance float64) {
			for i := range want {
				if math.Abs(got[i]-want[i]) > tolerance {
					t.Fatalf("seed %d, %s: id %d: %v, want %v", seed, name, i, got[i], want[i])
				}
			}
		}
		if kl := combine(t, v, strength(0), Rows{Base: base, Pairs: []PairRows{{}}}).KL(); kl != 0 {
			t.Fatalf("seed %d: strength 0 is %v nats from the base", seed, kl)
		}
		pair := func(b, t, u Row) Rows { return Rows{Base: b, Pairs: []PairRows{{t, u}}} }
		same("strength 0 is the base", combine(t, v, strength(0), Rows{Base: base, Pairs: []PairRows{{}}}).LogProbs(), alone(base), 0)
		same("tuned = untuned is the base", combine(t, v, strength(1), pair(base, tuned, tuned)).LogProbs(), alone(base), 0)
		same("base = untuned at strength 1 is the tuned model", combine(t, v, strength(1), pair(untuned, tuned, untuned)).LogProbs(), alone(tuned), 1e-12)
	}
}

func TestPlausibilityMasksByTheBase(t *testing.T) {
	logs := func(p ...float64) Row {
		row := Row{}
		for _, x := range p {
			row.Scores = append(row.Scores, float32(math.Log(x)))
		}
		return row
	}
	rows := Rows{Base: logs(.5, .3, .04, .16), Pairs: []PairRows{{logs(.1, .1, .7, .1), logs(.25, .25, .25, .25)}}}
	mix := strength(1)
	mix.Plausibility = 0.1
	c := combine(t, letters(4), mix, rows)
	if !math.IsInf(c.LogProbs()[2], -1) {
		t.Errorf("id 2 has .08 of the best base probability and survived a share of .1: %v", c.LogProbs()[2])
	}
	// The rest keep their ratios: the shift is the same for ids 0, 1 and 3.
	if got := math.Exp(c.LogProbs()[0]); math.Abs(got-.5/.96) > 1e-6 {
		t.Errorf("p(0) = %v, want %v", got, .5/.96)
	}
}

func TestImpossibleIdsAreNotShiftedIntoNaN(t *testing.T) {
	inf := float32(math.Inf(-1))
	row := func(s ...float32) Row { return Row{Scores: s} }
	rows := Rows{
		Base:  row(0, 0, inf, 0, inf),
		Pairs: []PairRows{{row(0, inf, 0, inf, inf), row(0, 0, 0, inf, inf)}},
	}
	c := combine(t, letters(5), strength(1), rows)
	want := []float64{math.Log(.5), math.Inf(-1), math.Inf(-1), math.Log(.5), math.Inf(-1)}
	for i := range want {
		if c.LogProbs()[i] != want[i] && !(math.Abs(c.LogProbs()[i]-want[i]) < 1e-12) {
			t.Errorf("id %d: %v, want %v", i, c.LogProbs()[i], want[i])
		}
	}
}

func TestHolesAndPaddingNeverGetMass(t *testing.T) {
	v := NewVocabulary([][]byte{[]byte("a"), nil, []byte("b"), nil})
	rows := Rows{Base: Row{Scores: []float32{0, 50, 0, 50, 50}}, Pairs: []PairRows{{Row{Scores: []float32{0, 90, 0}}, Row{Scores: []float32{0, 0, 0}}}}}
	c := combine(t, v, strength(1), rows)
	if len(c.LogProbs()) != 3 || !math.IsInf(c.LogProbs()[1], -1) || math.Abs(c.LogProbs()[0]+math.Ln2) > 1e-12 {
		t.Errorf("got %v", c.LogProbs())
	}
}

func TestCombineRefusesBrokenRows(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	good := Row{Scores: []float32{1, 2, 3}}
	bad := func(x float32) Row { return Row{Scores: []float32{1, x, 3}} }
	pair := func(b, t, u Row) Rows { return Rows{Base: b, Pairs: []PairRows{{t, u}}} }
	for name, c := range map[string]struct {
		rows Rows
		says string
	}{
		"NaN in the base":      {pair(bad(nan), good, good), "NaN"},
		"infinity in the base": {pair(bad(inf), good, good), "NaN or ∞"},
		"base all impossible":  {pair(Row{Scores: []float32{-inf, -inf, -inf}}, good, good), "all −∞"},
		"short base":           {pair(Row{Scores: []float32{1}}, good, good), "scores 1 ids"},
		"no base":              {pair(Row{}, good, good), "lists 0 ids"},
		"NaN in tuned":         {pair(good, bad(nan), good), "NaN"},
		"infinity in tuned":    {pair(good, bad(inf), good), "∞"},
		"NaN in untuned":       {pair(good, good, bad(nan)), "NaN"},
		"infinity in untuned":  {pair(good, good, bad(inf)), "∞"},
		"no tuned":             {pair(good, Row{}, good), "tuned row is truncated"},
		"no untuned":           {pair(good, good, Row{}), "untuned row is truncated"},
		"short untuned":        {pair(good, good, Row{Scores: []float32{1}}), "untuned row scores 1 ids"},
		"pairs missing":        {Rows{Base: good}, "rows of 0 pairs"},
	} {
		_, err := NewMixer(letters(3), strength(1)).Combine(c.rows)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestMixValidates(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, mix := range map[string]Mix{
		"base weight NaN":        {Base: nan},
		"base weight negative":   {Base: -1},
		"base weight infinite":   {Base: inf},
		"tuned weight NaN":       {Pairs: []Weights{{nan, 0}}},
		"untuned weight ∞":       {Pairs: []Weights{{1, inf}}},
		"plausibility negative":  {Plausibility: -.1},
		"plausibility NaN":       {Plausibility: nan},
		"plausibility above one": {Plausibility: 1.1},
		"unknown tail":           {Tail: "flat"},
	} {
		if mix.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
		if !panics(func() { NewMixer(letters(2), mix) }) {
			t.Errorf("%s: NewMixer took it", name)
		}
	}
	if !(Mix{Pairs: []Weights{{}, {}}}).Plain() || strength(1).Plain() {
		t.Error("Plain is wrong")
	}
}
