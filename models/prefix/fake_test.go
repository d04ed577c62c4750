package prefix

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// tokenBytes is the size of a token in the tests' model, of which it computes 8.
const tokenBytes = 24

// states are what a model makes of tokens: each of its number and all before.
func states(tokens []eft.Token) []byte {
	var out []byte
	h := uint64(14695981039346656037)
	for _, token := range tokens {
		h = (h ^ uint64(token)) * 1099511628211
		var state [tokenBytes]byte
		binary.LittleEndian.PutUint64(state[:], h)
		out = append(out, state[:]...)
	}
	return out
}

// sequence is a text of a model whose keys and values are states.
type sequence struct {
	mu     sync.Mutex // guards what follows
	held   []byte
	closed int
	broken bool // nothing can be imported
}

func (s *sequence) Export(_ context.Context, from, to int, dst []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed > 0 || to*tokenBytes > len(s.held) {
		return dst, fmt.Errorf("export %d to %d of %d bytes, closed %d times", from, to, len(s.held), s.closed)
	}
	return append(dst, s.held[from*tokenBytes:to*tokenBytes]...), nil
}

func (s *sequence) ImportAll(ctx context.Context, tokens int, pieces ...[]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("no room")
	}
	all := bytes.Join(pieces, nil)
	if len(all) != tokens*tokenBytes {
		return errors.New("another number of tokens")
	}
	s.held = append(s.held, all...)
	return ctx.Err()
}

func (s *sequence) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func (s *sequence) closes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// memory is a tier in this process.
type memory struct {
	mu     sync.Mutex // guards values
	values map[[32]byte][]byte
}

func newMemory() *memory { return &memory{values: map[[32]byte][]byte{}} }

func (m *memory) Get(key [32]byte) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.values[key]
	return value, ok
}

func (m *memory) Set(key [32]byte, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = value
}

// faulty is a shared tier that does what it should only now and then.
type faulty struct {
	memory
	random *rand.Rand // guarded by mu
	faults float64    // how often something is wrong, 0 … 1
	asked  int
	loads  int
}

var errLate = errors.New("late")

func newFaulty(seed uint64, faults float64) *faulty {
	return &faulty{memory: *newMemory(), random: rand.New(rand.NewPCG(seed, 1)), faults: faults}
}

func (f *faulty) wrong() bool { return f.random.Float64() < f.faults }

func (f *faulty) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *faulty) loaded() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loads
}

func (f *faulty) Has(_ context.Context, keys [][32]byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.wrong() && f.random.IntN(4) == 0 {
		return f.random.IntN(len(keys) + 1), errLate
	}
	if f.wrong() {
		return f.random.IntN(len(keys) + 1), nil
	}
	for i, key := range keys {
		if f.values[key] == nil {
			return i, nil
		}
	}
	return len(keys), nil
}

func (f *faulty) Load(_ context.Context, keys [][32]byte, _ []int, _, _ time.Duration) (values [][]byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads++
	for _, key := range keys {
		value := slices.Clone(f.values[key])
		if f.wrong() {
			switch f.random.IntN(6) {
			case 0:
				return values, nil // a hole
			case 1:
				return values, errLate
			case 2:
				for _, value = range f.values { // another key's
					break
				}
			case 3:
				value = value[:f.random.IntN(len(value)+1)]
			case 4:
				value = append(value, 0)
			default:
				if len(value) > 0 {
					value[f.random.IntN(len(value))] ^= byte(1 + f.random.IntN(255))
				}
			}
		} else if value == nil {
			return values, nil
		}
		values = append(values, value)
	}
	return values, nil
}

func (f *faulty) Set(key [32]byte, value []byte, _ time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.wrong() {
		f.values[key] = value
	}
}

// kept makes a cache and one model of it until the test ends.
func kept(t testing.TB, o Options) *Model {
	o.Secret = []byte("a secret of the tests")
	m := New(o).Model(Identity{Name: "m", Weights: "w", Vocabulary: "v", Layout: "l", Context: 4096, TokenBytes: tokenBytes})
	t.Cleanup(func() {
		m.Close()
		if err := m.Check(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// settled waits for what runs in the background: without tiers that fail, what is kept.
func settled(m *Model) {
	for range exports {
		m.places <- struct{}{}
	}
	for range exports {
		<-m.places
	}
}

// read runs a prompt through the cache as a model does, and returns how many tokens were
// known; the text is wrong if its states are not those of a model without a cache.
func read(t testing.TB, m *Model, tenant string, prompt []eft.Token, s *sequence) (known int) {
	t.Helper()
	text := m.Open(tenant, prompt)
	known = text.Resume(t.Context(), s)
	want := states(prompt)
	if known > len(prompt)-2 && known > 0 {
		t.Errorf("%d tokens of %d are known: two must be computed", known, len(prompt))
	}
	if string(s.held) != string(want[:known*tokenBytes]) {
		t.Errorf("%d imported tokens of %d are wrong", known, len(prompt))
	}
	s.mu.Lock()
	s.held = append(s.held, want[known*tokenBytes:]...)
	s.mu.Unlock()
	text.Computed(len(prompt)-known, time.Duration(len(prompt)-known)*time.Millisecond)
	if err := text.Close(); err != nil {
		t.Error(err)
	}
	return known
}

func numbers(from, n int) []eft.Token {
	var out []eft.Token
	for i := range n {
		out = append(out, eft.Token(from+i))
	}
	return out
}
