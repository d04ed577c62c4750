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
//	| grow     | all others: present = past + new         | two buffers, which change roles at every run  |
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
//	Session       the loaded graph, one goroutine that runs it, scratch memory, all caches
//	cache         memory for keys and values, and the binding of it to a run's names; leased to a sequence
//	Sequence      tokens so far, one leased cache, the rows of its last Extend
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
// One goroutine per session calls ONNX Runtime, and takes what waits in turn,
// one chunk of a long prompt at a time, so that a long prompt delays the steps
// of others by one chunk at most.
package onnx
