package decode

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
)

const size = 32

func vocabulary() *eft.Vocabulary {
	pieces := make([][]byte, size)
	for i := range pieces {
		pieces[i] = []byte{byte('A' + i)}
	}
	return eft.NewVocabulary(pieces)
}

var hashSeed = maphash.MakeSeed()

// hashed is a model whose row is a function of its name and the whole prefix.
// It counts what is open and fails or blocks on demand.
type hashed struct {
	name     string
	open     atomic.Int32
	calls    atomic.Int32
	fail     error
	block    bool
	short    bool
	truncate bool
}

func (m *hashed) Open(_ context.Context, _ string, prompt []eft.Token) (Sequence, error) {
	if m.name == "unopenable" {
		return nil, errors.New("no room")
	}
	m.open.Add(1)
	return &hashedText{model: m, prompt: prompt}, nil
}

func (m *hashed) row(prefix []eft.Token) eft.Row {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	fmt.Fprint(&h, m.name, prefix)
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	row := eft.Row{Scores: make([]float32, size)}
	for i := range row.Scores {
		row.Scores[i] = float32(r.NormFloat64() * 2)
	}
	if m.truncate {
		norm := eft.LogSumExp(row.Scores)
		cut := eft.Row{}
		for id, s := range row.Scores {
			if s > 0 {
				cut.IDs, cut.LogProbs = append(cut.IDs, eft.Token(id)), append(cut.LogProbs, s-float32(norm))
			}
		}
		cut.Best = len(cut.IDs)
		return cut
	}
	return row
}

type hashedText struct {
	model  *hashed
	prompt []eft.Token
	closed bool
}

func (t *hashedText) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	t.model.calls.Add(1)
	if t.model.block {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if t.model.fail != nil {
		return nil, t.model.fail
	}
	prefix := slices.Concat(t.prompt, generated)
	rows := []eft.Row{t.model.row(prefix)}
	for _, guess := range path {
		prefix = append(prefix, guess)
		rows = append(rows, t.model.row(prefix))
	}
	if t.model.short {
		rows = rows[1:]
	}
	return rows, nil
}

func (t *hashedText) Close() {
	if !t.closed {
		t.model.open.Add(-1)
	}
	t.closed = true
}

// hashedPair is a pair of hashed models; a nil untuned only adds.
type hashedPair struct{ tuned, untuned *hashed }

func (p hashedPair) Open(ctx context.Context, tenant string, prompts PairPrompts) (PairSequence, error) {
	tuned, err := p.tuned.Open(ctx, tenant, prompts.Tuned)
	if err != nil {
		return nil, err
	}
	untuned, err := p.untuned.Open(ctx, tenant, prompts.Untuned)
	return hashedPairText{tuned, untuned}, err
}

type hashedPairText struct{ tuned, untuned Sequence }

func (t hashedPairText) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.PairRows, error) {
	tuned, err := t.tuned.Rows(ctx, generated, path)
	if err != nil {
		return nil, err
	}
	untuned, err := t.untuned.Rows(ctx, generated, path)
	if err != nil {
		return nil, err
	}
	rows := make([]eft.PairRows, len(tuned))
	for i := range rows {
		rows[i] = eft.PairRows{Tuned: tuned[i], Untuned: untuned[i]}
	}
	return rows, nil
}

func (t hashedPairText) Close() { t.tuned.Close(); t.untuned.Close() }

// guesser drafts the tokens of a known answer, some of them spoilt.
type guesser struct {
	answer []eft.Token
	by     Guesser
	length int
	right  float64
	rand   *rand.Rand
}

func (g guesser) Begin(Text) Drafting { return g }

func (g guesser) Next(int) Draft { // more than the limit on purpose
	return Draft{By: g.by, Length: g.length, Ahead: g.rand.IntN(4)}
}

func (g guesser) Garble(position int, _ eft.Token) eft.Token {
	if position < len(g.answer) && g.rand.Float64() < g.right {
		return g.answer[position]
	}
	return eft.Token(g.rand.IntN(size))
}

func (guesser) Sent(int)    {}
func (guesser) Learn(Round) {}
func (guesser) End()        {}

