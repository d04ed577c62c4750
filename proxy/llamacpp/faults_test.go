package llamacpp

import (
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/dialecttest"
	"github.com/graft-gateway/graft/proxy/proxytest"
)

func TestFaultsGiveNoWrongRow(t *testing.T) {
	dialecttest.Faults(t, func(t *testing.T) dialecttest.Faulty {
		f, _ := newFake(t)
		server := proxytest.New(t, f)
		text := f.connect(t, server.URL, 5).Begin("")
		t.Cleanup(text.Close)
		return dialecttest.Faulty{
			Server: server, Text: text, Path: "/completion",
			Prefix: fakePrompt, Along: []eft.Token{fakeA, fakeA + 1},
			Check: func(t *testing.T, row eft.Row, prefix []eft.Token) {
				t.Helper()
				if want := f.truth(prefix, 5); !same(row, want) {
					t.Errorf("behind %v: %v, want %v", prefix, row, want)
				}
			},
			Best: func(prefix []eft.Token) eft.Token { return f.truth(prefix, 1).IDs[0] },
		}
	})
}
