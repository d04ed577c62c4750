// Package onnx runs language models on ONNX Runtime. It is the only package
// that knows ONNX Runtime, and the only one with C in it.
//
//	env, err := onnx.Start(library)                            // once per process
//	session, err := onnx.OpenSession(env, onnx.Source{Path: "model.onnx"}, onnx.Options{Context: 2048})
//	sequence, err := session.Open(ctx)
//	rows, err := sequence.Extend(ctx, prompt, 1)               // the row after the prompt
//	rows, err = sequence.Extend(ctx, []eft.Token{next}, 1)     // one step
//	err = sequence.Truncate(len(prompt))                       // take the step back
//	facts := session.Facts()                                   // what the graph is made of, for people
//
// There are two ways to keep keys and values:
//
//	| strategy | graph                                    | past and present                              |
//	|----------|------------------------------------------|-----------------------------------------------|
//	| shared   | every layer is one GroupQueryAttention   | one buffer, written in place                  |
//	| grow     | all others: present = past + new         | a buffer from which past is gathered; or two  |
//	|          |                                          | that change roles, where steps run alone      |
//
// A session reads what a graph wants from the graph and from its file, and refuses
// what it does not understand, with the reason and what to do. Understood are:
//
//	| what          | which                                                                                  |
//	|---------------|----------------------------------------------------------------------------------------|
//	| inputs        | input_ids, attention_mask, position_ids, cache_position, num_logits_to_keep,            |
//	|               | logits_to_keep, use_cache_branch, seqlens_k, total_sequence_length, past_sequence_length |
//	| cache         | keys and values of each layer, or both in one tensor, of float32 or float16; batch and  |
//	|               | tokens are the two open dimensions, wherever they stand; layers may differ               |
//	| names of them | past_key_values.N.key → present.N.key, past_N → present_N, cache.N.k → cache_out.N.k …   |
//	| logits        | float32 or float16, of all tokens, of those asked for, or of the last                   |
//	| weights       | whatever ONNX Runtime computes, inside the file or in others of its folder               |
//
// Opening runs a few tokens. What was told from unusual names and shapes is accepted
// only if tokens that come one by one get the scores that they get together.
//
// Who owns what, from the outside in; each closes what stands below it:
//
//	Environment   the library; one per process, for the binding under it is global
//	Session       the loaded graph, the queue before it, scratch memory, all caches
//	cache         memory for keys and values of one text or several, and its bindings to a run's names
//	seat          a row of a cache, leased to a sequence; the session may move it between runs
//	Sequence      tokens so far, one seat, the rows of its last Extend
//
// Memory that ONNX Runtime reads or writes is always C's. A Go slice bound to a
// run may be collected while the binding still points to it, with wrong rows as
// the only sign of it.
//
// On a GPU keys, values and scores stay in its memory: ids, positions and masks go up,
// the rows that are asked for come down, and Environment.Traffic counts all of it. Only
// Export and Import carry keys and values. Products of float32 are not rounded to TF32.
// A pretended device in tests takes the same way without a GPU.
//
// One goroutine at a time runs a session's graph: whoever finds it idle, and then, one
// after another, those who wait. What waits is run like this:
//
//	| what waits                          | how it runs                                          |
//	|-------------------------------------|------------------------------------------------------|
//	| steps: one token behind a text      | together, up to 32 texts in one run                  |
//	| prompts and paths: several tokens   | one run each, long ones in pieces, in turn           |
//	| both                                | all steps, then as many tokens as take as long as    |
//	|                                     | four runs of steps, and again                        |
//
// So a step waits for one piece of somebody's prompt at most, and for no timer. Steps run
// together only where that moves no bit of any row (or where every way of running a graph
// moves bits: half precision, eight bits, GPUs): opening tries it. Session.Tally counts
// runs and what was in them.
package onnx
