// Package gateway is the face: an HTTP server with OpenAI's endpoints whose models
// are routes, each a base with experts that tune it while it decodes.
//
// A request's way through the package, with no step back:
//
//	body → openai.ChatRequest → route and knob → prompts per role → plan
//	     → decode.Run per choice → pieces of text → SSE or JSON
//
//	| file          | room for                                                    |
//	|---------------|-------------------------------------------------------------|
//	| endpoints.go  | every path that is served, and what stands before it        |
//	| route.go      | what a route is, and the interfaces it is made of           |
//	| plan.go       | a request turned into what the decode loop takes            |
//	| choice.go     | one text: tokens → pieces, stop strings, log-probs          |
//	| run.go        | the choices of a request, side by side                      |
//	| ladder.go     | nested prompts, read at once                                |
//	| answer.go     | an answer whole or streamed, whatever its shape             |
//	| chat.go …     | one file an endpoint, with its shape of answer              |
//	| forward.go    | routes without experts, passed on to the base's server      |
//	| admission.go  | who may run now, who waits, who is sent away                |
//	| patience.go   | how long a client may take                                  |
//	| failure.go    | the one place that writes errors                            |
//
// A gateway can be the base of another one: /v1/completions speaks vLLM's extensions,
// down to the log-probs of a whole vocabulary behind each of a list of prefixes.
//
// The package speaks eft's types and OpenAI's; it knows no model file, no tokenizer
// and no base server. Those come in by the interfaces of route.go:
//
//	server := gateway.New(gateway.Config{Routes: routes, Log: slog.Default()})
//	http.ListenAndServe("127.0.0.1:8080", server.Handler())
package gateway
