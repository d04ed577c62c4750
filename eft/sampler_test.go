package eft

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// probs is the combination of a base that gives ids these probabilities.
func probs(p ...float64) *Combination {
	row := Row{}
	for _, x := range p {
		row.Scores = append(row.Scores, float32(math.Log(x)))
	}
	return alone(row)
}

// alone is the combination of a base without pairs.
func alone(row Row) *Combination {
	c, err := NewMixer(letters(len(row.Scores)), Mix{Base: 1}).Combine(Rows{Base: row})
	if err != nil {
		panic(err)
	}
	return c
}

// draw takes n tokens, each at another seed, and counts them.
func draw(t *testing.T, c *Combination, p Params, n int) []float64 {
	t.Helper()
	counts := make([]float64, c.mixer.vocabulary.Size())
	for seed := range n {
		p.Seed = uint64(seed)
		id, err := NewSampler(p).Next(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		counts[id] += 1 / float64(n)
	}
	return counts
}

func TestGumbelArgmaxFollowsTheDistribution(t *testing.T) {
	const n = 20000
	c := probs(.5, .3, .15, .05)
	for name, x := range map[string]struct {
		p    Params
		want []float64
	}{
		"as it is":             {Params{Temperature: 1, TopP: 1}, []float64{.5, .3, .15, .05}},
		"temperature ½":        {Params{Temperature: .5, TopP: 1}, []float64{.25 / .365, .09 / .365, .0225 / .365, .0025 / .365}},
		"top_k 2":              {Params{Temperature: 1, TopK: 2, TopP: 1}, []float64{.625, .375, 0, 0}},
		"top_p .79":            {Params{Temperature: 1, TopP: .79}, []float64{.625, .375, 0, 0}},
		"top_p .81":            {Params{Temperature: 1, TopP: .81}, []float64{.5 / .95, .3 / .95, .15 / .95, 0}},
		"top_k then top_p":     {Params{Temperature: 1, TopK: 3, TopP: .52}, []float64{1, 0, 0, 0}},
		"min_p .29":            {Params{Temperature: 1, TopP: 1, MinP: .29}, []float64{.5 / .95, .3 / .95, .15 / .95, 0}},
		"top_k above the size": {Params{Temperature: 1, TopK: 99, TopP: 1}, []float64{.5, .3, .15, .05}},
		"bias of id 3":         {Params{Temperature: 1, TopP: 1, Bias: map[Token]float64{3: math.Log(10)}}, []float64{.5 / 1.45, .3 / 1.45, .15 / 1.45, .5 / 1.45}},
		"end masked":           {Params{Temperature: 1, TopP: 1, Ends: []Token{0}, MinTokens: 1}, []float64{0, .6, .3, .1}},
	} {
		got := draw(t, c, x.p, n)
		for id, want := range x.want {
			// Five standard deviations of a binomial share.
			if bound := 5 * math.Sqrt(want*(1-want)/n); math.Abs(got[id]-want) > bound+1e-9 {
				t.Errorf("%s: id %d at %.4f, want %.4f ± %.4f", name, id, got[id], want, bound)
			}
		}
	}
}

func TestNoiseIsUniformOverPositionsAndIds(t *testing.T) {
	// The mean of Gumbel noise is Euler's γ, its variance π²/6.
	for name, at := range map[string]func(i int) float64{
		"along ids":       func(i int) float64 { return newNoise(7, 3).of(Token(i)) },
		"along positions": func(i int) float64 { return newNoise(7, i).of(5) },
		"along seeds":     func(i int) float64 { return newNoise(uint64(i), 3).of(5) },
	} {
		const n = 100000
		sum, squares, serial, last := 0.0, 0.0, 0.0, 0.0
		const gamma = 0.5772156649015329
		for i := range n {
			g := at(i) - gamma
			sum, squares, serial = sum+g, squares+g*g, serial+g*last
			last = g
		}
		deviation := math.Pi / math.Sqrt(6)
		if mean := sum / n; math.Abs(mean) > 5*deviation/math.Sqrt(n) {
			t.Errorf("%s: mean off by %v", name, mean)
		}
		if v := squares / n; math.Abs(v-deviation*deviation) > .05 {
			t.Errorf("%s: variance %v", name, v)
		}
		if c := serial / n; math.Abs(c) > 5*deviation*deviation/math.Sqrt(n) {
			t.Errorf("%s: neighbours correlate: %v", name, c)
		}
	}
}

func TestGreedyTakesTheLowestOfEquals(t *testing.T) {
	for name, c := range map[string]struct {
		c    *Combination
		p    Params
		want Token
	}{
		"tiny temperature": {probs(.3, .1, .6), Params{Temperature: 1e-320, TopP: .9, MinP: .1}, 2},
		"tie":              {probs(.1, .4, .4, .1), Params{TopP: 1}, 1},
		"filters beside":   {probs(.1, .3, .6), Params{TopP: .01, TopK: 1, MinP: 1}, 2},
		"seed beside":      {probs(.1, .3, .6), Params{TopP: 1, Seed: 99}, 2},
		"bias moves it":    {probs(.1, .3, .6), Params{TopP: 1, Bias: map[Token]float64{0: 100, 77: 100}}, 0},
		"end masked":       {probs(.1, .3, .6), Params{TopP: 1, Ends: []Token{2, 77}, MinTokens: 1}, 1},
		"ties under top_k": {probs(.25, .25, .25, .25), Params{Temperature: 1, TopP: 1, TopK: 1}, 0},
	} {
		if got, err := NewSampler(c.p).Next(c.c, nil); err != nil || got != c.want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, c.want)
		}
	}
}

