// Package prefix keeps the keys and values of prompts, so that a prompt that begins as
// another did is computed from where the two part.
//
// A prompt is cut into blocks of 64 tokens, or fewer where those would be too large a
// value. What is behind the last block, the rest, is a piece for those who ask the same
// once more. Two tokens at the end are always computed:
//
//	prompt    │ block 1 │ block 2 │ block 3 │ rest │ 2 tokens
//	keys        k₁        k₂        k₃        k₄              of all tokens up to the piece's end
//	memory      hit       hit       –         –
//	shared                          hit       –
//	computed                                  rest   2 tokens
//
// Keys are those of package chain, over all that the bytes depend on: whoever finds a
// block under a key finds what it would have computed, to the last bit. For that, only
// runs of two tokens and more are kept and continued: a run of a single one sums in
// another order.
//
// A cache is made of two tiers that it is handed. Either may forget, come late or lie:
// a value is believed only if it says of itself what it was asked for, and its checksum
// was right when it came to this process. Where a tier does not pay, since computing is quicker, it is left alone:
//
//	compute · tokens  >  2 round trips + (read + import) · tokens
//
// All four are measured at start, off every request's path, and kept current by what
// requests see. A shared tier that failed or was late is not asked again before a trial
// off every request's path has shown that it pays.
//
//	model := cache.Model(identity)
//	text := model.Open(tenant, prompt)
//	n := text.Resume(ctx, sequence)       // tokens that need not be computed
//	…                                     // compute the rest
//	text.Computed(tokens, elapsed)        // keeps new blocks, in the background
//	text.Close()                          // and the sequence, once nothing reads it
package prefix
