package cli

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/store"
	"github.com/graft-gateway/graft/gateway/store/redistest"
	"github.com/graft-gateway/graft/models/prefix"
)

const (
	// tokenCost is what a token of a prompt takes to compute, in the tests' models.
	tokenCost = 50 * time.Microsecond
	// tokenSize is the size of its keys and values: a block has 64 KB.
	tokenSize = 1000
	// promptTokens is how many a prompt has.
	promptTokens = 700
	// mostLost is what a request may lose to a Redis that does not do what it should.
	mostLost = 10 * time.Millisecond
)

// kept is a text whose keys and values are zeros.
type kept struct{}

func (kept) Export(_ context.Context, from, to int, dst []byte) ([]byte, error) {
	return append(dst, make([]byte, (to-from)*tokenSize)...), nil
}
func (kept) ImportAll(context.Context, int, ...[]byte) error { return nil }
func (kept) Close() error                                    { return nil }

// family are the models of a route and the tiers of their prompts, over a pretended Redis.
type family struct {
	tiers  *store.Blocks
	models []*prefix.Model

	mu    sync.Mutex      // guards waits
	waits []time.Duration // of texts for Redis
}

func newFamily(t *testing.T, redis *redistest.Pretend) *family {
	t.Helper()
	secret := []byte("0123456789abcdef")
	f := &family{}
	var err error
	f.tiers, err = store.OpenBlocks(store.Options{Secret: secret, Redis: &store.RedisOptions{URL: "redis://pretended?pool_size=200", Dial: redis.Dial}})
	if err != nil {
		t.Fatal(err)
	}
	cache := prefix.New(prefix.Options{Secret: secret, Shared: f.tiers.Redis(), Waited: func(d time.Duration) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.waits = append(f.waits, d)
	}})
	for _, name := range []string{"base", "tuned", "untuned"} {
		m := cache.Model(prefix.Identity{Name: name, Weights: name, Vocabulary: "v", Layout: "l", Context: 4096, TokenBytes: tokenSize})
		m.Measured(tokenCost*100, 0, 100)
		m.Try()
		f.models = append(f.models, m)
	}
	return f
}

// ask runs a prompt through all models side by side, and returns what that lost: the
// time that is not made up for by what was known.
func (f *family) ask(t *testing.T, seed int) (lost time.Duration, known int) {
	prompt := make([]eft.Token, promptTokens)
	for i := range prompt {
		prompt[i] = eft.Token(seed + i)
	}
	var pending sync.WaitGroup
	var mu sync.Mutex // guards lost and known
	for _, m := range f.models {
		pending.Go(func() {
			began := time.Now()
			text := m.Open("", prompt)
			tokens := text.Resume(t.Context(), kept{})
			took := time.Since(began) - time.Duration(tokens)*tokenCost
			text.Computed(promptTokens-tokens, time.Duration(promptTokens-tokens)*tokenCost)
			if err := text.Close(); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			lost, known = max(lost, took), known+tokens
		})
	}
	pending.Wait()
	return lost, known
}

// waited is how often texts waited for Redis since the last call, and how long at most.
func (f *family) waited() (n int, most time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.waits {
		most = max(most, d)
	}
	n, f.waits = len(f.waits), nil
	return n, most
}

func (f *family) close() {
	for _, m := range f.models {
		m.Close()
	}
	f.tiers.Close()
}

func TestAPromptWaitsForAFaultyRedisOnce(t *testing.T) {
	for name, fault := range map[string]redistest.Fault{
		"dead": {Dead: true}, "hung": {Hung: true}, "full": {Full: true}, "lying": {Lying: true},
		"late by 5 ms": {Late: 5 * time.Millisecond}, "late by 6 ms": {Late: 6 * time.Millisecond},
		"late by 8 ms": {Late: 8 * time.Millisecond}, "late by 500 ms": {Late: 500 * time.Millisecond},
		"dripping": {Rate: 100_000}, "dripping with large values": {Rate: 1_000_000, Large: 1000},
		"late with large values": {Late: 50 * time.Millisecond, Large: 1000},
	} {
		for _, together := range []int{1, 16} {
			t.Run(fmt.Sprintf("%s, %d requests", name, together), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { loseOnce(t, fault, together) })
			})
		}
	}
}

// loseOnce has so many requests meet a fault, then others for 15 seconds, and then a Redis
// that is well again.
func loseOnce(t *testing.T, fault redistest.Fault, together int) {
	redis := redistest.NewPretend()
	f := newFamily(t, redis)
	defer func() {
		f.close()
		redis.Break(redistest.Fault{Dead: true})
		time.Sleep(time.Minute) // until the library's goroutines have seen that
	}()
	time.Sleep(10 * time.Second) // of trials
	f.ask(t, 0)
	synctest.Wait()
	if lost, known := f.ask(t, 0); known < 3*600 || lost > 0 {
		t.Fatalf("before the fault: %d tokens known, after %v: %+v", known, lost, f.tiers.Stats().Redis)
	}
	redis.Break(fault)
	var pending sync.WaitGroup
	for range together {
		pending.Go(func() {
			if lost, _ := f.ask(t, 0); lost > mostLost {
				t.Errorf("a first request lost %v", lost)
			}
		})
	}
	pending.Wait()
	if n, most := f.waited(); n == 0 || most > mostLost {
		t.Errorf("texts waited %d times, up to %v", n, most)
	}
	for i := range 150 {
		for _, seed := range []int{0, 1000 * (i + 1)} { // a known prompt and a new one
			if lost, _ := f.ask(t, seed); lost > 0 {
				t.Errorf("request %d lost %v", i, lost)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	if _, most := f.waited(); most > 0 {
		t.Errorf("afterwards a text waited %v", most)
	}
	redis.Break(redistest.Fault{})
	began := time.Now()
	for known := 0; known < 3*600; time.Sleep(100 * time.Millisecond) {
		var lost time.Duration
		if lost, known = f.ask(t, 0); lost > 0 {
			t.Errorf("a request lost %v when all was well again", lost)
		}
		if time.Since(began) > 3*time.Minute {
			t.Fatalf("%d tokens known after %v: %+v", known, time.Since(began), f.tiers.Stats().Redis)
		}
	}
}
