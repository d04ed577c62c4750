package rowcache

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
)

const width = 300

var secret = []byte("a secret of the test's own")

// truth is the base of these tests: dense scores as a pure function of the prefix.
func truth(prefix []eft.Token) []float32 {
	h := fnv.New64a()
	for _, token := range prefix {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(token)))
	}
	random := rand.New(rand.NewPCG(h.Sum64(), 1))
	scores := make([]float32, width)
	for i := range scores {
		// Coarse, so that ties are common.
		scores[i] = -float32(random.IntN(40)) / 4
	}
	return scores
}

// rowOf is the canonical row behind a prefix.
func rowOf(scope Scope, prefix []eft.Token) eft.Row {
	scores := truth(prefix)
	if scope.Dense {
		return eft.Row{Scores: scores}
	}
	listed := make([]eft.Scored, len(scores))
	for id, p := range scores {
		listed[id] = eft.Scored{ID: eft.Token(id), LogProb: p}
	}
	return eft.Canonical(listed, scope.K)
}

func sameRow(a, b eft.Row) bool {
	bits := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }
	return a.Best == b.Best && a.Dense() == b.Dense() && slices.Equal(a.IDs, b.IDs) &&
		slices.EqualFunc(a.LogProbs, b.LogProbs, bits) && slices.EqualFunc(a.Scores, b.Scores, bits)
}

// base counts what is asked of it.
type base struct {
	scope Scope
	// before is called in front of every answer; its error is the answer.
	before func(ctx context.Context) error

	mu                                     sync.Mutex
	opened, closed, calls, rows, nameCalls int
}

func (b *base) open(prompt []eft.Token) func() (Source, error) {
	return func() (Source, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.opened++
		return &source{base: b, prompt: prompt}, nil
	}
}

// source is one text at the base. It checks the contract: one goroutine at a time, and
// nothing after Close.
type source struct {
	base   *base
	prompt []eft.Token
	using  sync.Mutex
	closed bool
	last   []eft.Row
}

func (s *source) enter() {
	if !s.using.TryLock() {
		panic("two goroutines use one source")
	}
	if s.closed {
		panic("a closed source is used")
	}
}

func (s *source) Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	s.enter()
	defer s.using.Unlock()
	// What was handed out before is valid no longer.
	for _, row := range s.last {
		clear(row.IDs)
		clear(row.LogProbs)
		clear(row.Scores)
	}
	s.base.mu.Lock()
	s.base.calls++
	s.base.rows += len(path) + 1
	s.base.mu.Unlock()
	if s.base.before != nil {
		if err := s.base.before(ctx); err != nil {
			return nil, err
		}
	}
	prefix := slices.Concat(s.prompt, generated)
	rows := []eft.Row{rowOf(s.base.scope, prefix)}
	for _, token := range path {
		prefix = append(prefix, token)
		rows = append(rows, rowOf(s.base.scope, prefix))
	}
	s.last = rows
	return rows, nil
}

func (s *source) Names() int { return s.base.scope.Names }

func (s *source) Named(ctx context.Context, generated, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error) {
	s.enter()
	defer s.using.Unlock()
	s.base.mu.Lock()
	s.base.nameCalls++
	s.base.mu.Unlock()
	if s.base.before != nil {
		if err := s.base.before(ctx); err != nil {
			return nil, err
		}
	}
	out := make([][]eft.Scored, len(names))
	for i, ids := range names {
		scores := truth(slices.Concat(s.prompt, generated, path[:i]))
		for _, id := range ids {
			out[i] = append(out[i], eft.Scored{ID: id, LogProb: scores[id]})
		}
	}
	return out, nil
}

func (s *source) Close() {
	s.enter()
	defer s.using.Unlock()
	s.closed = true
	s.base.mu.Lock()
	s.base.closed++
	s.base.mu.Unlock()
}

func (b *base) counts() (opened, closed, calls, rows, nameCalls int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened, b.closed, b.calls, b.rows, b.nameCalls
}

// tier is a map that can forget.
type tier struct {
	mu     sync.Mutex
	values map[[32]byte][]byte
	ttls   []time.Duration
	// loses says whether this look or this value is lost; nil loses nothing.
	loses func() bool
}

func newTier() *tier { return &tier{values: map[[32]byte][]byte{}} }

func (m *tier) Get(_ context.Context, key [32]byte, dst []byte) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.values[key]
	if m.loses != nil && m.loses() {
		delete(m.values, key)
		return dst, false
	}
	return append(dst, value...), ok
}

func (m *tier) Set(key [32]byte, value []byte, ttl time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loses != nil && m.loses() {
		return
	}
	m.values[key] = slices.Clone(value)
	m.ttls = append(m.ttls, ttl)
}

var (
	truncated = Scope{Tenant: "alice", Base: "b", Identity: "m1", Vocabulary: "v", K: 20, Names: 10}
	dense     = Scope{Tenant: "alice", Base: "b", Identity: "m1", Vocabulary: "v", Dense: true}
	errFault  = errors.New("the base failed")
)

// same fails unless rows are those behind prompt and generated along path.
func same(t *testing.T, scope Scope, prompt, generated, path []eft.Token, rows []eft.Row) {
	t.Helper()
	if len(rows) != len(path)+1 {
		t.Fatalf("%d rows for a path of %d", len(rows), len(path))
	}
	for i, row := range rows {
		if want := rowOf(scope, slices.Concat(prompt, generated, path[:i])); !sameRow(row, want) {
			t.Fatalf("row %d behind %v + %v is\n%+v, want\n%+v", i, generated, path, row, want)
		}
	}
}

// idle fails if a cache that nobody uses has something under way.
func idle(t *testing.T, c *Cache) {
	t.Helper()
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	if n := len(c.flights.byKey); n > 0 {
		t.Errorf("%d keys are in flight and nobody asks", n)
	}
	if len(c.flights.ring) > recentKeys || len(c.flights.recent) > len(c.flights.ring) {
		t.Errorf("%d recent keys in a ring of %d", len(c.flights.recent), len(c.flights.ring))
	}
}
