package rowcache

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
)

func TestWhatWasAskedOnceIsNotAskedAgain(t *testing.T) {
	for name, scope := range map[string]Scope{"truncated": truncated, "dense": dense} {
		t.Run(name, func(t *testing.T) {
			b, c := &base{scope: scope}, New(newTier(), secret)
			prompt := []eft.Token{1, 2, 3}
			run := func(answer []eft.Token) {
				s := c.Open(scope, prompt, b.open(prompt))
				defer s.Close()
				for i := range len(answer) + 1 {
					rows, err := s.Rows(t.Context(), answer[:i], nil)
					if err != nil {
						t.Fatal(err)
					}
					same(t, scope, prompt, answer[:i], nil, rows)
				}
			}
			first := []eft.Token{10, 11, 12, 13, 14, 15}
			run(first)
			run(first)
			opened, closed, calls, rows, _ := b.counts()
			if opened != 1 || closed != 1 || calls != 7 || rows != 7 {
				t.Fatalf("the same text twice: opened %d, closed %d, %d calls, %d rows", opened, closed, calls, rows)
			}
			// Another strength parts from it behind the third token.
			run([]eft.Token{10, 11, 12, 99, 98})
			if opened, _, calls, _, _ = b.counts(); opened != 2 || calls != 9 {
				t.Fatalf("a text with a prefix in common: opened %d, %d calls, want 2 and 9", opened, calls)
			}
			if s := c.Stats(); s.Hits != 7+4 || s.Asked != 9 || s.Calls != 9 || s.Broken != 0 {
				t.Errorf("%+v", s)
			}
			idle(t, c)
		})
	}
}

func TestTheFirstMissOnIsAskedInOneCall(t *testing.T) {
	b, c := &base{scope: truncated}, New(newTier(), secret)
	s := c.Open(truncated, nil, b.open(nil))
	defer s.Close()
	get := func(generated, path []eft.Token) {
		t.Helper()
		rows, err := s.Rows(t.Context(), generated, path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, truncated, nil, generated, path, rows)
	}
	get(nil, []eft.Token{1, 2})       // asks for 3
	get(nil, []eft.Token{1, 2, 3, 4}) // asks for 2
	get([]eft.Token{1}, []eft.Token{2, 3})
	get([]eft.Token{1, 2, 3}, []eft.Token{4, 5}) // asks for 1
	get([]eft.Token{2}, []eft.Token{2})          // a text that never was: asks for 2
	if _, _, calls, rows, _ := b.counts(); calls != 4 || rows != 8 {
		t.Errorf("%d calls for %d rows, want 4 for 8", calls, rows)
	}
}

func TestEveryFieldOfAScopePartsTexts(t *testing.T) {
	c := New(newTier(), secret)
	change := []func(*Scope){
		func(*Scope) {},
		func(s *Scope) { s.Tenant = "bob" },
		func(s *Scope) { s.Base = "other" },
		func(s *Scope) { s.Identity = "m2" },
		func(s *Scope) { s.Vocabulary = "w" },
		func(s *Scope) { s.K = 21 },
		func(s *Scope) { s.Dense = true },
	}
	for i, f := range change {
		scope := truncated
		f(&scope)
		b := &base{scope: scope}
		s := c.Open(scope, nil, b.open(nil))
		for range 2 {
			rows, err := s.Rows(t.Context(), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, scope, nil, nil, nil, rows)
		}
		s.Close()
		if _, _, calls, _, _ := b.counts(); calls != 1 {
			t.Errorf("change %d: %d calls, want 1", i, calls)
		}
	}
	b := &base{scope: truncated}
	other := New(c.tier, []byte("another secret than the first"))
	s := other.Open(truncated, nil, b.open(nil))
	defer s.Close()
	if _, err := s.Rows(t.Context(), nil, nil); err != nil || b.calls != 1 {
		t.Errorf("another secret finds the same keys: %v, %d calls", err, b.calls)
	}
}

