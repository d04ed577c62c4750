// Package dialecttest tests what must be true of every dialect, whatever its server
// speaks. A dialect's own tests run it over their scripted server, and say which rows are
// right:
//
//	dialecttest.Faults(t, func(t *testing.T) dialecttest.Faulty {
//		server := proxytest.New(t, …)
//		return dialecttest.Faulty{Server: server, Text: …, Path: "/v1/completions", …}
//	})
//
//	Faults            a broken answer gives right rows or an error, and leaves nothing behind
//	Decode            the rows of a text, decoded as the gateway does
//	Streamed          what a stream of given events comes to
//	Hashed and Truth  a model, and its rows worked out apart from any server
//
// What only one kind of server does is tested by its dialect.
package dialecttest
