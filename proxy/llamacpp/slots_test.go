package llamacpp

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func tokens(n int, first eft.Token) []eft.Token {
	out := make([]eft.Token, n)
	for i := range out {
		out[i] = first + eft.Token(i)
	}
	return out
}

// use leases a slot, evaluates a prompt in it and gives it back.
func use(p *pool, tenant string, prompt []eft.Token) (id int, reuse bool) {
	s := p.lease(tenant, prompt)
	defer p.release(s)
	return s.id, p.begin(s, tenant, prompt)
}

func TestLeases(t *testing.T) {
	p := newPool(3)
	a, b, c := tokens(10, 100), tokens(10, 200), tokens(10, 300)
	for i, prompt := range [][]eft.Token{a, b, c} {
		if id, _ := use(p, "t", prompt); id != i {
			t.Fatalf("text %d got slot %d, want the one unused longest", i, id)
		}
	}
	if id, reuse := use(p, "t", append(slices.Clone(b), 7, 8)); id != 1 || !reuse {
		t.Errorf("a text that goes on got slot %d (reuse %v), want 1, which holds its beginning", id, reuse)
	}
	if id, _ := use(p, "t", append(slices.Clone(b[:2]), tokens(20, 500)...)); id != 0 {
		t.Errorf("a text with a common template got slot %d, want 0, the one unused longest", id)
	}
	if err := p.check(); err != nil {
		t.Error(err)
	}
}

func TestMoreTextsThanSlotsShareEvenly(t *testing.T) {
	p := newPool(2)
	var held []*slot
	for range 5 {
		held = append(held, p.lease("t", tokens(3, 0)))
	}
	if n := p.slots[0].lessees - p.slots[1].lessees; n < -1 || n > 1 {
		t.Errorf("%d and %d texts on the slots", p.slots[0].lessees, p.slots[1].lessees)
	}
	first := held[0]
	for _, s := range held[1:] {
		if s != first {
			p.release(s)
		}
	}
	if moved := p.move(first, "t", tokens(3, 0)); moved == first {
		t.Error("a text goes on sharing its slot beside a free one")
	} else if again := p.move(moved, "t", tokens(3, 0)); again != moved {
		t.Error("a text leaves a slot that it has for itself")
	}
	if err := p.check(); err != nil {
		t.Error(err)
	}
}

func TestTenantsDoNotReuseEachOthersPrefixes(t *testing.T) {
	p := newPool(1)
	long, short := tokens(20, 0), tokens(4, 0)
	for i, c := range []struct {
		tenant string
		prompt []eft.Token
		reuse  bool
	}{
		{"a", long, true},  // nobody else was ever there
		{"a", short, true}, // still alone
		{"b", long, false}, // a's tokens
		{"b", long, true},
		{"b", append(slices.Clone(long), 9), true},
		{"b", tokens(3, 0), false}, // little of what b left: the server might swap in another's
		{"a", long, false},
		{"a", tokens(20, 50), false},
	} {
		if _, reuse := use(p, c.tenant, c.prompt); reuse != c.reuse {
			t.Errorf("use %d, tenant %s: reuse %v, want %v", i, c.tenant, reuse, c.reuse)
		}
	}
}

func TestATurnIsWaitedFor(t *testing.T) {
	s := newPool(1).slots[0]
	if err := s.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.enter(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error while another has the turn", err)
	}
	s.leave()
	if err := s.enter(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTextsOfTenantsAtTheWire(t *testing.T) {
	f, url := newFake(t)
	f.props["total_slots"] = 2
	s := f.connect(t, url, 5)
	f.requests()
	a, b, c := s.Begin("a"), s.Begin("b"), s.Begin("c")
	prompt := tokens(6, fakeA)
	for _, text := range []interface {
		Rows(context.Context, []eft.Token, []eft.Token) ([]eft.Row, error)
	}{a, b, c, c, a} {
		if _, err := text.Rows(t.Context(), prompt, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []interface{ Close() }{a, b, c} {
		text.Close()
	}
	var slots []int
	var reuse []bool
	for _, q := range f.requests() {
		slots, reuse = append(slots, q.Slot), append(reuse, q.CachePrompt)
	}
	// c shares a's slot, the one unused longest, and finds a's tokens there.
	if !slices.Equal(slots, []int{0, 1, 0, 0, 0}) || !slices.Equal(reuse, []bool{true, false, false, true, false}) {
		t.Errorf("slots %v, cache_prompt %v", slots, reuse)
	}
}