func request(base *hashed, pairs ...hashedPair) Request {
	r := Request{Vocabulary: vocabulary(), Base: base, Prompt: []eft.Token{1, 2, 3}, Mix: eft.Mix{Base: 1}, Params: eft.Params{TopP: 1}, MaxTokens: 40}
	for i, p := range pairs {
		r.Experts = append(r.Experts, Expert{p, PairPrompts{[]eft.Token{4, eft.Token(i)}, []eft.Token{5}}})
		r.Mix.Pairs = append(r.Mix.Pairs, eft.Weights{Tuned: 1, Untuned: 1})
	}
	return r
}

func run(t *testing.T, r Request) ([]eft.Token, Report) {
	t.Helper()
	var tokens []eft.Token
	report, err := Run(t.Context(), r, func(s Step) bool {
		if s.Position != len(tokens) {
			t.Fatalf("step at position %d after %d tokens", s.Position, len(tokens))
		}
		tokens = append(tokens, s.Token)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens, report
}

func model(name string) *hashed { return &hashed{name: name} }

func pair(name string) hashedPair {
	return hashedPair{model(name + " tuned"), model(name + " untuned")}
}

func TestAnyPathGivesTheSameTokens(t *testing.T) {
	for _, params := range []eft.Params{
		{TopP: 1},
		{Temperature: 1, TopP: 1, Seed: 7},
		{Temperature: .8, TopP: .9, TopK: 20, MinP: .01, Presence: .4, Frequency: .2, Bias: map[eft.Token]float64{3: 2}, Seed: 8, Ends: []eft.Token{9}, MinTokens: 10},
	} {
		for seed := range uint64(60) {
			r := request(model(fmt.Sprint("base", seed)), pair("chat"), pair("safe"))
			r.Params = params
			r.Params.Seed += seed
			r.Base.(*hashed).truncate = seed%3 == 0
			want, plain := run(t, r)
			random := rand.New(rand.NewPCG(seed, 0))
			r.Drafter = guesser{want, Guesser(seed % 3), random.IntN(9), float64(seed%5) / 4, random}
			got, drafted := run(t, r)
			if !slices.Equal(got, want) {
				t.Fatalf("%+v, seed %d: with paths %v, without %v", params, seed, got, want)
			}
			if drafted.Finish != plain.Finish || drafted.Changed != plain.Changed || drafted.KL != plain.KL || drafted.MissingMass != plain.MissingMass {
				t.Errorf("seed %d: report %+v with paths, %+v without", seed, drafted, plain)
			}
			if drafted.BaseCalls+drafted.Agreed < drafted.Tokens || drafted.Agreed > drafted.Drafted {
				t.Errorf("seed %d: counts do not add up: %+v", seed, drafted)
			}
		}
	}
}

func TestPerfectGuessesTakeFewRounds(t *testing.T) {
	r := request(model("base"), pair("chat"))
	want, plain := run(t, r)
	r.Drafter = guesser{want, Tuned, 7, 1, rand.New(rand.NewPCG(1, 1))}
	got, report := run(t, r)
	if !slices.Equal(got, want) || report.BaseCalls != 5 || plain.BaseCalls != 40 {
		t.Errorf("%d rounds with paths of 7, %d without, for 40 tokens", report.BaseCalls, plain.BaseCalls)
	}
}

func TestIdentities(t *testing.T) {
	for seed := range uint64(50) {
		for _, temperature := range []float64{0, 1} {
			with := func(r Request) []eft.Token {
				r.Params = eft.Params{Temperature: temperature, TopP: 1, Seed: seed}
				tokens, _ := run(t, r)
				return tokens
			}
			base, small, tuned := model(fmt.Sprint("base", seed)), model("small"), model("tuned")
			alone := with(request(base))

			zero := request(base, hashedPair{tuned, small})
			zero.Mix.Pairs[0] = eft.Weights{}
			if got := with(zero); !slices.Equal(got, alone) {
				t.Fatalf("strength 0 is not the base: %v, %v", got, alone)
			}
			if n := tuned.calls.Load() + small.calls.Load(); n != 0 {
				t.Fatalf("strength 0 ran the small models %d times", n)
			}

			equal := request(base, hashedPair{tuned, tuned})
			equal.Experts[0].Prompts = PairPrompts{[]eft.Token{4}, []eft.Token{4}}
			if got := with(equal); !slices.Equal(got, alone) {
				t.Fatalf("tuned = untuned is not the base: %v, %v", got, alone)
			}

			swapped := request(small, hashedPair{tuned, small})
			prompt := swapped.Prompt
			swapped.Experts[0].Prompts = PairPrompts{prompt, prompt}
			if got, want := with(swapped), with(request(tuned)); !slices.Equal(got, want) {
				t.Fatalf("base = untuned at strength 1 is not the tuned model: %v, %v", got, want)
			}
		}
	}
}

func TestTextsEnd(t *testing.T) {
	free, _ := run(t, request(model("base")))
	end := free[5]
	first := slices.Index(free, end)
	for name, c := range map[string]struct {
		change func(*Request)
		tokens int
		finish Finish
	}{
		"at MaxTokens":               {func(r *Request) { r.MaxTokens = 3 }, 3, FinishLength},
		"without room":               {func(r *Request) { r.MaxTokens = 0 }, 0, FinishLength},
		"with an end token":          {func(r *Request) { r.Params.Ends = []eft.Token{end} }, first + 1, FinishEnd},
		"not with an ignored one":    {func(r *Request) { r.Params.Ends = []eft.Token{end}; r.IgnoreEnd = true }, 40, FinishLength},
		"end token as the last room": {func(r *Request) { r.Params.Ends = []eft.Token{end}; r.MaxTokens = first + 1 }, first + 1, FinishEnd},
	} {
		r := request(model("base"))
		c.change(&r)
		for _, drafter := range []Drafter{nil, Fixed{}, Fixed{By: Own, Length: 8}, guesser{free, Tuned, 8, 1, rand.New(rand.NewPCG(1, 1))}} {
			r.Drafter = drafter
			tokens, report := run(t, r)
			if len(tokens) != c.tokens || report.Finish != c.finish || report.Tokens != c.tokens {
				t.Errorf("%s, %T: %d tokens, %+v; want %d, %s", name, drafter, len(tokens), report, c.tokens, c.finish)
			}
		}
	}
}

func TestEmitStopsWithinThePath(t *testing.T) {
	base := model("base")
	r := request(base)
	answer, _ := run(t, r)
	r.Drafter = guesser{answer, Own, 8, 1, rand.New(rand.NewPCG(1, 1))}
	emitted := 0
	report, err := Run(t.Context(), r, func(Step) bool { emitted++; return emitted < 4 })
	if err != nil || emitted != 4 || report.Finish != FinishStopped || report.Tokens != 4 {
		t.Errorf("%d emitted, %+v, %v", emitted, report, err)
	}
}

func TestEndStepsAreMarked(t *testing.T) {
	r := request(model("base"))
	free, _ := run(t, r)
	r.Params.Ends = []eft.Token{free[0]}
	r.IgnoreEnd = true
	_, err := Run(t.Context(), r, func(s Step) bool {
		if s.End != (s.Token == free[0]) {
			t.Errorf("token %d marked %v", s.Token, s.End)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailuresEndTheTextAndCloseEverything(t *testing.T) {
	broken := errors.New("broken")
	failing := func(name string) *hashed { m := model(name); m.fail = broken; return m }
	short := func(name string) *hashed { m := model(name); m.short = true; return m }
	blocked := func(name string) *hashed { m := model(name); m.block = true; return m }
	for name, c := range map[string]struct {
		base *hashed
		pair hashedPair
		says string
	}{
		"base fails, pair waits":  {failing("b"), hashedPair{blocked("t"), model("u")}, "base: broken"},
		"pair fails, base waits":  {blocked("b"), hashedPair{failing("t"), model("u")}, "pair 0: broken"},
		"base gives too few rows": {short("b"), pair("p"), "base: wrong number of rows: 0 for a path of 0"},
		"pair gives too few rows": {model("b"), hashedPair{short("t"), short("u")}, "pair 0: wrong number of rows"},
		"base cannot be opened":   {model("unopenable"), pair("p"), "open base: no room"},
		"pair cannot be opened":   {model("b"), hashedPair{model("unopenable"), model("u")}, "open pair 0: no room"},
	} {
		_, err := Run(t.Context(), request(c.base, c.pair), func(Step) bool { return true })
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if n := c.base.open.Load() + c.pair.tuned.open.Load() + c.pair.untuned.open.Load(); n != 0 {
			t.Errorf("%s: %d sequences left open", name, n)
		}
	}
}

func TestReportsOfCancelledTextsAddUp(t *testing.T) {
	r := request(model("b"), pair("p"))
	answer, _ := run(t, r)
	for _, by := range []Guesser{Tuned, Own} {
		for after := range 20 {
			r.Drafter = guesser{answer, by, 8, 1, rand.New(rand.NewPCG(1, 1))}
			ctx, cancel := context.WithCancel(t.Context())
			emitted := 0
			report, err := Run(ctx, r, func(Step) bool {
				if emitted++; emitted > after {
					cancel()
				}
				return true
			})
			if !errors.Is(err, context.Canceled) || report.Agreed > report.Drafted || report.Tokens != emitted {
				t.Errorf("by %d, cancelled behind %d tokens: %+v, %v", by, emitted, report, err)
			}
		}
	}
}

func TestCancellationStopsWithinOneStep(t *testing.T) {
	base, small := model("b"), pair("p")
	ctx, cancel := context.WithCancel(t.Context())
	emitted := 0
	report, err := Run(ctx, request(base, small), func(Step) bool {
		if emitted++; emitted == 3 {
			cancel()
		}
		return true
	})
	if !errors.Is(err, context.Canceled) || emitted != 3 || report.Tokens != 3 {
		t.Errorf("%d emitted, %+v, %v", emitted, report, err)
	}
	if n := base.calls.Load(); n > 4 {
		t.Errorf("%d base calls for 3 tokens", n)
	}

	base.block = true
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err = Run(ctx, request(base, small), func(Step) bool { return true }); err != context.DeadlineExceeded {
		t.Errorf("deadline: %v", err)
	}
	if n := base.open.Load() + small.tuned.open.Load() + small.untuned.open.Load(); n != 0 {
		t.Errorf("%d sequences left open", n)
	}
}

func TestWiringMistakesAreErrors(t *testing.T) {
	r := request(model("b"), pair("p"))
	r.Mix.Pairs = nil
	if _, err := Run(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "weights of 0 pairs for 1 experts") {
		t.Errorf("weights missing: %v", err)
	}
	r = request(model("b"))
	r.Params = eft.Params{TopP: 1, MinTokens: 1}
	for id := range eft.Token(size) {
		r.Params.Ends = append(r.Params.Ends, id)
	}
	if _, err := Run(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "leave no token") {
		t.Errorf("everything masked: %v", err)
	}
}

func TestChangedCountsPositionsWhoseTopTokenMoved(t *testing.T) {
	r := request(model("base"), pair("chat"))
	changed, kl := 0, 0.0
	report, err := Run(t.Context(), r, func(s Step) bool {
		if s.Combination.Top != s.Combination.BaseTop {
			changed++
		}
		kl += s.Combination.KL()
		return true
	})
	if err != nil || report.Changed != changed || changed == 0 || report.KL != kl || kl == 0 {
		t.Errorf("%+v, %v; counted %d, %v", report, err, changed, kl)
	}
}

type crashing struct{}

func (crashing) Open(context.Context, string, PairPrompts) (PairSequence, error) {
	return crashing{}, nil
}

func (crashing) Rows(context.Context, []eft.Token, []eft.Token) ([]eft.PairRows, error) {
	panic("a bug")
}

func (crashing) Close() {}

func TestAPanicOfAPairIsAnError(t *testing.T) {
	r := request(model("b"), pair("p"))
	r.Experts[0].Small = crashing{}
	if _, err := Run(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "panic: a bug") {
		t.Errorf("got %v", err)
	}
}
