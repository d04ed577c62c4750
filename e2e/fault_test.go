package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/graft-gateway/graft/proxy/proxytest"
)

// faults are all that are tried: rows of the table, in its order.
func faults() []fault {
	return append(append(connectFaults(), firstByteFaults()...), midStreamFaults()...)
}

// connectFaults are there before there is a connection.
func connectFaults() []fault {
	return []fault{
		// What is passed on may find a connection that has just been closed, and is not sent
		// twice over one.
		{atConnect, "refused", refuse((*proxytest.Server).Down), whole, "503", "503|whole", "503"},
		{atConnect, "black hole", refuse((*proxytest.Server).Hang), whole, "504", "503|whole", "503|504"},
		{atConnect, "reset when accepted", drop, whole, "503", "503|whole", "503"},
		{atConnect, "restart, same model", restart(rightModel), whole, nothing, "503|whole", nothing},
		{atConnect, "restart, other weights", restart(otherWeights), nothing, changed, nothing, "503|another's"},
		{atConnect, "restart, other vocabulary", restart(otherVocabulary), nothing, "503", nothing, nothing},
	}
}

// firstByteFaults come in place of an answer.
func firstByteFaults() []fault {
	in := func(f proxytest.Fault) func(*cell, bool) { return inPlace(func(*cell) proxytest.Fault { return f }) }
	endless := proxytest.Fault{Kind: proxytest.Say, Body: " ", Header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(1 << 40)}}}
	return []fault{
		// Who has waited for an answer in vain is not made to wait again.
		{atFirstByte, "nothing comes", in(proxytest.Slow(0)), "504", "504", "504", "504"},
		{atFirstByte, "reset", in(proxytest.Broken(proxytest.Reset)), whole, "503", "503", "503"},
		{atFirstByte, "cut", in(proxytest.Broken(proxytest.Cut)), whole, "503", "503", "503"},
		{atFirstByte, "stale connection", in(proxytest.Stale()), whole, whole, "503|whole", "503|whole"},
		{atFirstByte, "429, Retry-After 1", in(proxytest.Later(429, "1")), whole, "429 in 1 s", "as sent in 1 s", "as sent in 1 s"},
		{atFirstByte, "429, Retry-After 60", in(proxytest.Later(429, "60")), "429 in 60 s", "429 in 60 s", "as sent in 60 s", "as sent in 60 s"},
		{atFirstByte, "503, Retry-After 1", in(proxytest.Later(503, "1")), whole, "503 in 1 s", "as sent in 1 s", "as sent in 1 s"},
		{atFirstByte, "503", in(proxytest.Status(503, "overloaded")), whole, "503", asSent, asSent},
		{atFirstByte, "500", in(proxytest.Status(500, "out of memory")), whole, "502", asSent, asSent},
		{atFirstByte, "a page of HTML", in(proxytest.HTML()), whole, "502", asSent, asSent},
		{atFirstByte, "wrong content type", in(proxytest.WrongType("text/plain")), whole, "502", asSent, asSent},
		{atFirstByte, "redirect", in(proxytest.Redirect("http://192.0.2.1/")), "502", "502", "502", "502"},
		{atFirstByte, "malformed JSON", in(proxytest.Malformed()), whole, "502", asSent, asSent},
		{atFirstByte, "no log-probs", inPlace(rowless), "502|whole", "502", asSent, asSent},
		{atFirstByte, "a TiB announced", in(endless), "502", "502", brokeOff, brokeOff},
	}
}

// midStreamFaults come behind the second token, or in the middle of what is passed on.
// What goes on is the like of it in place of further answers.
func midStreamFaults() []fault {
	event := func(data string) proxytest.Fault {
		return proxytest.Fault{Kind: proxytest.Insert, Body: "data: " + data + "\n\n"}
	}
	failed := event(`{"error":{"message":"CUDA out of memory","type":"server_error","code":500}}`)
	late := event(`{"error":{"message":"too many requests","type":"rate_limit_error","code":429}}`)
	same := func(f proxytest.Fault) func(*cell) proxytest.Fault { return func(*cell) proxytest.Fault { return f } }
	in := func(f, later proxytest.Fault) func(*cell, bool) { return inTheMiddle(same(f), same(later)) }
	kind := func(k proxytest.Kind) proxytest.Fault { return proxytest.Fault{Kind: k} }
	return []fault{
		{inMidStream, "stall", in(kind(proxytest.Stall), proxytest.Slow(0)), whole, "504", brokeOff, brokeOff},
		{inMidStream, "reset", in(kind(proxytest.Reset), proxytest.Broken(proxytest.Reset)), whole, "503", brokeOff, brokeOff},
		{inMidStream, "cut", in(kind(proxytest.Cut), proxytest.Broken(proxytest.Cut)), whole, "503", brokeOff, brokeOff},
		{inMidStream, "ended without [DONE]", in(kind(proxytest.End), proxytest.Malformed()), whole, "502", "short|as sent", "short|as sent"},
		{inMidStream, "malformed event", in(event("{"), proxytest.Malformed()), whole, "502", nothing, nothing},
		{inMidStream, "error event", in(failed, proxytest.Status(500, "out of memory")), whole, "502", nothing, nothing},
		{inMidStream, "error event 429", in(late, proxytest.Later(429, "1")), whole, "429|429 in 1 s", nothing, nothing},
		{inMidStream, "no log-probs", inTheMiddle(rowlessEvent, rowless), whole, "502", nothing, nothing},
		{inMidStream, "endless event", in(proxytest.Fault{Kind: proxytest.Endless, Body: "data: " + strings.Repeat("x", 4000) + "\n"}, proxytest.Malformed()), whole, "502", nothing, nothing},
		{inMidStream, "endless comments", in(proxytest.Fault{Kind: proxytest.Endless, Body: ": more\n\n"}, proxytest.Malformed()), whole, "502", nothing, nothing},
		{inMidStream, "down", downInTheMiddle, whole, "503", nothing, brokeOff},
		{inMidStream, "restart, same model", restartInTheMiddle(rightModel), whole, nothing, brokeOff, nothing},
		{inMidStream, "restart, other weights", restartInTheMiddle(otherWeights), nothing, "503", nothing, brokeOff},
		{inMidStream, "restart, other vocabulary", restartInTheMiddle(otherVocabulary), nothing, "503", nothing, nothing},
	}
}