func TestNamesAreAskedForOnce(t *testing.T) {
	tier := newTier()
	b, c := &base{scope: truncated}, New(tier, secret)
	path := []eft.Token{5, 6}
	check := func(s *Sequence, names [][]eft.Token, calls int) {
		t.Helper()
		got, err := s.Named(t.Context(), nil, path, names)
		if err != nil {
			t.Fatal(err)
		}
		for i := range names {
			scores := truth(path[:i])
			for j, id := range names[i] {
				if got[i][j].ID != id || got[i][j].LogProb != scores[id] {
					t.Errorf("name %d at %d: %+v, want %v", id, i, got[i][j], scores[id])
				}
			}
		}
		if _, _, _, _, n := b.counts(); n != calls {
			t.Errorf("%d calls for names, want %d", n, calls)
		}
	}
	one := c.Open(truncated, nil, b.open(nil))
	rows, err := one.Rows(t.Context(), nil, path)
	if err != nil {
		t.Fatal(err)
	}
	check(one, [][]eft.Token{{299, 3}, nil, {7}}, 1)
	check(one, [][]eft.Token{{3}, nil, {7, 7}}, 1)
	check(one, [][]eft.Token{nil, nil, nil}, 1)
	same(t, truncated, nil, nil, path, rows) // still valid
	one.Close()

	two := c.Open(truncated, nil, b.open(nil))
	defer two.Close()
	rows, err = two.Rows(t.Context(), nil, path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, truncated, nil, nil, path, rows) // without the names
	check(two, [][]eft.Token{{3, 299}, {rows[1].IDs[4]}, {7}}, 1)
	if opened, _, calls, _, _ := b.counts(); opened != 1 || calls != 1 {
		t.Errorf("opened %d, %d calls: everything was known", opened, calls)
	}
	check(two, [][]eft.Token{{3, 298}, {1}, {7}}, 2)

	// The union is stored: a third text asks for nothing, without any Rows before.
	three := c.Open(truncated, nil, b.open(nil))
	defer three.Close()
	check(three, [][]eft.Token{{298, 299, 3}, {1}, {7}}, 2)
	// Without its row a name is told and not stored.
	clear(tier.values)
	four := c.Open(truncated, nil, b.open(nil))
	defer four.Close()
	check(four, [][]eft.Token{{200}, nil, nil}, 3)
	check(four, [][]eft.Token{{200}, nil, nil}, 3)
	if len(tier.values) != 0 {
		t.Error("a name was stored without a row")
	}
	if _, err := four.Named(t.Context(), nil, path, nil); err == nil {
		t.Error("no names for three positions are no error")
	}
	idle(t, c)
}

