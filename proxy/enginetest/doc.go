// Package enginetest is what the scripted servers of all dialects have in common: an
// engine whose model is a Go function. A server reads its dialect's request, asks the
// model for logits token by token, and writes its dialect's answer:
//
//	body, err := s.requests.Read(r)               // kept, until the test takes it
//	row := enginetest.LogSoftmax(s.model(prefix)) // of all ids
//	for _, id := range enginetest.Best(row, k) {  // best first
//		… write id and row[id] …
//	}
//	enginetest.Reply(w, http.StatusOK, answer)    // or Send(w, event), one by one
//
// What a server does with requests, and how it words what it refuses, is the dialect's:
// it is not here.
package enginetest
