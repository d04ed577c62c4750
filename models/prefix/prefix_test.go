package prefix

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/chain"
)

func TestAPromptIsComputedFromWhereItParts(t *testing.T) {
	m := kept(t, Options{Memory: newMemory()})
	a := numbers(0, 300)
	for _, test := range []struct {
		what   string
		tenant string
		prompt []eft.Token
		known  int
	}{
		{"the first", "x", a, 0},
		{"the same", "x", a, 298},
		{"the same, but for the last two", "x", append(slices.Clone(a[:298]), 7, 7), 298},
		{"the same, but for one before", "x", append(append(slices.Clone(a[:297]), 7), a[298:]...), 256},
		{"a token longer", "x", numbers(0, 301), 256},
		{"longer", "x", numbers(0, 1000), 256},
		{"longer, again", "x", numbers(0, 1000), 998},
		{"nine behind a block", "x", a[:201], 192},
		{"nine behind a block, again", "x", a[:201], 192},
		{"ten behind a block", "x", a[:202], 192},
		{"ten behind a block, again", "x", a[:202], 200},
		{"shorter", "x", a[:200], 192},
		{"ends with a block", "x", a[:192], 128},
		{"a token behind a block, which would be computed alone", "x", a[:193], 128},
		{"two tokens behind a block", "x", a[:194], 192},
		{"parts in the second block", "x", append(slices.Clone(a[:100]), numbers(5000, 100)...), 64},
		{"parts at once", "x", numbers(1, 300), 0},
		{"another tenant's", "y", a, 0},
		{"shorter than a block", "x", a[:60], 0},
		{"shorter than a block, again", "x", a[:60], 0},
		{"a single token", "x", a[:1], 0},
		{"none", "x", nil, 0},
	} {
		s := &sequence{}
		if known := read(t, m, test.tenant, test.prompt, s); known != test.known {
			t.Errorf("%s: %d tokens known, want %d", test.what, known, test.known)
		}
		settled(m)
		if s.closes() != 1 {
			t.Errorf("%s: the sequence was closed %d times", test.what, s.closes())
		}
	}
}

// Whatever the tiers do, what a model gets is what it would have computed.
func TestNoTierChangesAPrompt(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			o := Options{Shared: newFaulty(seed, []float64{0, .1, .5, 1}[seed%4])}
			if seed%3 > 0 {
				o.Memory = newMemory()
			}
			m := kept(t, o)
			var texts sync.WaitGroup
			for range 8 {
				r := rand.New(rand.NewPCG(random.Uint64(), 0))
				texts.Go(func() {
					for range 40 {
						prompt := numbers(0, r.IntN(500))
						for range r.IntN(3) {
							prompt = append(prompt[:r.IntN(len(prompt)+1)], numbers(r.IntN(3)*1000, r.IntN(300))...)
						}
						read(t, m, fmt.Sprint(r.IntN(2)), prompt, &sequence{broken: r.IntN(20) == 0})
					}
				})
			}
			texts.Wait()
			if err := m.Check(); err != nil {
				t.Error(err)
			}
			s := m.Stats()
			if seed == 3 && s.Broken == 0 && s.Late == 0 {
				t.Errorf("nothing was wrong: %+v", s)
			}
			if s.MemoryHits+s.SharedHits == 0 && seed%4 == 0 {
				t.Errorf("nothing was found: %+v", s)
			}
		})
	}
}

func TestWhatASharedTierHasGoesToMemory(t *testing.T) {
	shared := newFaulty(1, 0)
	prompt := numbers(0, 500)
	first := kept(t, Options{Shared: shared})
	read(t, first, "", prompt, &sequence{})
	settled(first)
	second := kept(t, Options{Memory: newMemory(), Shared: shared})
	for _, want := range []Stats{{SharedHits: 8}, {SharedHits: 8, MemoryHits: 8}} {
		if known := read(t, second, "", prompt, &sequence{}); known != 498 {
			t.Errorf("%d tokens known", known)
		}
		if s := second.Stats(); s.SharedHits != want.SharedHits || s.MemoryHits != want.MemoryHits {
			t.Errorf("%+v", s)
		}
	}
}

func TestAFailedTierIsLeftAloneUntilATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty(1, 0)
		m := kept(t, Options{Shared: late{shared}})
		for i := range 20 {
			read(t, m, "", numbers(i*1000, 300), &sequence{})
		}
		if s := m.Stats(); s.Late != 1 || s.Bypassed != 19 || !s.Costs.Closed {
			t.Errorf("%+v", s)
		}
		time.Sleep(10 * time.Minute) // of a clock that nobody waits for
		if s := m.Stats(); s.Late != 1 || !s.Costs.Closed {
			t.Errorf("after ten minutes: %+v", s)
		}
		if asked := shared.calls(); asked > 20_000 {
			t.Errorf("trials asked %d times", asked)
		}
		m.Close()
	})
}

// late is a tier that fails whenever it is asked.
type late struct{ *faulty }

func (l late) Has(ctx context.Context, keys [][32]byte) (int, error) {
	if _, err := l.faulty.Has(ctx, keys); err != nil {
		return 0, err
	}
	return 0, errLate
}

func TestATierThatDoesNotPayIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty(1, 0)
		m := kept(t, Options{Shared: slow{shared}})
		m.Measured(time.Millisecond, time.Microsecond, 1000) // a microsecond a token
		m.Try()
		time.Sleep(time.Minute)
		loads := shared.loaded()
		read(t, m, "", numbers(0, 1000), &sequence{})
		if now := shared.loaded(); m.Stats().Bypassed != 1 || now != loads {
			t.Errorf("%+v, %d loads", m.Stats(), now-loads)
		}
		m.Close()
	})
}

// slow is a tier that takes a millisecond to answer.
type slow struct{ *faulty }

func (s slow) Load(ctx context.Context, keys [][32]byte, sizes []int, patience, worth time.Duration) ([][]byte, error) {
	time.Sleep(time.Millisecond)
	return s.faulty.Load(ctx, keys, sizes, patience, worth)
}

// Sixteen texts that begin alike compute their beginning once; who leaves is followed by
// another.
func TestTextsThatBeginAlikeComputeItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := kept(t, Options{Memory: newMemory()})
		leaver := m.Open("", numbers(0, 1100))
		leaver.Resume(t.Context(), &sequence{})
		var texts sync.WaitGroup
		for i := range 16 {
			texts.Go(func() {
				prompt := append(numbers(0, 1000), numbers(5000+i, 30)...)
				text, s := m.Open("", prompt), &sequence{}
				known := text.Resume(t.Context(), s)
				time.Sleep(time.Second) // it is computed
				s.held = states(prompt)
				text.Computed(len(prompt)-known, time.Second)
				text.Close()
			})
		}
		synctest.Wait()
		if s := m.Stats(); s.Waited != 16 {
			t.Errorf("%d wait for the first", s.Waited)
		}
		leaver.Close()
		texts.Wait()
		settled(m)
		// One computed all but the last 6 tokens of its first 16 blocks, the others 70.
		if s := m.Stats(); s.Computed != 1030+15*(1030-960) {
			t.Errorf("%d tokens were computed: %+v", s.Computed, s)
		}
		m.Close()
	})
}

// What is being computed here is not asked for elsewhere, where it may not be yet.
func TestASharedTierIsNotAskedForWhatComesToMemorySoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty(1, 0)
		m := kept(t, Options{Memory: newMemory(), Shared: shared})
		prompt, s := numbers(0, 300), &sequence{}
		first := m.Open("", prompt)
		first.Resume(t.Context(), s)
		asked := shared.calls()
		var known int
		var again sync.WaitGroup
		again.Go(func() { known = read(t, m, "", prompt, &sequence{}) })
		synctest.Wait()
		s.held = states(prompt)
		first.Computed(len(prompt), time.Second)
		first.Close()
		again.Wait()
		settled(m)
		if now := shared.calls(); asked != 1 || now != 1 || known != 298 {
			t.Errorf("asked %d times and then %d times, %d tokens known", asked, now-asked, known)
		}
		m.Close()
	})
}