func TestNamesOfDenseRowsComeFromTheSource(t *testing.T) {
	b, c := &base{scope: dense}, New(newTier(), secret)
	s := c.Open(dense, nil, b.open(nil))
	defer s.Close()
	if _, err := s.Rows(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.Named(t.Context(), nil, nil, [][]eft.Token{{9}})
	if err != nil || got[0][0].LogProb != truth(nil)[9] {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDeeperRowsLiveShorter(t *testing.T) {
	m := newTier()
	b, c := &base{scope: truncated}, New(m, secret)
	s := c.Open(truncated, []eft.Token{1, 2, 3}, b.open([]eft.Token{1, 2, 3}))
	defer s.Close()
	if _, err := s.Rows(t.Context(), make([]eft.Token, 100), make([]eft.Token, 6000)); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(m.ttls, func(a, b time.Duration) int { return int(b - a) }) {
		t.Error("times to live do not fall with depth")
	}
	if ttl(0) != longestTTL || ttl(halfTTL) != longestTTL/2 || m.ttls[6000] != shortestTTL {
		t.Errorf("%v %v %v", ttl(0), ttl(halfTTL), m.ttls[6000])
	}
}

// bad is a source whose answers are wrong.
type bad struct {
	rows  []eft.Row
	named [][]eft.Scored
	panic bool
}

func (b *bad) Rows(context.Context, []eft.Token, []eft.Token) ([]eft.Row, error) {
	if b.panic {
		panic("oh")
	}
	return b.rows, nil
}

func (b *bad) Named(context.Context, []eft.Token, []eft.Token, [][]eft.Token) ([][]eft.Scored, error) {
	return b.named, nil
}

func (b *bad) Names() int { return 0 }

func (b *bad) Close() {}

func TestWrongAnswersOfABaseAreErrors(t *testing.T) {
	good := rowOf(truncated, nil)
	extra := eft.Row{IDs: append(slices.Clone(good.IDs), 299), LogProbs: append(slices.Clone(good.LogProbs), -9), Best: good.Best}
	for _, test := range []struct {
		name  string
		scope Scope
		bad   bad
		want  string // empty is none
	}{
		{"good", truncated, bad{rows: []eft.Row{good}, named: [][]eft.Scored{{{ID: 7, LogProb: -3}}}}, ""},
		{"names behind the best", truncated, bad{rows: []eft.Row{extra}, named: [][]eft.Scored{{{ID: 7, LogProb: -3}}}}, ""},
		{"no row", truncated, bad{}, "wrong number of rows: 0"},
		{"two rows", truncated, bad{rows: []eft.Row{good, good}}, "wrong number of rows: 2"},
		{"a dense row", truncated, bad{rows: []eft.Row{{Scores: []float32{1}}}}, "whole row where truncated"},
		{"a truncated row", dense, bad{rows: []eft.Row{good}}, "truncated row where whole"},
		{"too many best", Scope{K: 3}, bad{rows: []eft.Row{good}}, "where 3 were agreed on"},
		{"a panic", truncated, bad{panic: true}, "panic: oh"},
		{"no names", truncated, bad{rows: []eft.Row{good}}, "names of 0 positions"},
		{"too few names", truncated, bad{rows: []eft.Row{good}, named: [][]eft.Scored{{}}}, "0 log-probs by name"},
		{"another name", truncated, bad{rows: []eft.Row{good}, named: [][]eft.Scored{{{ID: 8}}}}, "id 8, and 7 was asked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := New(newTier(), secret)
			s := c.Open(test.scope, nil, func() (Source, error) { return &test.bad, nil })
			rows, err := s.Rows(t.Context(), nil, nil)
			if err == nil {
				if !sameRow(rows[0], good) {
					t.Errorf("%+v", rows[0])
				}
				// Not one of the best, so that it is asked for.
				if _, ok := (&entry{row: good}).named(7); ok {
					t.Fatal("7 is among the best")
				}
				_, err = s.Named(t.Context(), nil, nil, [][]eft.Token{{7}})
			}
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			s.Close()
			s.Close()
			idle(t, c)
		})
	}
}

func TestRowsThatWouldNotComeBackAreHandedOnAndNotStored(t *testing.T) {
	nan := float32(0)
	nan /= nan
	for name, row := range map[string]eft.Row{
		"out of order":  {IDs: []eft.Token{1, 2}, LogProbs: []float32{-2, -1}, Best: 2},
		"ties reversed": {IDs: []eft.Token{2, 1}, LogProbs: []float32{-1, -1}, Best: 2},
		"twice":         {IDs: []eft.Token{1, 1}, LogProbs: []float32{-1, -2}, Best: 2},
		"NaN":           {IDs: []eft.Token{1}, LogProbs: []float32{nan}, Best: 1},
		"a dense NaN":   {Scores: []float32{nan, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newTier()
			scope := truncated
			scope.Dense = row.Dense()
			s := New(m, secret).Open(scope, nil, func() (Source, error) { return &bad{rows: []eft.Row{row}}, nil })
			defer s.Close()
			rows, err := s.Rows(t.Context(), nil, nil)
			if err != nil || !sameRow(rows[0], row) {
				t.Errorf("%+v, %v", rows, err)
			}
			if len(m.values) > 0 {
				t.Error("it was stored")
			}
		})
	}
}

// Many texts with prefixes in common, at once, over a tier that forgets, with a base
// that fails and clients that leave: whoever gets rows gets the base's own.
func TestRowsAreTheBasesWhateverHappens(t *testing.T) {
	for name, scope := range map[string]Scope{"truncated": truncated, "dense": dense} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(7, 7))
			chance := func(share float64) bool {
				mu.Lock()
				defer mu.Unlock()
				return random.Float64() < share
			}
			m := newTier()
			m.loses = func() bool { return chance(0.1) }
			b := &base{scope: scope, before: func(ctx context.Context) error {
				if chance(0.05) {
					return errFault
				}
				if chance(0.3) {
					select {
					case <-time.After(time.Millisecond):
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return nil
			}}
			c := New(m, secret)
			var texts sync.WaitGroup
			for text := range 8 {
				texts.Go(func() { wander(t, c, b, uint64(text)) })
			}
			texts.Wait()
			opened, closed, calls, _, _ := b.counts()
			for end := time.Now().Add(10 * time.Second); opened != closed && time.Now().Before(end); opened, closed, calls, _, _ = b.counts() {
				time.Sleep(time.Millisecond) // a call may outlive its text
			}
			if opened != closed {
				t.Errorf("%d sources opened, %d closed", opened, closed)
			}
			idle(t, c)
			s := c.Stats()
			if s.Hits == 0 || s.Asked == 0 || calls == 0 || s.Broken != 0 {
				t.Errorf("%+v", s)
			}
			t.Logf("%+v", s)
		})
	}
}