// refuse takes a server away: for good, or until the gateway has tried in vain.
func refuse(how func(*proxytest.Server)) func(*cell, bool) {
	return func(c *cell, always bool) {
		before := c.retries()
		how(c.server)
		if always {
			return
		}
		c.pending.Go(func() {
			c.awaitRetry(before)
			c.server.Up()
		})
	}
}

// awaitRetry waits until the gateway has asked again, or has answered without.
func (c *cell) awaitRetry(before float64) {
	if err := settles(func() bool { return c.retries() > before || c.answered.Load() }); err != nil {
		c.table.t.Errorf("%s: nothing was asked again: %v", c.route, err)
	}
}

// retries of the gateway for this cell's server.
func (c *cell) retries() float64 {
	return c.table.front.metric(c.table.t, fmt.Sprintf("graft_base_retries_total{base=%q}", c.route))
}

func drop(c *cell, always bool) {
	c.server.Down()
	c.server.Up()
	if always {
		c.server.Drop(1000)
	} else {
		c.server.Drop(1)
	}
}

// restart starts a server again, with the same model or another one.
func restart(model served) func(*cell, bool) {
	return func(c *cell, _ bool) { c.server.Restart(c.dialect.handler(c.table.models, model)) }
}

// inPlace orders what comes in place of rows.
func inPlace(what func(*cell) proxytest.Fault) func(*cell, bool) {
	return func(c *cell, always bool) {
		f := what(c).For(c.dialect.path)
		if always {
			f = f.Always()
		}
		c.server.Break(f)
	}
}

// inTheMiddle orders what comes behind the second event of a stream of rows, and then,
// if it goes on, in place of all further answers.
func inTheMiddle(what, later func(*cell) proxytest.Fault) func(*cell, bool) {
	return func(c *cell, always bool) {
		f, struck := what(c), new(atomic.Bool)
		f.Place = proxytest.AfterEvents(2)
		f.Match = func(r proxytest.Request) bool {
			picked := r.Path == c.dialect.path && bytes.Contains(r.Body, []byte(`"stream":true`))
			if c.dialect.through() && r.Path == c.dialect.path {
				picked = true
			}
			if picked {
				struck.Store(true)
			}
			return picked
		}
		if c.dialect.through() && !c.streamed {
			f.Place = proxytest.AfterBytes(40)
		}
		c.server.Break(f)
		if always {
			more := later(c).Always()
			more.Match = func(r proxytest.Request) bool { return struck.Load() && r.Path == c.dialect.path }
			c.server.Break(more)
		}
	}
}

// held stops a stream in the middle until the server is gone, which it then is by how.
func held(c *cell, how func()) {
	inTheMiddle(func(*cell) proxytest.Fault { return proxytest.Fault{Kind: proxytest.Stall} }, nil)(c, false)
	struck := c.server.Struck()
	c.pending.Go(func() {
		c.server.AwaitStruck(struck + 1)
		how()
	})
}

func downInTheMiddle(c *cell, always bool) {
	held(c, func() {
		before := c.retries()
		c.server.Down()
		if always {
			return
		}
		c.awaitRetry(before)
		c.server.Up()
	})
}

func restartInTheMiddle(model served) func(*cell, bool) {
	return func(c *cell, _ bool) {
		held(c, func() { c.server.Restart(c.dialect.handler(c.table.models, model)) })
	}
}

// rowless answers without log-probs.
func rowless(c *cell) proxytest.Fault {
	return proxytest.Fault{Kind: proxytest.Say, Body: c.dialect.rowless, Header: http.Header{"Content-Type": {"application/json"}}}
}

func rowlessEvent(c *cell) proxytest.Fault {
	return proxytest.Fault{Kind: proxytest.Insert, Body: "data: " + c.dialect.rowless + "\n\n"}
}
