package eft

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// plainScores is the mix written out a second time, an id at a time and without blocks.
func plainScores(v *Vocabulary, mix Mix, rows Rows) []float64 {
	base := make([]float64, v.Size())
	for id := range base {
		base[id] = math.Inf(-1)
		if v.Piece(Token(id)) != nil {
			base[id] = float64(rows.Base.Scores[id])
		}
	}
	scores := make([]float64, v.Size())
	for id, b := range base {
		if math.IsInf(b, -1) || mix.Plausibility > 0 && b < slices.Max(base)+math.Log(mix.Plausibility) {
			scores[id] = math.Inf(-1)
			continue
		}
		scores[id] = float64(mix.Base * b)
		for i, w := range mix.Pairs {
			t, u := float64(rows.Pairs[i].Tuned.Scores[id]), float64(rows.Pairs[i].Untuned.Scores[id])
			if !math.IsInf(u, -1) {
				scores[id] += float64(w.Tuned*t) - float64(w.Untuned*u)
			}
		}
	}
	return scores
}

// plainNext is the sampler written out a second time: all scores, sorted, all noise. It
// returns −1 where nothing is left.
func plainNext(scores []float64, p Params, history []Token) Token {
	scores = slices.Clone(scores)
	for id := range scores {
		scores[id] += p.Bias[Token(id)]
		n := 0
		for _, h := range history {
			if h == Token(id) {
				n++
			}
		}
		if n > 0 {
			scores[id] -= p.Presence + float64(p.Frequency*float64(n))
		}
		if len(history) < p.MinTokens && slices.Contains(p.Ends, Token(id)) {
			scores[id] = math.Inf(-1)
		}
	}
	ids := make([]Token, len(scores))
	for i := range ids {
		ids[i] = Token(i)
	}
	slices.SortStableFunc(ids, func(a, b Token) int { return cmp.Compare(scores[b], scores[a]) })
	best := scores[ids[0]]
	if math.IsInf(best, -1) {
		return -1
	}
	if p.Temperature == 0 {
		return ids[0]
	}
	for id := range scores {
		scores[id] = (scores[id] - best) / p.Temperature
	}
	if p.TopK > 0 {
		ids = ids[:min(p.TopK, len(ids))]
	}
	whole, mass := 0.0, 0.0
	for _, id := range ids {
		whole += math.Exp(scores[id])
	}
	noise := newNoise(p.Seed, len(history))
	next, record := Token(-1), math.Inf(-1)
	for _, id := range ids {
		if p.TopP < 1 && mass >= p.TopP {
			break
		}
		mass += math.Exp(scores[id]) / whole
		if scores[id] < math.Log(p.MinP) {
			continue
		}
		if x := scores[id] + noise.of(id); x > record || x == record && id < next {
			next, record = id, x
		}
	}
	return next
}

// anyRow is a row as models give them, and as none should: ties, steps, spikes, ids
// without a chance.
func anyRow(r *rand.Rand, n int) Row {
	row, kind := randomRow(r, n), r.IntN(6)
	for i := range row.Scores {
		switch kind {
		case 0: // flat
			row.Scores[i] = 3
		case 1: // ties
			row.Scores[i] = float32(r.IntN(4))
		case 2: // peaked
			row.Scores[i] *= 40
		case 3: // impossible ids
			if r.IntN(3) == 0 {
				row.Scores[i] = float32(math.Inf(-1))
			}
		case 4: // far from 0
			row.Scores[i] += 1e6
		}
	}
	row.Scores[r.IntN(n)] = 9
	return row
}

func anyParams(r *rand.Rand, n int) Params {
	p := Params{Temperature: []float64{0, 1e-320, 1e-9, .3, .8, 1, 2}[r.IntN(7)], TopP: 1, Seed: r.Uint64()}
	if r.IntN(3) == 0 {
		p.TopK = r.IntN(n + 5)
	}
	if r.IntN(3) == 0 {
		p.TopP = 1 - r.Float64()*.9
	}
	if r.IntN(3) == 0 {
		p.MinP = r.Float64()
	}
	if r.IntN(3) == 0 {
		p.Presence, p.Frequency = r.Float64()*4-2, r.Float64()*4-2
	}
	if r.IntN(3) == 0 {
		p.Bias = map[Token]float64{}
		for range r.IntN(9) {
			p.Bias[Token(r.IntN(n+9))] = r.Float64()*200 - 100
		}
	}
	if r.IntN(3) == 0 {
		p.MinTokens = r.IntN(9)
		for range r.IntN(3) {
			p.Ends = append(p.Ends, Token(r.IntN(n+9)))
		}
	}
	return p
}

