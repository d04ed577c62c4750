package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func TestTheFirstDialectThatFitsIsTaken(t *testing.T) {
	other := fmt.Errorf("%w: no /version", ErrOtherDialect)
	away := &Error{Fault: Unreachable, Base: "b", Op: "GET /version", Message: "connection refused"}
	w := newWorld("A")
	for name, c := range map[string]struct {
		dialects []Dialect
		says     string // all of the error; empty for none
	}{
		"the only one": {[]Dialect{fakeDialect{name: "one", world: w}}, ""},
		"the second":   {[]Dialect{fakeDialect{name: "one", err: other}, fakeDialect{name: "two", world: w}}, ""},
		"the first of two": {[]Dialect{fakeDialect{name: "one", world: w},
			fakeDialect{name: "two", err: errors.New("asked for nothing")}}, ""},
		"none of two": {[]Dialect{fakeDialect{name: "one", err: other}, fakeDialect{name: "two", err: ErrOtherDialect}},
			"base b: no dialect fits the server: one: the server speaks another dialect: no /version; two: the server speaks another dialect"},
		"not the one that is configured": {[]Dialect{fakeDialect{name: "one", err: other}},
			"base b: one: the server speaks another dialect: no /version (dialect: auto tries them all)"},
		"nobody there": {[]Dialect{fakeDialect{name: "one", err: away}, fakeDialect{name: "two", err: away}},
			"base b: GET /version: unreachable: connection refused"},
		"something is wrong": {[]Dialect{fakeDialect{name: "one", err: errors.New("raise --max-logprobs")}, fakeDialect{name: "two", world: w}},
			"base b: one: raise --max-logprobs"},
		"none at all": {nil, "base b: no dialect to try"},
	} {
		config := w.config()
		config.Dialects = c.dialects
		b, err := connect(t.Context(), config, w)
		if c.says == "" && (err != nil || b.Identity() != "A") || c.says != "" && (err == nil || err.Error() != c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

func TestServersWithoutWhatIsNeededAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		says   string
	}{
		"fewer ids":    {func(w *world) { w.caps.VocabSize = 39 }, "the server scores 39 ids, and the vocabulary has 40"},
		"no log-probs": {func(w *world) { w.caps.TopLogprobs = 0 }, "the server gives no log-probs"},
		"other ids":    {func(w *world) { w.words = everything() }, "the server's vocabulary is another one"},
		"a panic":      {func(w *world) { w.hooks.recognise = func() error { panic("a bug") } }, "panic: a bug"},
	} {
		w := newWorld("A")
		c.change(w)
		if _, err := connect(t.Context(), w.config(), w); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
	w := newWorld("A")
	w.caps.VocabSize = 64 // padded
	w.words = silent(w.words, true, true)
	b := w.base(t)
	if notes := b.Caps().Notes; len(notes) != 1 || !strings.Contains(notes[0], "not proven") {
		t.Errorf("notes %q", notes)
	}
}

func TestPlainRoutesNeedNoVocabulary(t *testing.T) {
	w := newWorld("A")
	w.caps.TopLogprobs, w.words = 0, everything()
	config := w.config()
	config.Want = Want{}
	config.Tokenizer = nil
	if _, err := connect(t.Context(), config, w); err != nil {
		t.Error(err)
	}
}

func TestARestartWhileConnectingIsNoticed(t *testing.T) {
	w := newWorld("A")
	w.hooks.after = func(op string) { once("recognise", func(w *world) { w.restart("B") })(w, op); w.hooks.after = nil }
	b, err := connect(t.Context(), w.config(), w)
	if err != nil || b.Identity() != "B" {
		t.Errorf("got %v", err)
	}
}

func TestConnectingEndsWithItsContext(t *testing.T) {
	w := newWorld("A")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := connect(ctx, w.config(), w); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCheckAsksTheServer(t *testing.T) {
	w := newWorld("A")
	b := w.base(t)
	before := b.Stats()
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := b.Stats(); after.IdentityChecks != before.IdentityChecks+1 || after.Rows != before.Rows+1 {
		t.Errorf("%+v, before %+v", after, before)
	}
	w.hooks.rows = func(rows []eft.Row) []eft.Row { rows[0].IDs[0] = -1; return rows }
	if err := b.Check(t.Context()); !faulty(err, Malformed) || !strings.Contains(err.Error(), "a row behind token 0") {
		t.Errorf("got %v", err)
	}
	w.hooks.rows = func([]eft.Row) []eft.Row { return nil }
	if err := b.Check(t.Context()); !faulty(err, Malformed) || !strings.Contains(err.Error(), "0 rows for a path of 0") {
		t.Errorf("got %v", err)
	}
	w.checkClosed(t)
}
