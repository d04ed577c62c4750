package openai

import (
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/dialecttest"
	"github.com/graft-gateway/graft/proxy/openai/openaitest"
	"github.com/graft-gateway/graft/proxy/proxytest"
)

func TestFaultsGiveNoWrongRow(t *testing.T) {
	dialecttest.Faults(t, func(t *testing.T) dialecttest.Faulty {
		server := proxytest.New(t, openaitest.New(tiny, openaitest.Options{AsIDs: true, Lists: true, Pieces: pieces()}))
		s, err := recognise(dialecttest.Client(t, server.URL), t, 5)
		if err != nil {
			t.Fatal(err)
		}
		return dialecttest.Faulty{
			Server: server, Text: s.Begin(""), Path: completions, Done: true,
			Prefix: []eft.Token{3, 1}, Along: []eft.Token{4, 5},
			Check: func(t *testing.T, row eft.Row, prefix []eft.Token) {
				t.Helper()
				check(t, row, nil, prefix, 5, proxy.TokenIDs, openaitest.Options{})
			},
			Best: func(prefix []eft.Token) eft.Token { return ranked(prefix, 1)[0] },
		}
	})
}
