// Package llamacpp speaks to llama.cpp's llama-server through its own API; the
// OpenAI-like one beside it tells less.
//
//	GET  /props, /v1/models   what is served, how many slots, the context of one
//	POST /completion          rows: n_probs = k log-probs of every generated token
//	POST /tokenize, /detokenize
//
// A row is what the server says of a token that it generated, and the token matters
// as much as the row: one that ends within a character has no row at all. So every
// token is chosen for it, and whatever chooses it leaves the row alone, since n_probs
// reports the model's own logits:
//
//	prefix                      n_predict 1, logit_bias [[pin, 1e9]]
//	prefix and path [5 9 7]     n_predict 4, grammar  root ::= <[5]> <[9]> <[7]> <[pin]>
//	the base's continuation     n_predict n, stream
//
// The pin is an id of one ASCII letter. A grammar cannot force every token: not one
// that is no whole UTF-8, not an end token (the server answers 500 to both). Paths
// are cut at those, and each costs one request more. Which row belongs to which
// position is told by ids: a row counts if its token is the one that was asked for,
// and the first that is not ends what an answer is believed.
//
// There are never more requests under way than the server has slots, and it chooses
// the slot of each by what it holds, so that a text's prefix stays evaluated there as
// long as there are enough. Slots decide what a row costs and never what it says.
package llamacpp
