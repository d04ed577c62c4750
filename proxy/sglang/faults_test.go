package sglang

import (
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy/dialecttest"
	"github.com/graft-gateway/graft/proxy/proxytest"
	"github.com/graft-gateway/graft/proxy/sglang/sglangtest"
)

func TestFaultsGiveNoWrongRow(t *testing.T) {
	dialecttest.Faults(t, func(t *testing.T) dialecttest.Faulty {
		server := proxytest.New(t, sglangtest.New(tiny, sglangtest.Options{}))
		return dialecttest.Faulty{
			Server: server, Text: recognise(t, dialecttest.Client(t, server.URL), 5).Begin(""), Path: generate, Done: true,
			Prefix: []eft.Token{3, 1}, Along: []eft.Token{4, 5},
			Check: func(t *testing.T, row eft.Row, prefix []eft.Token) {
				t.Helper()
				check(t, row, prefix, 5)
			},
			Best: func(prefix []eft.Token) eft.Token { return best(truth(prefix)) },
		}
	})
}