// anyVocabulary has n ids, or some less: holes.
func anyVocabulary(r *rand.Rand, n int) *Vocabulary {
	pieces := make([][]byte, n)
	holes := r.IntN(3) * r.IntN(10)
	for i := range pieces {
		if r.IntN(100) >= holes {
			pieces[i] = []byte{byte(i)}
		}
	}
	pieces[r.IntN(n)] = []byte("one at least")
	return NewVocabulary(pieces)
}

// comparePlain checks one drawn case and says whether it had a token.
func comparePlain(t *testing.T, r *rand.Rand) bool {
	t.Helper()
	n := 1 + r.IntN(400)
	v := anyVocabulary(r, n)
	mix := Mix{Base: []float64{1, 1, 1.5, 0}[r.IntN(4)], Plausibility: []float64{0, 0, 0, .1, 1}[r.IntN(5)]}
	rows := Rows{Base: anyRow(r, n+r.IntN(9))}
	for range []int{1, 1, 1, 0, 2}[r.IntN(5)] {
		weights := Weights{r.Float64() * 2, r.Float64() * 2}
		if r.IntN(2) == 0 {
			weights = Weights{1, 1}
		}
		mix.Pairs = append(mix.Pairs, weights)
		rows.Pairs = append(rows.Pairs, PairRows{anyRow(r, n), anyRow(r, n+1)})
	}
	scores := plainScores(v, mix, rows)
	top := argmax(scores)
	c, err := NewMixer(v, mix).Combine(rows)
	if err != nil {
		if !math.IsInf(scores[top], -1) {
			t.Fatalf("%+v: %v", mix, err)
		}
		return false
	}
	if c.Top != top {
		t.Fatalf("%+v: best id %d, want %d", mix, c.Top, top)
	}
	norm, base := LogSumExp(scores), c.BaseLogProbs()
	kl := 0.0
	for id, s := range scores {
		got := c.LogProbs()[id]
		if got != s-norm && !(math.Abs(got-(s-norm)) < 1e-12*max(1, math.Abs(norm))) || got != c.LogProb(Token(id)) {
			t.Fatalf("%+v: log-prob of id %d is %v and %v, want %v", mix, id, got, c.LogProb(Token(id)), s-norm)
		}
		if p := math.Exp(s - norm); p > 0 {
			kl += p * (s - norm - base[id])
		}
	}
	if got := c.KL(); math.Abs(got-kl) > 1e-9*max(1, math.Abs(norm)) {
		t.Fatalf("%+v: divergence %v, want %v", mix, got, kl)
	}
	s, p := (*Sampler)(nil), anyParams(r, n)
	s = NewSampler(p)
	var history []Token
	for range 1 + r.IntN(12) {
		got, err := s.Next(c, history)
		if errors.Is(err, ErrMasked) {
			got = -1
		}
		if want := plainNext(scores, p, history); got != want {
			t.Fatalf("%+v, %+v, %d ids, behind %v: %d, want %d", mix, p, n, history, got, want)
		}
		history = append(history, max(got, 0))
	}
	return true
}

func TestBlocksChangeNoToken(t *testing.T) {
	done := 0
	for seed := range uint64(6000) {
		if comparePlain(t, rand.New(rand.NewPCG(seed, 77))) {
			done++
		}
	}
	if done < 4000 {
		t.Errorf("only %d cases had a token", done)
	}
}

func FuzzBlocksChangeNoToken(f *testing.F) {
	f.Add(uint64(1), uint64(1))
	f.Fuzz(func(t *testing.T, a, b uint64) { comparePlain(t, rand.New(rand.NewPCG(a, b))) })
}