func TestPenaltiesCountGeneratedTokens(t *testing.T) {
	c := probs(.4, .35, .25)
	for name, x := range map[string]struct {
		p         Params
		generated []Token
		want      Token
	}{
		"nothing generated":        {Params{TopP: 1, Presence: 2}, nil, 0},
		"presence":                 {Params{TopP: 1, Presence: .2}, []Token{0}, 1},
		"presence counts once":     {Params{TopP: 1, Presence: .1}, []Token{0, 0, 0, 0}, 0},
		"frequency":                {Params{TopP: 1, Frequency: .1}, []Token{0, 0}, 1},
		"frequency of two":         {Params{TopP: 1, Frequency: .2}, []Token{0, 0, 0, 1, 1, 1}, 2},
		"negative draws it in":     {Params{TopP: 1, Frequency: -1}, []Token{2}, 2},
		"foreign ids are harmless": {Params{TopP: 1, Frequency: 1}, []Token{500}, 0},
	} {
		if got, err := NewSampler(x.p).Next(c, x.generated); err != nil || got != x.want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, x.want)
		}
	}
}

func TestNextDependsOnItsArgumentsOnly(t *testing.T) {
	const n = 60
	r := rand.New(rand.NewPCG(8, 8))
	v := letters(n)
	p := Params{Temperature: .9, TopK: 40, TopP: .95, MinP: .01, Presence: .5, Frequency: .3, Seed: 11}
	used := NewSampler(p)
	for range 300 {
		c := combine(t, v, Mix{Base: 1}, Rows{Base: randomRow(r, n)})
		history := make([]Token, r.IntN(20))
		for i := range history {
			history[i] = Token(r.IntN(n))
		}
		want, err := NewSampler(p).Next(c, history)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := used.Next(c, history); got != want {
			t.Fatalf("a used sampler takes %d, a fresh one %d", got, want)
		}
	}
}

func TestNextSaysWhenNothingIsLeft(t *testing.T) {
	_, err := NewSampler(Params{TopP: 1, Ends: []Token{0, 1}, MinTokens: 3}).Next(probs(.5, .5), nil)
	if err == nil || !strings.Contains(err.Error(), "leave no token at position 0") {
		t.Errorf("got %v", err)
	}
}

func TestParamsValidate(t *testing.T) {
	nan := math.NaN()
	for name, p := range map[string]Params{
		"temperature":     {Temperature: 2.1, TopP: 1},
		"temperature NaN": {Temperature: nan, TopP: 1},
		"top_k":           {TopK: -1, TopP: 1},
		"top_p zero":      {TopP: 0},
		"top_p above":     {TopP: 1.1},
		"top_p NaN":       {TopP: nan},
		"min_p":           {TopP: 1, MinP: 2},
		"presence":        {TopP: 1, Presence: -2.1},
		"frequency NaN":   {TopP: 1, Frequency: nan},
		"min_tokens":      {TopP: 1, MinTokens: -1},
		"logit_bias":      {TopP: 1, Bias: map[Token]float64{1: 101}},
		"logit_bias NaN":  {TopP: 1, Bias: map[Token]float64{1: nan}},
	} {
		err := p.Validate()
		if err == nil || !strings.Contains(err.Error(), strings.Fields(name)[0]) {
			t.Errorf("%s: %v", name, err)
		}
		if !panics(func() { NewSampler(p) }) {
			t.Errorf("%s: NewSampler took it", name)
		}
	}
}

func TestChoiceSeeds(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(50) {
		for i := range 20 {
			seen[ChoiceSeed(seed, i)] = true
		}
		if ChoiceSeed(seed, 0) != seed {
			t.Errorf("answer 0 of seed %d has seed %d", seed, ChoiceSeed(seed, 0))
		}
	}
	if len(seen) != 50*20 {
		t.Errorf("%d different seeds of 1000", len(seen))
	}
}

func TestBestRanksByScoreThenId(t *testing.T) {
	c := alone(Row{Scores: []float32{-1, float32(math.Inf(-1)), -.5, -1, -.5}})
	if got := c.Best(nil, 3); !slices.Equal(got, []Token{2, 4, 0}) {
		t.Errorf("3 best: %v", got)
	}
	if got := c.Best(nil, 9); !slices.Equal(got, []Token{2, 4, 0, 3}) {
		t.Errorf("9 best: %v", got)
	}
}

func TestLogProbOfARow(t *testing.T) {
	v := letters(2)
	if got := v.LogProb(Row{Scores: []float32{3, 3, 50}}, 1); math.Abs(got+math.Ln2) > 1e-12 {
		t.Errorf("dense: %v", got)
	}
	truncated := Row{IDs: []Token{1}, LogProbs: []float32{-.25}, Best: 1}
	if got := v.LogProb(truncated, 1); got != -.25 {
		t.Errorf("listed: %v", got)
	}
	for name, got := range map[string]float64{"unlisted": v.LogProb(truncated, 0), "beyond": v.LogProb(Row{Scores: []float32{1}}, 1)} {
		if !math.IsInf(got, -1) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