// A text whose computing failed may stay open for long: others go on without it, and it
// may still compute.
func TestNobodyWaitsForATextThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := kept(t, Options{Memory: newMemory()})
		prompt, s := numbers(0, 300), &sequence{}
		failed := m.Open("", prompt)
		failed.Resume(t.Context(), s)
		var other sync.WaitGroup
		other.Go(func() { read(t, m, "", prompt, &sequence{}) })
		synctest.Wait()
		failed.Failed()
		other.Wait()
		s.held = states(prompt)
		failed.Computed(len(prompt), time.Second)
		failed.Close()
		settled(m)
		if s := m.Stats(); s.Waited != 1 || s.Computed != 600 {
			t.Errorf("%+v", s)
		}
		m.Close()
	})
}

func TestNobodyWaitsForMuchMoreThanIsShared(t *testing.T) {
	m := kept(t, Options{Memory: newMemory()})
	long := m.Open("", numbers(0, 4000))
	long.Resume(t.Context(), &sequence{})
	defer long.Close()
	short := m.Open("", append(numbers(0, 128), numbers(9000, 100)...))
	defer short.Close()
	short.Resume(t.Context(), &sequence{}) // returns
	if s := m.Stats(); s.Waited != 0 {
		t.Errorf("%+v", s)
	}
}

// An import that was held up once must not be the last.
func TestAnImportThatSeemedDearIsTriedAgain(t *testing.T) {
	m := kept(t, Options{Memory: newMemory()})
	m.Measured(time.Millisecond, time.Second, 1000)
	known := 0
	for range 40 * spareable {
		known += read(t, m, "", numbers(0, 300), &sequence{})
		settled(m)
	}
	if s := m.Stats(); s.Costs.Import > s.Costs.Compute || known < 20*256 {
		t.Errorf("%d tokens known; %+v", known, s)
	}
}

func TestBlocksAreSmallEnoughForARoundTrip(t *testing.T) {
	for _, test := range []struct{ tokenBytes, tokens int }{
		{768, 64}, {4608, 64}, {8192, 64}, {24576, 16}, {65536, 8}, {1 << 19, 1}, {1 << 22, 1},
	} {
		if n := blockTokens(test.tokenBytes); n != test.tokens {
			t.Errorf("%d bytes a token: blocks of %d, want %d", test.tokenBytes, n, test.tokens)
		}
	}
}

func FuzzDecodeTakesOnlyWhatWasWritten(f *testing.F) {
	f.Add([]byte("keys and values of tokens....."), 5, byte(1), 0)
	f.Add([]byte(""), 0, byte(0), 3)
	f.Add([]byte("x"), headerSize, byte(7), -1)
	f.Fuzz(func(t *testing.T, body []byte, at int, change byte, cut int) {
		key := chain.Key{1, 2, 3}
		value := append(make([]byte, headerSize), body...)
		finish(value, key, len(body))
		got, err := decode(value, key, len(body), 1)
		if err != nil || string(got) != string(body) {
			t.Fatalf("%q came back as %q, %v", body, got, err)
		}
		if _, err := decode(value, chain.Key{3}, len(body), 1); err == nil {
			t.Error("another key's")
		}
		if _, err := decode(value, key, len(body)+1, 1); err == nil {
			t.Error("another number of tokens")
		}
		if cut > 0 && cut <= len(value) {
			if _, err := decode(value[:len(value)-cut], key, len(body), 1); err == nil {
				t.Error("cut off")
			}
		}
		if at >= 0 && at < len(value) && change != 0 {
			value[at] ^= change
			if _, err := decode(value, key, len(body), 1); err == nil {
				t.Errorf("byte %d is another", at)
			}
		}
		if _, err := decode(body, key, 1, 1); err == nil {
			t.Error("what was never written")
		}
	})
}
