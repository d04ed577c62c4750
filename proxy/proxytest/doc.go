// Package proxytest is a base server with faults, on a real loopback listener, for the
// tests of whoever asks base servers. It answers as a handler does, except where a fault
// was ordered:
//
//	server := proxytest.New(t, handler)           // or Before(t, "http://127.0.0.1:8000")
//	server.Break(
//		proxytest.Later(429, "1"),            // the next request is one too many
//		proxytest.Fault{
//			Kind:  proxytest.Reset,
//			Place: proxytest.AfterEvents(3), // then three events of a stream, and RST
//			Match: proxytest.Path("/v1/completions"),
//		},
//	)
//	… ask server.URL …
//
// A fault is what happens ([Kind]), where in the answer ([Place]), to which requests
// (Match, Skip) and how often (Times). The usual ones by phase:
//
//	connect     Down           refused, until Up
//	            Hang           never answered, until Up
//	            Drop(n)        n connections accepted and reset at once
//	            Restart(h)     all connections closed, and another server behind the address
//	first byte  Slow(d)        nothing for d, then the answer; Slow(0): never
//	            Broken(kind)   Reset or Cut in place of an answer
//	            Status, Later, HTML, Redirect, WrongType, Malformed
//	            Stale          a connection that is used again is closed unanswered
//	mid-stream  Fault{Kind: Stall, Reset, Cut, End, Say, Insert or Endless,
//	            Place: AfterHeaders(), AfterBytes(n) or AfterEvents(n)}
//
// What was asked is told by [Server.Requests], how many connections there were by
// [Server.Connections]; [Server.AwaitStruck] waits for a fault, [Server.Quiet] until no
// request is under way, which a client that has left must bring about.
package proxytest
