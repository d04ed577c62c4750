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

func TestLeases(t *testing.T) {
	p := newPool(3)
	for i := range 5 {
		s := p.lease()
		if s.id != i%3 {
			t.Errorf("text %d got slot %d, want the one unused longest", i, s.id)
		}
		p.begin(s, "t", false)
		p.release(s)
	}
	if err := p.check(); err != nil {
		t.Error(err)
	}
}

func TestMoreTextsThanSlotsShareEvenly(t *testing.T) {
	p := newPool(2)
	var held []*slot
	for range 5 {
		held = append(held, p.lease())
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
	if moved := p.move(first); moved == first {
		t.Error("a text goes on sharing its slot beside a free one")
	} else if again := p.move(moved); again != moved {
		t.Error("a text leaves a slot that it has for itself")
	}
	if err := p.check(); err != nil {
		t.Error(err)
	}
}

func TestTenantsDoNotReuseEachOthersPrefixes(t *testing.T) {
	p := newPool(1)
	s := p.lease()
	for i, c := range []struct {
		tenant string
		own    bool
		reuse  bool
	}{
		{"a", false, true}, // nobody else was ever there
		{"a", true, true},
		{"b", false, false},
		{"b", true, true},
		{"a", false, false}, // the server may choose what b left
		{"a", true, true},
	} {
		if reuse := p.begin(s, c.tenant, c.own); reuse != c.reuse {
			t.Errorf("request %d, tenant %s, own %v: reuse %v, want %v", i, c.tenant, c.own, reuse, c.reuse)
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
	if _, err := a.Rows(t.Context(), tokens(3, fakeA+7), nil); err != nil {
		t.Fatal(err)
	}
	for _, text := range []interface{ Close() }{a, b, c} {
		text.Close()
	}
	var slots []int
	var reuse []bool
	for _, q := range f.requests() {
		slots, reuse = append(slots, q.Slot), append(reuse, q.CachePrompt)
	}
	// A server spoils a slot that is named while it is busy, be it with another's text.
	if !slices.Equal(slots, []int{-1, -1, -1, -1, -1, -1}) {
		t.Errorf("slots %v were named, which may be busy", slots)
	}
	// The last is another text of a's: as far from its first one as anybody's.
	if !slices.Equal(reuse, []bool{true, false, false, true, true, false}) {
		t.Errorf("cache_prompt %v", reuse)
	}
}
