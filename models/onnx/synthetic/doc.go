// Package synthetic writes decoders of a wished size with random weights, laid out as
// the Hub lays models out. What they say is noise; what they cost is what a real model
// of their shape costs, so speed can be measured on a machine that has nothing to load:
//
//	shape := synthetic.Sized(160<<20, synthetic.Grouped)   // larger than any cache of a processor
//	err := shape.Write(folder)                             // model.onnx, model.onnx_data, config.json
//	session, err := onnx.OpenSession(env, onnx.Source{Path: filepath.Join(folder, synthetic.File)}, …)
//	read := shape.StepBytes() + batch*past*shape.TokenBytes() // what a step reads from memory
//
// The architecture is Llama's: an embedding, layers of attention and a gated MLP, root
// mean square norms, rotary positions, a head of its own. Two layouts:
//
//	| layout  | operators                                   | keys and values               |
//	|---------|---------------------------------------------|-------------------------------|
//	| Grouped | com.microsoft GroupQueryAttention           | may be one buffer             |
//	| Grown   | standard ones: MatMul, Softmax, Concat, …   | present is past and new joined |
//
// Both have the same weights for the same shape and seed, and so the same rows but for
// rounding. A folder becomes one that models can load with the tokenizer of any model
// beside it that has as many tokens.
package synthetic
