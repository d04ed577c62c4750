package decode

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// naming is a base of rows cut to the k best that can be asked for tokens by name.
type naming struct {
	hashed
	k, names int
	asked    [][]eft.Token
	failure  error
	history  []eft.Token
}

func (b *naming) Open(_ context.Context, _ string, prompt []eft.Token) (Sequence, error) {
	return &namingText{base: b, prompt: prompt}, nil
}

type namingText struct {
	base   *naming
	prompt []eft.Token
}

func (t *namingText) scored(prefix []eft.Token) []eft.Scored {
	row := t.base.row(prefix)
	norm := eft.LogSumExp(row.Scores)
	var all []eft.Scored
	for id, s := range row.Scores {
		all = append(all, eft.Scored{ID: eft.Token(id), LogProb: float32(float64(s) - norm)})
	}
	return all
}

func (t *namingText) Rows(_ context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	var rows []eft.Row
	for i := range len(path) + 1 {
		rows = append(rows, eft.Canonical(t.scored(slices.Concat(t.prompt, generated, path[:i])), t.base.k))
	}
	return rows, nil
}

func (t *namingText) Names() int { return t.base.names }

func (t *namingText) Named(_ context.Context, generated, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	if t.base.failure != nil {
		return nil, t.base.failure
	}
	var out [][]eft.Scored
	for i, ids := range names {
		t.base.asked = append(t.base.asked, slices.Clone(ids))
		all := t.scored(slices.Concat(t.prompt, generated, path[:i]))
		var scored []eft.Scored
		for _, id := range ids {
			scored = append(scored, all[id])
		}
		out = append(out, scored)
	}
	return out, nil
}

func (t *namingText) Close() {}

func named(k, names int) (Request, *naming) {
	base := &naming{hashed: hashed{name: "base"}, k: k, names: names}
	r := request(&base.hashed, pair("chat"))
	r.Base = base
	return r, base
}

func TestWhatTheTunedModelWantsIsExact(t *testing.T) {
	r, base := named(3, 4)
	vocabulary, seen := vocabulary(), 0
	_, err := Run(t.Context(), r, func(s Step) bool {
		row := s.Rows.Base
		if row.Best != 3 {
			t.Fatalf("%d best, want 3", row.Best)
		}
		truth := (&namingText{base: base, prompt: r.Prompt}).scored(slices.Concat(r.Prompt, base.history))
		tuned, untuned := s.Rows.Pairs[0].Tuned, s.Rows.Pairs[0].Untuned
		mixed := func(id eft.Token) float64 {
			return float64(truth[id].LogProb + tuned.Scores[id] - untuned.Scores[id])
		}
		best := math.Inf(-1)
		for _, id := range row.IDs[:row.Best] {
			best = max(best, mixed(id))
		}
		for _, id := range vocabulary.Best(nil, tuned, 4) {
			at := slices.Index(row.IDs, id)
			unlikely := vocabulary.LogProb(tuned, id) < vocabulary.LogProb(tuned, vocabulary.Best(nil, tuned, 1)[0])+math.Log(wantedShare)
			if at < 0 && (unlikely || mixed(id) < best+math.Log(wantedShare)) {
				continue
			}
			if at < 0 || math.Abs(float64(row.LogProbs[at]-truth[id].LogProb)) > 1e-6 {
				t.Fatalf("position %d: token %d, which the tuned model wants, is not what the base says: %+v", s.Position, id, row)
			}
			seen++
		}
		base.history = append(base.history, s.Token)
		return true
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d tokens looked at, %v", seen, err)
	}
	for _, ids := range base.asked {
		if len(ids) == 0 || len(ids) > 4 {
			t.Errorf("asked for %v: want 1 to 4 names, none that is listed", ids)
		}
	}
}

func TestPathsDoNotChangeWhatIsNamed(t *testing.T) {
	r, _ := named(2, 3)
	want, _ := run(t, r)
	for seed := range uint64(5) {
		r, _ := named(2, 3)
		r.Drafter = guesser{answer: want, by: Guesser(1 + seed%2), length: 4, right: .7, rand: rand.New(rand.NewPCG(seed, 1))}
		if got, _ := run(t, r); !slices.Equal(got, want) {
			t.Fatalf("with drafts %v, without %v", got, want)
		}
	}
}

func TestNothingIsNamedInVain(t *testing.T) {
	for what, change := range map[string]func(*Request, *naming){
		"no weight":         func(r *Request, _ *naming) { r.Mix.Pairs[0] = eft.Weights{} },
		"no names":          func(_ *Request, b *naming) { b.names = 0 },
		"everything listed": func(_ *Request, b *naming) { b.k = size },
	} {
		r, base := named(3, 4)
		change(&r, base)
		run(t, r)
		if len(base.asked) > 0 {
			t.Errorf("%s: asked for %v", what, base.asked)
		}
	}
}

func TestABaseThatCannotNameEndsTheText(t *testing.T) {
	r, base := named(3, 4)
	base.failure = errors.New("gone")
	if _, err := Run(t.Context(), r, func(Step) bool { return true }); !errors.Is(err, base.failure) {
		t.Errorf("%v, want the base's own error", err)
	}
}
