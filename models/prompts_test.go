package models

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/prefix"
)

// tier keeps all it is given, and gives it back but for now and then.
type tier struct {
	mu     sync.Mutex // guards what follows
	values map[[32]byte][]byte
	random *rand.Rand
	holes  float64
}

func newTier(holes float64) *tier {
	return &tier{values: map[[32]byte][]byte{}, random: rand.New(rand.NewPCG(1, 2)), holes: holes}
}

func (t *tier) Get(key [32]byte) ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	value, ok := t.values[key]
	return value, ok && t.random.Float64() >= t.holes
}

func (t *tier) Set(key [32]byte, value []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.values[key] = value
}

// keepPrompts has a model's prompts kept in memory.
func keepPrompts(t testing.TB, m *Model, memory prefix.Memory) {
	<-m.KeepPrompts(prefix.New(prefix.Options{Memory: memory, Secret: []byte("a secret of the tests")}), slog.New(slog.DiscardHandler))
	if _, ok := m.PromptsKept(); !ok {
		t.Fatal("prompts are not kept")
	}
}

// Known and computed prompts give the same rows to the last bit, whatever is known of
// them, with several texts at once.
func TestKnownPromptsChangeNoRow(t *testing.T) {
	for _, name := range []string{"small", "base"} {
		plain, kept := member(t, name, Options{}), member(t, name, Options{})
		keepPrompts(t, kept, newTier(.05))
		var texts sync.WaitGroup
		for worker := range uint64(3) {
			texts.Go(func() {
				r := rand.New(rand.NewPCG(3, worker))
				var prompt []eft.Token
				for i := range 16 {
					if i%4 == 3 { // once more
						sameRows(t, plain.Open(prompt), kept.OpenFor("tenant", prompt), r, len(prompt))
						continue
					}
					prompt = random(rand.New(rand.NewPCG(4, r.Uint64N(2))), 40+r.IntN(600))
					prompt = append(prompt[:r.IntN(len(prompt))+1], random(r, r.IntN(80))...)
					sameRows(t, plain.Open(prompt), kept.OpenFor("tenant", prompt), r, len(prompt))
				}
			})
		}
		texts.Wait()
		if s, _ := kept.PromptsKept(); s.MemoryTokens == 0 || s.Broken > 0 {
			t.Errorf("%s: %+v", name, s)
		}
		if err := kept.prompts.Load().Check(); err != nil {
			t.Error(err)
		}
	}
}

func random(r *rand.Rand, n int) []eft.Token {
	tokens := make([]eft.Token, n)
	for i := range tokens {
		tokens[i] = eft.Token(r.IntN(1000) + 3)
	}
	return tokens
}

// sameRows continues both texts alike and compares their rows.
func sameRows(t *testing.T, plain, kept *Sequence, r *rand.Rand, prompt int) {
	defer plain.Close()
	defer kept.Close()
	var generated []eft.Token
	for range 1 + r.IntN(4) {
		path := random(r, r.IntN(3))
		want, err := plain.Rows(context.Background(), generated, path)
		if err != nil {
			t.Error(err)
			return
		}
		got, err := kept.Rows(context.Background(), generated, path)
		if err != nil {
			t.Error(err)
			return
		}
		for i := range want {
			if !slices.Equal(got[i].Scores, want[i].Scores) {
				t.Errorf("row %d behind %d tokens of prompt and %d more differs", i, prompt, len(generated))
			}
		}
		generated = append(generated, random(r, 1+r.IntN(2))...)
	}
}

func TestATextMayLeaveWhileItsPromptIsKept(t *testing.T) {
	m := member(t, "small", Options{})
	keepPrompts(t, m, newTier(0))
	r := rand.New(rand.NewPCG(5, 6))
	var texts sync.WaitGroup
	for i := range 40 {
		prompt := random(r, 300)
		texts.Go(func() {
			s := m.OpenFor("", prompt)
			defer s.Close()
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*time.Millisecond)
			defer cancel()
			_, _ = s.Rows(ctx, nil, nil) // it may or may not be done in time
		})
	}
	texts.Wait()
}

func TestReplicasAgreeOnAFoldersContents(t *testing.T) {
	one, two, other := member(t, "small", Options{}), member(t, "small", Options{}), member(t, "small-chat", Options{})
	sums := map[string]int{}
	for _, m := range []*Model{one, two, other} {
		sum, err := m.folder.contents(t.Context(), m.graph)
		if err != nil {
			t.Fatal(err)
		}
		sums[sum]++
	}
	if len(sums) != 2 {
		t.Errorf("%d contents of two folders", len(sums))
	}
}
