// Package onnx runs language models on ONNX Runtime. It is the only package
// that knows ONNX Runtime, and the only one with C in it.
//
//	env, err := onnx.Start(library)                            // once per process
//	session, err := onnx.OpenSession(env, onnx.Source{Path: "model.onnx"}, onnx.Options{Context: 2048})
//	sequence, err := session.Open(ctx)
//	rows, err := sequence.Extend(ctx, prompt, 1)               // the row after the prompt
//	rows, err = sequence.Extend(ctx, []eft.Token{next}, 1)     // one step
//	err = sequence.Truncate(len(prompt))                       // take the step back
//
// A session reads what a graph wants from the graph itself and refuses what it
// does not understand. There are two ways to keep keys and values:
//
//	| strategy | graph                                    | past and present                              |
//	|----------|------------------------------------------|-----------------------------------------------|
//	| shared   | every layer is one GroupQueryAttention   | one buffer, written in place                  |
//	| grow     | plain exports: present = past + new      | two buffers, which change roles at every run  |
//
// Who owns what, from the outside in; each closes what stands below it:
//
//	Environment   the library; one per process, for the binding under it is global
//	Session       the loaded graph, one goroutine that runs it, scratch memory, all caches
//	cache         memory for keys and values, and the binding of it to a run's names; leased to a sequence
//	Sequence      tokens so far, one leased cache, the rows of its last Extend
//
// Memory that ONNX Runtime reads or writes is always C's. A Go slice bound to a
// run may be collected while the binding still points to it, with wrong rows as
// the only sign of it.
//
// One goroutine per session calls ONNX Runtime, and takes what waits in turn,
// one chunk of a long prompt at a time, so that a long prompt delays the steps
// of others by one chunk at most.
package onnx
