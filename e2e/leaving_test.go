package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/graft-gateway/graft/proxy/proxytest"
)

// A client that leaves stops what is done for it at the base's server, wherever it is.
func TestClientsThatLeaveStopTheBase(t *testing.T) {
	table := &faultTable{t: t, models: newModels(t), prompt: tokenizeChat(t, questions(t, "held-out", "fact")[0].Question)}
	for _, d := range dialects() {
		server := proxytest.New(t, d.handler(table.models, rightModel))
		table.cells = append(table.cells, &cell{table: table, dialect: d, route: d.name, server: server})
	}
	table.open(t, "timeouts: {first_byte: 1m, stall: 1m}") // longer than the test's patience
	for _, c := range table.cells {
		for _, phase := range []string{atFirstByte, inMidStream} {
			for _, streamed := range []bool{true, false} {
				c.fault.phase, c.streamed = phase, streamed
				c.isLeft()
			}
		}
	}
}

// isLeft has a client leave when the server has stopped to answer.
func (c *cell) isLeft() {
	before, stall := c.server.Struck(), func(*cell) proxytest.Fault { return proxytest.Slow(0) }
	if c.fault.phase == inMidStream {
		inTheMiddle(stall, nil)(c, false)
	} else {
		inPlace(stall)(c, false)
	}
	ctx, leave := context.WithCancel(c.table.t.Context())
	c.pending.Go(func() {
		c.server.AwaitStruck(before + 1)
		leave()
	})
	if seen := look(ctx, c.table.front.url, c.question(c.streamed)); !errors.Is(seen.broken, context.Canceled) {
		c.table.t.Errorf("%s, streamed %v: the client was to leave, and saw %+v", c.dialect.name, c.streamed, seen)
	}
	c.pending.Wait()
	c.server.Quiet()
	c.server.Mend()
}
