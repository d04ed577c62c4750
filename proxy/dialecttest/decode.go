package dialecttest

import (
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// Connect connects a base.
func Connect(t *testing.T, config proxy.Config) *proxy.Base {
	t.Helper()
	base, err := proxy.Connect(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// Round is one request for rows while a text is decoded.
type Round struct {
	Sequence  *proxy.Sequence
	Generated []eft.Token
	Path      []eft.Token
	Rows      []eft.Row // behind Generated, and behind each token of Path
	Err       error
}

// Decode decodes 60 tokens behind prompt as the gateway does: with a path now and then
// where the base tells ids, which the text does not follow, and off the base's own way
// now and then. It hands each round to check, and ends where that says so.
func Decode(t *testing.T, base *proxy.Base, prompt []eft.Token, check func(Round) bool) {
	t.Helper()
	sequence := base.Open("ann", prompt)
	defer sequence.Close()
	var generated []eft.Token
	for n := range 60 {
		round := Round{Sequence: sequence, Generated: generated}
		if n%7 == 3 && base.Caps().Tokens == proxy.TokenIDs {
			round.Path = []eft.Token{eft.Token(n % 30), 2}
		}
		round.Rows, round.Err = sequence.Rows(t.Context(), generated, round.Path)
		if !check(round) {
			return
		}
		best := round.Rows[0].IDs
		next := best[0]
		if n%11 == 10 && len(best) > 1 {
			next = best[1]
		}
		generated = append(generated, next)
	}
}
