package eft

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestACanonicalRowIsTheSameWhoeverListedIt(t *testing.T) {
	listed := []Scored{{7, -1}, {2, -3}, {9, -1}, {4, -2}, {5, float32(math.Inf(-1))}, {1, -2}}
	want := Row{IDs: []Token{7, 9, 1, 4}, LogProbs: []float32{-1, -1, -2, -2}, Best: 4}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r.Shuffle(len(listed), func(i, j int) { listed[i], listed[j] = listed[j], listed[i] })
		got := Canonical(slices.Clone(listed), 4)
		if !slices.Equal(got.IDs, want.IDs) || !slices.Equal(got.LogProbs, want.LogProbs) || got.Best != want.Best {
			t.Fatalf("of %v: %+v, want %+v", listed, got, want)
		}
	}
}

func TestACanonicalRowOfManyIsThatOfASort(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 8))
	for range 300 {
		var listed []Scored
		for id := range Token(1 + r.IntN(900)) {
			listed = append(listed, Scored{id, float32(-r.IntN(60))})
		}
		want := slices.Clone(listed)
		slices.SortStableFunc(want, func(a, b Scored) int { return int(b.LogProb - a.LogProb) })
		r.Shuffle(len(listed), func(i, j int) { listed[i], listed[j] = listed[j], listed[i] })
		k := r.IntN(120)
		got := Canonical(listed, k)
		if len(got.IDs) != min(k, len(want)) {
			t.Fatalf("%d ids of the %d best", len(got.IDs), k)
		}
		for i, id := range got.IDs {
			if id != want[i].ID || got.LogProbs[i] != want[i].LogProb {
				t.Fatalf("place %d of %d: id %d with %v, want %+v", i, k, id, got.LogProbs[i], want[i])
			}
		}
	}
}

func TestACanonicalRowListsFewerWhereThereAreFewer(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	got := Canonical([]Scored{{3, -1}, {4, nan}, {5, inf}}, 20)
	if !slices.Equal(got.IDs, []Token{3}) || got.Best != 1 {
		t.Errorf("%+v, want id 3 alone", got)
	}
}

func TestNamedTokensStandBehindTheBest(t *testing.T) {
	row := Row{IDs: []Token{3, 8, 40}, LogProbs: []float32{-1, -2, -9}, Best: 2}
	got := row.WithNamed([]Scored{{9, -5}, {8, -2.5}, {1, -4}, {6, float32(math.Inf(-1))}})
	if !slices.Equal(got.IDs, []Token{3, 8, 1, 9}) || !slices.Equal(got.LogProbs, []float32{-1, -2, -4, -5}) || got.Best != 2 {
		t.Errorf("%+v, want 3 8 | 1 9 with the best's own log-probs", got)
	}
	if !slices.Equal(row.IDs, []Token{3, 8, 40}) {
		t.Errorf("the row that was completed became %v", row.IDs)
	}
	if dense := (Row{Scores: []float32{1, 2}}).WithNamed([]Scored{{0, -1}}); !dense.Dense() || dense.IDs != nil {
		t.Errorf("a dense row became %+v", dense)
	}
}

func TestTheBestOfARowAreThoseOfASort(t *testing.T) {
	const n = 60
	v := letters(n)
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		row := Row{}
		for range n + 4 { // padded
			row.Scores = append(row.Scores, float32(r.IntN(12)))
		}
		ids := make([]Token, n)
		for i := range ids {
			ids[i] = Token(i)
		}
		slices.SortStableFunc(ids, func(a, b Token) int { return int(row.Scores[b]) - int(row.Scores[a]) })
		k := r.IntN(n + 10)
		if got, want := v.Best([]Token{77}, row, k), append([]Token{77}, ids[:min(k, n)]...); !slices.Equal(got, want) {
			t.Fatalf("best %d of %v: %v, want %v", k, row.Scores, got, want)
		}
	}
}