// wander is one text after another that takes few different ways.
func wander(t *testing.T, c *Cache, b *base, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	for range 8 {
		prompt := []eft.Token{eft.Token(random.IntN(2))}
		s := c.Open(b.scope, prompt, b.open(prompt))
		var generated []eft.Token
		for len(generated) < 40 {
			path := make([]eft.Token, random.IntN(4))
			for i := range path {
				path[i] = eft.Token(random.IntN(2))
			}
			ctx, cancel := context.WithCancel(t.Context())
			if random.IntN(10) == 0 {
				time.AfterFunc(time.Duration(random.IntN(1000))*time.Microsecond, cancel)
			}
			rows, err := s.Rows(ctx, generated, path)
			if err == nil {
				same(t, b.scope, prompt, generated, path, rows)
			} else if err != errFault && err != ctx.Err() {
				t.Errorf("rows: %v", err)
			}
			if err == nil && !b.scope.Dense && random.IntN(2) == 0 {
				names := make([][]eft.Token, len(path)+1)
				for i := range names {
					names[i] = []eft.Token{eft.Token(random.IntN(6) * 50), eft.Token(random.IntN(width))}
				}
				named, err := s.Named(ctx, generated, path, names)
				for i := range named {
					for j, scored := range named[i] {
						if want := truth(slices.Concat(prompt, generated, path[:i]))[names[i][j]]; scored.LogProb != want || scored.ID != names[i][j] {
							t.Errorf("named %+v, want %v", scored, want)
						}
					}
				}
				if err != nil && err != errFault && err != ctx.Err() {
					t.Errorf("named: %v", err)
				}
				same(t, b.scope, prompt, generated, path, rows)
			}
			cancel()
			if random.IntN(20) == 0 {
				generated = generated[:random.IntN(len(generated)+1)]
			}
			generated = append(generated, eft.Token(random.IntN(2)))
			if random.IntN(40) == 0 {
				break
			}
		}
		s.Close()
	}
}

// leading is a source that can read ahead, and writes down what it is told.
type leading struct {
	Source
	told *[]string
}

func (l leading) Lead(int) { *l.told = append(*l.told, "lead") }

func (l leading) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	*l.told = append(*l.told, "rows")
	return l.Source.Rows(ctx, generated, path)
}

func TestATextThatLeadsTellsItsSource(t *testing.T) {
	b, c := &base{scope: truncated}, New(newTier(), secret)
	prompt := []eft.Token{1, 2, 3}
	var told []string
	s := c.Open(truncated, prompt, func() (Source, error) {
		source, err := b.open(prompt)()
		return leading{source, &told}, err
	})
	defer s.Close()
	rows := func(generated, path []eft.Token) {
		t.Helper()
		if _, err := s.Rows(t.Context(), generated, path); err != nil {
			t.Fatal(err)
		}
	}
	rows(nil, nil)
	s.Lead(9)
	rows([]eft.Token{4}, nil)
	rows([]eft.Token{4}, nil) // known: nobody is told
	rows([]eft.Token{4, 5}, nil)
	rows([]eft.Token{4, 5}, []eft.Token{6})
	rows([]eft.Token{4, 5, 6, 7}, nil)
	if want := []string{"rows", "lead", "rows", "lead", "rows", "rows", "rows"}; !slices.Equal(told, want) {
		t.Errorf("the source was told %v, want %v", told, want)
	}
}
