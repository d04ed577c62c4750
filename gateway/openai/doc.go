// Package openai is the wire: what clients of the OpenAI-compatible endpoints
// may send, and the shapes of what they get back.
//
// A decoder reads a whole body once, from left to right, and stops at the first
// thing that is wrong:
//
//	req, err := openai.DecodeChat(body)
//	if err != nil {
//		openai.WriteError(w, err) // 400, {"error": {"message", "type", "param", "code"}}
//		return
//	}
//	route, knob, err := openai.ResolveTuning(req.Model, r.Header, req.Tuning)
//
// What it returns needs no second look, but for the rules that only a route
// can know: its experts, the bounds of its strengths, its vocabulary, its
// context and its cap on log-probs.
//
// Nothing that could change an answer is ignored. Every key falls in one of
// four classes, and the switch statements that sort them are the reference:
//
//	| class       | what happens                            | where                           |
//	|-------------|-----------------------------------------|---------------------------------|
//	| supported   | read and held to its bounds             | chat.go, completion.go,         |
//	|             |                                         | generation.go, tuning.go        |
//	| unsupported | 400, but for values that ask nothing    | leftover.go, refuse             |
//	|             | (tools: [], echo: false, best_of = n)   |                                 |
//	| harmless    | its type is checked, its value dropped  | leftover.go, ignore             |
//	| unknown     | 400 naming the key                      | leftover.go                     |
//
// A body that goes on to another server ([DecodeForward]) is read for the model's name
// and the knob alone; all else in it is that server's to judge.
//
// Rules for every body:
//
//   - null is absent, for supported, unsupported and harmless keys alike; an
//     explicit 0, "" or false is not absent. Inside a list null is a wrong type.
//   - Keys match exactly, letter case included, and no object has a key twice.
//   - Integers are written as integers: 1.0 and 1e3 are refused where an
//     integer is asked for, whatever their value.
//   - NaN and Infinity are not JSON; numbers beyond float64 are out of bounds.
//   - Invalid UTF-8 and lone surrogates are refused: a replacement character in
//     their place would be another prompt than the client sent.
//   - Values nest at most 64 deep. The size of a body is the server's to bound.
//
// An error's Param is the path of the value at fault in OpenAI's dotted style
// (messages[2].content[0].text), or the header's name. It is empty only where no
// field is at fault: a body that is empty, no object, broken between its
// fields, or followed by more data.
package openai
