// Package proxy is the large model behind the gateway: a model that somebody else's
// server runs, asked over HTTP for the rows that the decode loop mixes.
//
//	Connect ── asks each Dialect in turn ──▶ Server   what it is and can do ([Caps])
//	   │                                       │
//	  Base ── Open ──▶ Sequence ── Begin ──▶ Text     one text: rows, continuations, named tokens
//	   │
//	  Forward   routes without experts, through a reverse proxy
//
// A dialect is one folder: vllm, llamacpp, sglang, openai. It knows requests and
// answers and keeps no promise about time; [Client] does that for all of them: a
// time-out for each phase, retries, a circuit breaker, keys and TLS.
//
// Texts of one server keep in step (queue.go): where its dialect is a [Gatherer] they ask
// together, in one request, so that a server that computes in passes has all of them in
// each.
//
// A row is a function of its prefix. So whatever fails can be asked again, here or
// by the decode loop from the tokens it has, and no answer changes by it.
package proxy
